"""The model is the handout's: number of parameters, names, logits; and it never sees the future."""

import re

import pytest
import torch
from conftest import tiny_model
from handout_style import HandoutGPT
from torch import nn
from torch.testing import assert_close

from a5lib.attention import CausalCrossAttention, CausalSelfAttention, attend, causal_mask
from a5lib.checkpoint import load_model, save_params
from a5lib.decoding import greedy_decode
from a5lib.errors import InputError
from a5lib.model import (
    VARIANTS,
    DownProjectBlock,
    GPTConfig,
    Parts,
    UpProjectBlock,
    build_model,
    latent_positions,
    real_lengths,
)
from a5lib.optim import parameter_groups
from a5lib.perceiver_start import start_on_diagonals

HANDOUT_VARIANTS = ("vanilla", "perceiver")
SHAPE = {"vocab_size": 11, "block_size": 16, "n_layer": 4, "n_head": 8, "n_embd": 16}
BOTTLENECK = {"vanilla": None, "perceiver": 5}


def reference_model(variant, seed=0):
    torch.manual_seed(seed)
    model = HandoutGPT(**SHAPE, bottleneck_dim=BOTTLENECK[variant])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return model.eval()


def ids(B, T, vocab_size=11, seed=0):
    return torch.randint(2, vocab_size, (B, T), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("vanilla", 3_323_392),
        ("perceiver", 3_339_776),
        ("perceiver_ar", 3_323_392),
        ("rope", 3_323_392 - 128 * 256),  # no learned positions
        ("synthesizer", 3_076_988),
    ],
)
def test_number_of_parameters(variant, expected):
    with torch.device("meta"):
        model = build_model(variant, GPTConfig(256, bottleneck_dim=64))
    assert sum(p.numel() for p in model.parameters()) == expected


@pytest.mark.parametrize("variant", HANDOUT_VARIANTS)
def test_a_handout_file_gives_the_handouts_logits(variant, tmp_path):
    """At lengths under, at and over the bottleneck: T < m, T = m, T > m, the whole block."""
    reference = reference_model(variant)
    torch.save(reference.state_dict(), tmp_path / "theirs.params")  # no .json beside it: 8 heads
    model = load_model(variant, tmp_path / "theirs.params")
    assert not model.training
    for T in (1, 4, 5, 6, 16):
        x = ids(3, T)
        assert_close(model(x)[0], reference(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("variant", HANDOUT_VARIANTS)
def test_our_file_loads_there_strictly(variant, tmp_path):
    """Names, shapes, and the float mask buffers, none missing and none too many."""
    model = tiny_model(variant, std=0.3, **{**SHAPE, "dropout": 0.1})
    save_params(model, tmp_path / "ours.params")
    state = torch.load(tmp_path / "ours.params", weights_only=True)
    reference = HandoutGPT(**SHAPE, bottleneck_dim=BOTTLENECK[variant]).eval()
    assert {n: (t.dtype, t.shape) for n, t in state.items()} == {
        n: (t.dtype, t.shape) for n, t in reference.state_dict().items()
    }
    reference.load_state_dict(state, strict=True)
    assert_close(model(ids(2, 9))[0], reference(ids(2, 9)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("variant", HANDOUT_VARIANTS)
def test_input_t_never_changes_logits_before_t(variant):
    model, x = tiny_model(variant, std=0.5), ids(2, 16)
    before, _ = model(x)
    for t in range(16):
        changed = x.clone()
        changed[:, t] = (x[:, t] - 1) % 9 + 2
        after, _ = model(changed)
        assert torch.equal(after[:, :t], before[:, :t]), t
        assert not torch.allclose(after[:, t], before[:, t]), t


def dependencies(model, T):
    """(rows of logits, T): 1 where row t of the logits depends on the input at column s, from gradients."""
    embedded = []
    model.tok_emb.register_forward_hook(lambda _, __, out: embedded.append(out) or out)
    output = model(ids(1, T))
    logits = output[0] if isinstance(output, tuple) else output
    rows = []
    for t in range(logits.size(1)):
        (gradient,) = torch.autograd.grad(logits[0, t].square().sum(), embedded[0], retain_graph=True)
        rows.append((gradient[0].abs().sum(dim=-1) > 0).int().tolist())
    return rows


PERCEIVER_SEES = [  # m = 3: under the diagonal for t < m; from there on the first m inputs, and x_t itself
    [1, 0, 0, 0, 0, 0],
    [1, 1, 0, 0, 0, 0],
    [1, 1, 1, 0, 0, 0],
    [1, 1, 1, 1, 0, 0],
    [1, 1, 1, 0, 1, 0],
    [1, 1, 1, 0, 0, 1],
]


def test_what_the_perceiver_sees_literally():
    """Blind, not leaking: inputs from m on reach no latent, only their own position through the residual."""
    model = tiny_model("perceiver", std=0.5, bottleneck_dim=3)
    assert dependencies(model, 6) == PERCEIVER_SEES
    reference = HandoutGPT(11, 16, 3, 2, 8, bottleneck_dim=3).eval()
    assert dependencies(reference, 6) == PERCEIVER_SEES
    assert dependencies(tiny_model(std=0.5), 4) == causal_mask(4).int().tolist()


def test_perceiver_ar_has_no_horizon():
    """m = 3 of 6 inputs: logits for the last three only, each of which sees all up to itself."""
    assert dependencies(tiny_model("perceiver_ar", std=0.5, bottleneck_dim=3), 6) == [
        [1, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1, 1],
    ]


def test_the_last_latents_are_the_last_real_positions():
    """Rows of 2, 4 and 6 characters in a batch of width 6, m = 3, typed out."""
    idx = torch.tensor([[5, 4, 0, 0, 0, 0], [5, 0, 3, 4, 0, 0], [9, 8, 7, 6, 5, 4]])
    assert real_lengths(idx).tolist() == [2, 4, 6]
    assert latent_positions(real_lengths(idx), 3).tolist() == [[0, 1, 2], [1, 2, 3], [3, 4, 5]]
    model = tiny_model("perceiver_ar", std=0.5, bottleneck_dim=3)
    together = model(idx)[0]
    assert together.shape == (3, 3, 11)
    assert_close(together[0, :2], model(idx[:1, :2])[0][0])
    assert_close(together[1], model(idx[1:2, :4])[0][0])


def test_perceiver_ar_is_vanilla_up_to_m_and_reads_its_weights():
    vanilla, ar = tiny_model(std=0.5), tiny_model("perceiver_ar", std=0.5)
    learned = dict(vanilla.named_parameters())
    assert learned.keys() == dict(ar.named_parameters()).keys()
    ar.load_state_dict({**ar.state_dict(), **learned})
    for T in (1, 4, 5):
        assert torch.equal(ar(ids(2, T))[0], vanilla(ids(2, T))[0])
    one_layer = {"n_layer": 2, "bottleneck_dim": 15}
    assert tiny_model("perceiver_ar", **one_layer)(ids(1, 16))[0].shape == (1, 15, 11)


def test_perceiver_ar_learns_from_its_latents_only():
    """The loss is the mean over the real targets of the last m positions; the earlier ones are ignored."""
    model, x, y = tiny_model("perceiver_ar", std=0.5, bottleneck_dim=4), ids(2, 9), ids(2, 9, seed=1)
    x[1, 6:], y[1, 5:] = 0, 0
    logits, loss = model(x, y)
    log_p = logits.log_softmax(dim=-1)
    kept = [-log_p[0, i, y[0, 5 + i]] for i in range(4)] + [-log_p[1, i, y[1, 2 + i]] for i in range(3)]
    assert_close(loss, torch.stack(kept).mean())
    y[:, 0] = 2  # no latent stands there
    assert torch.equal(model(x, y)[1], loss)


def test_masks_literally():
    assert causal_mask(3).int().tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    assert causal_mask(2, 4).int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0]]
    assert causal_mask(4, 2).int().tolist() == [[1, 0], [1, 1], [1, 1], [1, 1]]


def test_the_basis_is_a_trained_saved_xavier_parameter():
    """A plain tensor, or `nn.Parameter(...).to(device)`, is neither trained nor saved."""
    block = DownProjectBlock(GPTConfig(11, block_size=128, n_embd=64, bottleneck_dim=32))
    assert block.C.shape == (1, 32, 64) and "C" in dict(block.named_parameters())
    bound = (6 / (32 + 64)) ** 0.5
    assert 0.98 * bound < block.C.abs().max() <= bound
    assert abs(block.C.std() - bound / 3**0.5) < 0.02 * bound, "uniform"
    model = tiny_model("perceiver")
    assert "down_block.C" in model.state_dict()
    model(ids(1, 4), ids(1, 4))[1].backward()
    assert model.down_block.C.grad.abs().sum() > 0


def test_a_perceiver_can_start_with_its_heads_on_chosen_places():
    """Head h of latent i on input i - h, most of its weight; before, all inputs up to i alike."""

    def weight_on(model, back):
        block, x = model.down_block, model.embed(ids(1, 32))
        q = block.attn.heads(block.attn.query(block.ln1(block.C)))[0, back]  # (M, D)
        k = block.attn.heads(block.attn.key(x))[0, back]  # (T, D)
        scores = (q @ k.T / q.size(-1) ** 0.5).masked_fill(~causal_mask(32), float("-inf"))
        return scores.softmax(dim=-1).diagonal(-back)[16:].mean().item()

    config = GPTConfig(11, 128, 4, 4, 128, 32, dropout=0.0)
    model = build_model("perceiver", config)
    assert all(weight_on(model, back) < 0.06 for back in range(4))  # 1/17 to 1/32
    basis, state = model.down_block.C.clone(), torch.get_rng_state()
    start_on_diagonals(model, seed=3)
    assert all(weight_on(model, back) > 0.5 for back in range(4))
    assert torch.equal(model.down_block.C, basis) and torch.equal(torch.get_rng_state(), state)
    assert not model.pos_emb[:, 32:].any()


def test_attention_layers_are_the_equation():
    config = GPTConfig(11, block_size=16, n_head=4, n_embd=8, dropout=0.5)
    torch.manual_seed(0)
    layers = CausalSelfAttention(config).eval(), CausalCrossAttention(config).eval()
    x, y = torch.randn(2, 7, 8), torch.randn(2, 3, 8)
    for layer, arguments, x_q in ((layers[0], (x,), x), (layers[1], (x, y), y), (layers[1], (y, x), x)):
        x_kv = arguments[0]
        q, k, v = layer.heads(layer.query(x_q)), layer.heads(layer.key(x_kv)), layer.heads(layer.value(x_kv))
        z = attend(q, k, v, causal_mask(x_q.size(1), x_kv.size(1)))
        expected = layer.proj(torch.cat(list(z.unbind(1)), dim=-1))  # heads side by side
        assert_close(layer(*arguments), expected)


def test_dropout_works_in_training_only():
    model = tiny_model(std=0.5, dropout=0.5)
    x = ids(2, 8)
    assert torch.equal(model(x)[0], model(x)[0])
    model.train()
    assert not torch.equal(model(x)[0], model(x)[0])


def test_the_loss_does_not_look_at_padding():
    model, x, y = tiny_model(std=0.5), ids(2, 6), ids(2, 6, seed=1)
    y[0, 2:] = 0
    logits, loss = model(x, y)
    log_p = logits.log_softmax(dim=-1)
    kept = [-log_p[b, t, y[b, t]] for b in range(2) for t in range(6) if y[b, t] != 0]
    assert_close(loss, torch.stack(kept).mean())


@pytest.mark.parametrize(
    ("variant", "changes", "says"),
    [
        ("vanilla", {"n_embd": 10, "n_head": 4}, "multiple of n_head"),
        ("vanilla", {"n_layer": 0}, "n_layer 0"),
        ("vanilla", {"dropout": 1.0}, "dropout"),
        ("perceiver", {"bottleneck_dim": 16, "block_size": 16}, "smaller than the block size"),
        ("perceiver", {"bottleneck_dim": 0}, "at least 1"),
        ("perceiver", {"bottleneck_dim": -3}, "at least 1"),
        ("perceiver", {"bottleneck_dim": 8, "n_layer": 1}, "project down and up"),
        ("perceiver", {}, "a perceiver needs a bottleneck_dim"),
        ("perceiver_ar", {}, "a perceiver_ar needs a bottleneck_dim"),
        ("gpt", {}, "vanilla, perceiver, perceiver_ar"),
    ],
)
def test_contradictions_are_refused(variant, changes, says):
    with pytest.raises(InputError, match=says):
        build_model(variant, GPTConfig(**{"vocab_size": 11, **changes}))


def test_too_long_an_input_is_refused():
    with pytest.raises(InputError, match="17 characters"):
        tiny_model()(ids(1, 17))


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_seed_alone_decides_the_weights(variant):
    config = GPTConfig(11, n_embd=16, bottleneck_dim=5)
    torch.manual_seed(123)
    state = torch.get_rng_state()
    first, same, other = (build_model(variant, config, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state), "torch's own generator is left alone"
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])
    assert config.bottleneck_dim == 5 and config.block_size == 128, "the caller's config is not changed"


class OwnAttention(nn.Module):
    """What a student writes: no cache, an average over the past."""

    def __init__(self, config):
        super().__init__()
        self.own = nn.Linear(config.n_embd, config.n_embd)

    def forward(self, x):
        steps = torch.arange(1, x.size(1) + 1, device=x.device)
        return self.own(x.cumsum(dim=1) / steps[:, None])


class OwnDown(DownProjectBlock):
    def forward(self, x_input):
        return self.C[:, : x_input.size(1)] + self.attn(x_input, self.C[:, : x_input.size(1)])


class OwnUp(UpProjectBlock):
    def forward(self, y, x_input):
        return x_input + self.attn(y, x_input)


@pytest.mark.parametrize(
    ("variant", "parts", "used"),
    [
        ("vanilla", Parts(attention=OwnAttention), r"blocks\.\d\.attn\.own"),
        ("perceiver", Parts(attention=OwnAttention), r"blocks\.\d\.attn\.own"),
        ("perceiver", Parts(down_block=OwnDown), "down_block"),
        ("perceiver", Parts(up_block=OwnUp), "up_block"),
    ],
)
def test_the_readers_own_parts_train_and_decode(variant, parts, used):
    """A class of the reader's need not know of caches, though it inherits from one that does."""
    config = GPTConfig(11, 16, 3, 2, 8, BOTTLENECK[variant], dropout=0.0)
    model = build_model(variant, config, parts=parts)
    assert any(re.match(used, name) for name in model.state_dict())
    model(ids(1, 8), ids(1, 8))[1].backward()
    assert sum(map(len, parameter_groups(model).values())) == len(list(model.parameters()))
    assert not model.cacheable(5)
    assert len(greedy_decode(model, [ids(1, 4)[0]], max_new=3)[0]) == 3
    assert tiny_model(variant).cacheable(5)
