"""Notebook 04: its functions are the library's, its checks name each known mistake, its figures show data."""

import io
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from a5lib import attention
from a5lib.classroom import exercises  # noqa: F401  registers the exercises
from a5lib.classroom.checks import EXERCISES, FAILED, PASSED, run_check
from a5lib.classroom.exercises import char_gpt as own
from a5lib.classroom.exercises import multi_head as heads
from a5lib.display import char_gpt as figures
from a5lib.model import GPTConfig, build_model

CONFIG = GPTConfig(vocab_size=13, block_size=9, n_layer=2, n_head=2, n_embd=8, dropout=0.0)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# The references against the library.


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 3), st.integers(1, 9), st.sampled_from([1, 2, 4]), st.integers(0, 99))
def test_the_layer_is_the_librarys(B, T, H, seed):
    config = GPTConfig(13, block_size=9, n_layer=1, n_head=H, n_embd=8, dropout=0.0)
    theirs = attention.CausalSelfAttention(config)
    mine = heads._Layer(config)
    mine.load_state_dict(theirs.state_dict())  # strict
    x = normal(B, T, 8, seed=seed)
    torch.testing.assert_close(heads.attention_forward(mine, x), theirs(x), atol=1e-6, rtol=0)
    assert torch.equal(heads.merge_heads(heads.split_heads(x, H)), x)
    assert torch.equal(heads.split_heads(x, H), theirs.heads(x))


def test_weights_times_values_are_attend():
    q, k, v = normal(3, 2, 2, 5, 4)
    mask = attention.causal_mask(5)
    ours = heads.masked_weights(q, k, mask) @ v
    torch.testing.assert_close(ours, attention.attend(q, k, v, mask), atol=1e-6, rtol=0)


@pytest.mark.parametrize("config", [CONFIG, GPTConfig(256), GPTConfig(94, 64, 1, 3, 12)])
def test_counted_parameters_are_those_of_the_model(config):
    counted = own.count_parameters(config)
    assert sum(counted.values()) == sum(p.numel() for p in build_model("vanilla", config).parameters())


def test_the_handouts_model_has_as_many_parameters_as_the_handout_says():
    assert sum(own.count_parameters(GPTConfig(256)).values()) == 3_323_392


def test_the_block_is_the_librarys_and_the_model_sees_only_the_past():
    model = build_model("vanilla", CONFIG).double().eval()
    x = normal(6, 8).double()
    block = model.blocks[0]
    torch.testing.assert_close(own.block_forward(block, x[None]), block(x[None]))
    with torch.no_grad():
        table = own.sees(lambda x: model.head(model.ln_f(model.blocks(x[None])))[0], x)
    assert torch.equal(table, attention.causal_mask(6))


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 12), st.floats(0.1, 5), st.data())
def test_the_next_distribution_sums_to_one_on_the_k_likeliest(V, temperature, data):
    k = data.draw(st.integers(1, V))
    logits = normal(3, V, seed=data.draw(st.integers(0, 999)))
    p = own.next_distribution(logits, temperature, k)
    torch.testing.assert_close(p.sum(-1), torch.ones(3))
    assert ((p > 0).sum(-1) <= k).all() and torch.equal(p.argmax(-1), logits.argmax(-1))
    kept = logits.topk(k).indices
    ratio = p.gather(-1, kept[:, :1]) / p.gather(-1, kept[:, -1:])
    gap = logits.gather(-1, kept[:, :1]) - logits.gather(-1, kept[:, -1:])
    alive = p.gather(-1, kept[:, -1:]) > 1e-20
    torch.testing.assert_close(ratio.log()[alive], (gap / temperature)[alive], atol=1e-3, rtol=1e-3)


# Other right answers pass.


def fused_forward(self, x):
    q, k, v = (heads.split_heads(f(x), self.n_head) for f in (self.query, self.key, self.value))
    p = self.attn_drop.p if self.training and self.attn_drop.training else 0.0
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=p)
    return self.resid_drop(self.proj(y.transpose(1, 2).reshape(x.shape)))


def sees_by_gradient(forward, x):
    x = x.clone().requires_grad_()
    y = forward(x)
    unequal = torch.linspace(-1, 2, y.size(1), dtype=y.dtype)
    rows = [torch.autograd.grad((row * unequal).sum(), x, retain_graph=True)[0] for row in y]
    return torch.stack(rows).abs().amax(dim=2) > 0


def cut_then_renormalize(logits, temperature=1.0, top_k=None):
    p = (logits / temperature).softmax(-1)
    if top_k is not None:
        values, kept = p.topk(top_k)
        p = torch.zeros_like(p).scatter(-1, kept, values)
    return p / p.sum(-1, keepdim=True)


@pytest.mark.parametrize(("name", "attempt"), [
    ("causal_mask", lambda T: torch.ones(T, T).tril().bool()),
    ("split_heads", lambda x, H: torch.stack(x.chunk(H, dim=-1), dim=1)),
    ("merge_heads", lambda y: torch.cat(y.unbind(1), dim=-1)),
    ("attention_forward", fused_forward),
    ("sees", sees_by_gradient),
    ("next_distribution", cut_then_renormalize),
])  # fmt: skip
def test_another_right_answer_passes(name, attempt):
    assert run_check(name, attempt).state == PASSED


# Mistakes.


def weights(q, k, mask, scale=None, axis=-1):
    scores = q @ k.mT / (math.sqrt(q.size(-1)) if scale is None else scale)
    return scores.masked_fill(~mask, float("-inf")).softmax(axis)


def layer_forward(change):
    """`attention_forward` with one thing changed."""

    def forward(self, x):
        B, T, C = x.shape
        H, D = self.n_head, C // self.n_head
        split = (lambda a: a.view(B, H, T, D)) if change == "split" else (lambda a: heads.split_heads(a, H))
        q, k, v = split(self.query(x)), split(self.key(x)), split(self.value(x))
        if change == "swap":
            q, k = k, q
        mask = self.mask[0, 0, :T, :T].bool()
        mask = torch.ones_like(mask) if change == "leak" else ~mask if change == "inverted" else mask
        w = weights(q, k, mask, math.sqrt(C) if change == "C" else None, -2 if change == "axis" else -1)
        if change == "always":
            w = F.dropout(w, self.attn_drop.p)
        elif change != "weights":
            w = self.attn_drop(w)
        y = w @ v
        y = y.reshape(B, T, C) if change == "merge" else heads.merge_heads(y)
        if change == "early":
            return self.proj(self.resid_drop(y))
        y = y if change == "proj" else self.proj(y)
        return y if change == "last" else self.resid_drop(y)

    return forward


def drop_queries(self, x):
    mask = self.mask[0, 0, : x.size(1), : x.size(1)].bool()
    q, k, v = (heads.split_heads(f(x), self.n_head) for f in (self.query, self.key, self.value))
    y = heads.merge_heads(weights(self.attn_drop(q), k, mask) @ v)
    return self.resid_drop(self.proj(y))


def one_head(self, x):
    mask = self.mask[0, 0, : x.size(1), : x.size(1)].bool()
    return self.resid_drop(
        self.proj(self.attn_drop(weights(self.query(x), self.key(x), mask)) @ self.value(x))
    )


def post_norm(self, x):
    x = self.ln1(x + self.attn(x))
    return self.ln2(x + self.mlp(x))


def in_place(self, x):
    x += self.attn(self.ln1(x))
    x += self.mlp(self.ln2(x))
    return x


def counted_with(**changed):
    return lambda config: (
        own.count_parameters(config) | {name.replace("_", " "): f(config) for name, f in changed.items()}
    )


def sees_with(change):
    def sees(forward, x):
        before, columns, changed = forward(x), [], x.clone()
        for s in range(len(x)):
            if change == "in place":
                changed = x
            elif change != "cumulative":
                changed = x.clone()
            changed[s] += 1.0 if change == "constant" else torch.linspace(-1, 2, x.size(1), dtype=x.dtype)
            moved = (forward(changed) - before).abs().amax(1)
            columns.append(moved > (1e-2 if change == "coarse" else 1e-9))
        return torch.stack(columns, dim=0 if change == "transposed" else 1)

    return sees


def sees_by_sum(forward, x):
    x = x.clone().requires_grad_()
    rows = [torch.autograd.grad(row.sum(), x, retain_graph=True)[0] for row in forward(x)]
    return torch.stack(rows).abs().amax(dim=2) > 1e-9


def next_with(change):
    def next_distribution(logits, temperature=1.0, top_k=None):
        scaled = logits * temperature if change == "multiplied" else logits / temperature
        if top_k is None or change == "ignored":
            return scaled.softmax(-1)
        k = top_k + {"one more": 1, "one less": -1}.get(change, 0)
        if change == "wrong side":
            return scaled.masked_fill(-logits < (-logits).topk(k).values[..., -1:], float("-inf")).softmax(-1)
        cut = logits < logits.topk(k).values[..., -1:]
        if change == "not renormalized":
            return scaled.softmax(-1).masked_fill(cut, 0)
        if change == "in place":
            logits[cut] = float("-inf")
            return (logits / temperature).softmax(-1)
        return scaled.masked_fill(cut, 0.0 if change == "zeros" else float("-inf")).softmax(-1)

    return next_distribution


MISTAKES = [
    ("causal_mask", lambda T: torch.ones(T, T).bool().triu(), "upside down"),
    ("causal_mask", lambda T: torch.ones(T, T).bool().triu(1), "`may look`"),
    ("causal_mask", lambda T: torch.ones(T, T).bool().tril(-1), "the diagonal is hidden"),
    ("causal_mask", lambda T: torch.ones(T, T).bool().tril(1), "sees the next one"),
    ("causal_mask", lambda T: torch.ones(T, T).tril(), "ones where truth values belong"),
    ("causal_mask", lambda T: torch.ones(T, T).bool(), "nothing is hidden"),
    ("causal_mask", lambda T: None, "is there a return"),
    ("causal_mask", lambda T: torch.ones(1, 1, T, T).bool().tril(), "the shape is wrong"),
    ("masked_weights", lambda q, k, m: weights(q, k, m, 1), "not divided by √D"),
    ("masked_weights", lambda q, k, m: weights(q, k, m, q.size(-1)), "divided by D"),
    ("masked_weights", lambda q, k, m: weights(q, k, m, axis=-2), "wrong axis"),
    ("masked_weights", lambda q, k, m: weights(q, k, torch.ones_like(m)), "the mask is not applied"),
    ("masked_weights", lambda q, k, m: weights(q, k, ~m), "wrong way round"),
    ("masked_weights", lambda q, k, m: weights(q, k, torch.ones_like(m)) * m, "after the softmax"),
    ("masked_weights", lambda q, k, m: (q @ k.mT / 2 * m).softmax(-1), "e⁰ is 1"),
    ("masked_weights", lambda q, k, m: weights(k, q, m), "swapped"),
    ("masked_weights", lambda q, k, m: weights(q, k, m, math.sqrt(q.size(-2))), "divided by √T"),
    ("masked_weights", lambda q, k, m: (q @ k.mT / 2).masked_fill(~m, float("-inf")), "softmax is missing"),
    ("masked_weights", lambda q, k, m: weights(q, k, m.tril(-1)), "every key hidden"),
    ("split_heads", lambda x, H: x.view(x.size(0), H, x.size(1), -1), "mixes positions"),
    ("split_heads", lambda x, H: x.unflatten(-1, (H, -1)), "not swapped"),
    ("split_heads", lambda x, H: x.unflatten(-1, (-1, H)).permute(0, 3, 1, 2), "every H-th channel"),
    ("merge_heads", lambda y: y.reshape(y.size(0), y.size(2), -1), "without transposing back"),
    ("merge_heads", lambda y: y.permute(0, 2, 3, 1).flatten(2), "interleaved"),
    ("merge_heads", lambda y: y.transpose(1, 2), "not merged"),
    ("merge_heads", lambda y: y.transpose(1, 2).view(y.size(0), y.size(2), -1), "RuntimeError"),
    ("attention_forward", layer_forward("merge"), "merged without transposing back"),
    ("attention_forward", layer_forward("split"), "cut into heads without transposing"),
    ("attention_forward", layer_forward("C"), "scaled by √C"),
    ("attention_forward", layer_forward("axis"), "wrong axis"),
    ("attention_forward", layer_forward("swap"), "keys and queries are swapped"),
    ("attention_forward", layer_forward("leak"), "nothing is masked"),
    ("attention_forward", layer_forward("inverted"), "wrong way round"),
    ("attention_forward", layer_forward("proj"), "self.proj, is missing"),
    ("attention_forward", layer_forward("always"), "left on in evaluation"),
    ("attention_forward", layer_forward("weights"), "self.attn_drop is not used"),
    ("attention_forward", layer_forward("last"), "self.resid_drop is not used"),
    ("attention_forward", layer_forward("early"), "behind self.proj"),
    ("attention_forward", drop_queries, "something else than the weights"),
    ("attention_forward", one_head, "one head over all C channels"),
    ("attention_forward", lambda self, x: x + heads.attention_forward(self, x), "x itself is added"),
    ("block_forward", post_norm, "post-norm"),
    ("block_forward", lambda self, x: self.mlp(self.ln2(self.attn(self.ln1(x)))), "no residual at all"),
    ("block_forward", lambda self, x: x + self.attn(self.ln1(x)) + self.mlp(self.ln2(x)), "block's input"),
    ("block_forward", lambda self, x: x + self.attn(self.ln1(x)), "the MLP is missing"),
    ("block_forward", in_place, "in place"),
    ("count_parameters", lambda c: 3_323_392, "a dict"),
    ("count_parameters", counted_with(embeddings=lambda c: c.vocab_size * c.n_embd), "positions are for"),
    ("count_parameters", counted_with(attention=lambda c: c.n_layer * 4 * c.n_embd**2), "biases are for"),
    ("count_parameters", counted_with(MLPs=lambda c: c.n_layer * 8 * c.n_embd**2), "biases are for"),
    ("count_parameters", counted_with(layer_norms=lambda c: c.n_layer * 4 * c.n_embd), "ln_f, is forgotten"),
    ("count_parameters", counted_with(head=lambda c: c.vocab_size * (c.n_embd + 1)), "head has no bias"),
    ("count_parameters", counted_with(head=lambda c: 7), "not the number"),
    ("sees", sees_with("constant"), "no dependence was found"),
    ("sees", sees_by_sum, "no dependence was found"),
    ("sees", sees_with("transposed"), "transposed"),
    ("sees", sees_with("cumulative"), "stay changed"),
    ("sees", sees_with("in place"), "perturb a clone"),
    ("sees", sees_with("coarse"), "a weak dependence is overlooked"),
    ("sees", lambda f, x: torch.ones(len(x), len(x)).tril().bool(), "always lower triangular"),
    ("next_distribution", next_with("multiplied"), "multiplied by the temperature"),
    ("next_distribution", lambda z, t, k: z.softmax(-1) / t, "divide the logits"),
    ("next_distribution", lambda z, t, k: (z / t).softmax(0), "wrong axis"),
    ("next_distribution", next_with("ignored"), "top_k is not used"),
    ("next_distribution", next_with("wrong side"), "from the wrong side"),
    ("next_distribution", next_with("not renormalized"), "not renormalized"),
    ("next_distribution", next_with("zeros"), "e⁰ is 1"),
    ("next_distribution", next_with("one more"), "one too many"),
    ("next_distribution", next_with("one less"), "one too few"),
    ("next_distribution", next_with("in place"), "handed in are changed"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "attempt", "says"), MISTAKES, ids=[f"{m[0]}: {m[2]}" for m in MISTAKES])
def test_each_mistake_is_named(name, attempt, says):
    result = run_check(name, attempt)
    assert result.state == FAILED and says in str(result), str(result)


def test_checks_neither_read_nor_move_torchs_own_generator():
    for seed in (0, 1):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        for name in ("attention_forward", "block_forward", "sees", "next_distribution"):
            assert run_check(name, EXERCISES[name].reference).state == PASSED
        assert torch.equal(torch.get_rng_state(), before)


# Figures.


def shown(figure):
    figure.draw_without_rendering()
    found = [figure.get_supxlabel()]
    for axes in figure.axes:
        legend = axes.get_legend()
        found += [t.get_text() for t in (*axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels())]
        found += [axes.get_title(loc="left"), axes.get_title(), axes.get_xlabel(), axes.get_ylabel()]
        found += [t.get_text() for t in legend.get_texts()] if legend else []
    return found


TEXT = "A b\n"
ONE = attention.causal_mask(4).float() / torch.arange(1, 5)[:, None]
FIGURES = {
    "map": (figures.attention_map(ONE, TEXT, "one head"), ["one head", "␣", "↵", "key: what is read"]),
    "maps": (
        figures.attention_maps(ONE.expand(2, 3, 4, 4), TEXT),
        ["head 2", "layer 1", "␣", "key: what is read, in “A b”"],
    ),
    "heads": (
        figures.head_profile(torch.full((2, 2, 1), 0.5), torch.tensor([0.25]), ["blanks"]),
        ["50", "25", "blanks", "layer 1, head 1"],
    ),
    "scale": (figures.largest_weights([1, 4], {"q·k": [0.1, 0.5]}, 20), ["q·k", "all 20 equal", "4"]),
    "gpt": (figures.gpt_diagram(7), ["7 × block", "logits (B, T, V)", "layer norm  ln2"]),
    "parameters": (
        figures.parameter_bars({"head": 3, "MLPs": 9}, {"head": 3, "MLPs": 9}),
        ["12 parameters", "9 (75.0 %)"],
    ),
    "change": (figures.logit_change(TEXT, [0, 0, 1, 1], 2), ["before", "replaced here"]),
    "dependence": (figures.dependence_matrices({"masked": attention.causal_mask(6)}), ["masked", "5"]),
    "learning": (
        figures.learning_figure([{"step": 1, "loss": 3.0}, {"step": 2, "loss": 1.0}], {"pairs": 2.0}, 1.25),
        ["pairs 2.00", "lines held out 1.25"],
    ),
    "next": (
        figures.next_distribution_bars([" ", "a"], torch.tensor([0.3, 0.7]), torch.tensor([0.0, 1.0]), "t"),
        ["␣", "a", "drawn from"],
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_shows_its_data(name):
    figure, expected = FIGURES[name]
    found = shown(figure)
    assert all(text in found for text in expected), found
    figure.savefig(io.BytesIO(), format="png")


def test_a_models_maps_are_drawn_from_its_layers_in_order():
    figure = figures.attention_maps(torch.stack([ONE, 1 - ONE])[:, None], TEXT)
    first, second = (axes.images[0].get_array() for axes in figure.axes)
    torch.testing.assert_close(torch.tensor(first) ** 2, ONE)
    torch.testing.assert_close(torch.tensor(second) ** 2, 1 - ONE)


def test_an_untrained_models_loss_is_the_logarithm_of_its_vocabulary():
    """What notebook 04 predicts; logits of standard deviation 0.02 √C cost half their variance."""
    config = GPTConfig(200, block_size=32, n_layer=2, n_head=2, n_embd=64, dropout=0.0)
    model = build_model("vanilla", config, seed=3).eval()
    idx = torch.randint(1, 200, (16, 33), generator=torch.Generator().manual_seed(0))
    loss = model(idx[:, :-1], idx[:, 1:])[1].item()
    spread = 0.02 * math.sqrt(64)
    # One target's logit varies by `spread`, over 16 × 32 targets from 199 characters: 5 standard errors.
    assert abs(loss - math.log(200) - spread**2 / 2) < 5 * spread / math.sqrt(199)
