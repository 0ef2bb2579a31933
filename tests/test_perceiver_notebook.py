"""Notebook 09: its checks name the mistakes that people make, and its figures show what they were given."""

import io
import math

import pytest
import torch
from conftest import tiny_model
from torch import nn
from torch.testing import assert_close

from a5lib.attention import CausalCrossAttention, CausalSelfAttention, causal_mask
from a5lib.classroom.checks import EXERCISES, FAILED, NOT_ATTEMPTED, PASSED, run_check
from a5lib.classroom.exercises import perceiver as reference
from a5lib.display import perceiver as figures
from a5lib.model import DownProjectBlock, GPTConfig, UpProjectBlock, latent_positions, mlp


class FromScratch(nn.Module):
    """A down-projection as a student writes it; the tests change one thing at a time."""

    def __init__(self, config):
        super().__init__()
        self.make_basis(config)
        self.ln1, self.ln2 = nn.LayerNorm(config.n_embd), nn.LayerNorm(config.n_embd)
        self.attn, self.mlp = CausalCrossAttention(config), mlp(config)

    def make_basis(self, config):
        self.C = nn.Parameter(torch.empty(1, config.bottleneck_dim, config.n_embd))
        nn.init.xavier_uniform_(self.C)  # as torch takes three axes: let pass

    def forward(self, x_input):
        return self.end(self.C + self.attn(x_input, self.ln1(self.C)))  # all M latents: let pass

    def end(self, x):
        return x + self.mlp(self.ln2(x))


class UpFromScratch(FromScratch):
    def make_basis(self, config):
        pass

    def forward(self, y, x_input):
        return self.end(x_input + self.attn(self.ln1(y), x_input))


def down(forward=None, base=FromScratch, **methods):
    """The student's class with another forward (self, x), or other methods."""
    return type("Own", (base,), methods | ({"forward": forward} if forward else {}))


def up(forward=None, **methods):
    return down(forward, UpFromScratch, **methods)


def basis(make):
    """A class whose basis is made by `make` of its config, and assigned as C."""
    return down(make_basis=lambda self, config: setattr(self, "C", make(config)))


def empty(config):
    return torch.empty(1, config.bottleneck_dim, config.n_embd)


def xavier(config):
    return nn.init.xavier_uniform_(empty(config)[0])[None]


def without_ln2(self, config):
    FromScratch.__init__(self, config)
    del self.ln2


def with_self_attention(self, config):
    FromScratch.__init__(self, config)
    self.attn = CausalSelfAttention(config)


def changing_the_config(self, config):
    FromScratch.__init__(self, config)
    config.block_size = config.bottleneck_dim


def for_latents_only(self, config):
    config.block_size, before = config.bottleneck_dim, config.block_size
    FromScratch.__init__(self, config)
    config.block_size = before


def renamed(self, config):
    FromScratch.__init__(self, config)
    self.ln3 = nn.LayerNorm(config.n_embd)


class Buffered(FromScratch):
    def make_basis(self, config):
        self.register_buffer("C", xavier(config))


def dependencies_by(find):
    def attempt(x, logits):
        gradients = [torch.autograd.grad(row.sum(), x, retain_graph=True)[0][0] for row in logits[0]]
        return find(torch.stack(gradients))  # (R, T, C)

    return attempt


DOWN_MISTAKES = [
    (basis(empty), "C is a plain tensor, no parameter"),
    (basis(lambda config: nn.Parameter(xavier(config)).to("cpu")), "nn.Parameter(…).to(device)"),
    (Buffered, "C is a buffer: saved, but never trained"),
    (basis(lambda config: None), "the block has no basis C"),
    (basis(lambda config: nn.Parameter(xavier(config)[0])), "C has the wrong shape"),
    (basis(lambda config: nn.Parameter(xavier(config).mT.contiguous())), "C has the wrong shape"),
    (basis(lambda config: nn.Parameter(torch.zeros_like(empty(config)))), "all latents begin alike"),
    (basis(lambda config: nn.Parameter(0.02 * torch.randn_like(empty(config)))), "it looks normal"),
    (basis(lambda config: nn.Parameter(torch.rand_like(empty(config)))), "the bound is another"),
    (down(__init__=without_ln2), "LayerNorm forgotten: there is no ln2"),
    (down(__init__=with_self_attention), "attn is self-attention"),
    (down(__init__=changing_the_config), "changes the config's block_size"),
    (down(__init__=for_latents_only), "attn.mask has the wrong shape"),
    (down(__init__=renamed), "other names than the library's"),
    (
        down(lambda s, x: s.end(x[:, : s.C.size(1)] + s.attn(x, s.ln1(s.C)))),
        "the residual is of the wrong input",
    ),
    (down(lambda s, x: s.end(s.C + s.attn(s.ln1(s.C), x))), "query and key swapped"),
    (down(lambda s, x: s.end(x + s.attn(s.ln1(s.C), x))), "swapped, and the residual of the wrong input"),
    (down(lambda s, x: s.end(s.C + s.attn(x, s.C))), "LayerNorm forgotten: the queries are ln1(C)"),
    (down(lambda s, x: s.end(s.C + s.attn(s.ln1(x), s.C))), "ln1 stands before the inputs: "),
    (down(lambda s, x: s.end(s.C + s.attn(s.ln1(x), s.ln1(s.C)))), "ln1 stands before the inputs, too"),
    (down(lambda s, x: s.end(s.attn(x, s.ln1(s.C)))), "no residual around attention"),
    (down(lambda s, x: s.end(s.ln1(s.C) + s.attn(x, s.ln1(s.C)))), "the normed C is added"),
    (down(lambda s, x: s.end(s.C.detach() + s.attn(x, s.ln1(s.C.detach())))), "no gradient reaches C"),
    (down(end=lambda s, x: x + s.mlp(x)), "LayerNorm forgotten: the MLP reads ln2"),
    (down(end=lambda s, x: s.mlp(s.ln2(x))), "no residual around the MLP"),
    (down(end=lambda s, x: x), "the MLP is missing"),
]
UP_MISTAKES = [
    (lambda s, y, x: s.end(y + s.attn(s.ln1(y), x)), "the residual is of the wrong input"),
    (lambda s, y, x: s.end(x + s.attn(x, s.ln1(y))), "query and key swapped"),
    (lambda s, x, y: s.end(x + s.attn(s.ln1(y), x)), "the arguments are swapped"),
    (lambda s, y, x: s.end(x + s.attn(y, x)), "LayerNorm forgotten"),
    (lambda s, y, x: s.end(x + s.attn(y, s.ln1(x))), "it belongs before the latents"),
    (lambda s, y, x: s.end(x + s.attn(s.ln1(y), s.ln1(x))), "ln1 stands before the inputs, too"),
    (lambda s, y, x: s.end(s.attn(s.ln1(y), x)), "the inputs themselves are lost"),
    (lambda s, y, x: s.end(x.add_(s.attn(s.ln1(y), x).detach())), "changed in place"),
]
NUMBER_MISTAKES = [
    ("dependencies", dependencies_by(lambda g: g.any(dim=-1).T), "transposed"),
    ("dependencies", dependencies_by(lambda g: g.abs().cumsum(dim=0).any(dim=-1)), "rows add up"),
    ("dependencies", dependencies_by(lambda g: (g.abs() > 1e-4).any(dim=-1)), "small effects are missed"),
    ("dependencies", dependencies_by(lambda g: g.sum(dim=-1) != 0), "added up, and cancel"),
    ("dependencies", dependencies_by(lambda g: g.norm(dim=-1)), "truth values are expected"),
    ("share_past", lambda lengths, m: sum(n > m for n in lengths) / len(lengths), "rows are counted"),
    (
        "share_past",
        lambda lengths, m: sum(max(0, n - m) / n for n in lengths) / len(lengths),
        "the mean of each row's share",
    ),
    ("share_past", lambda lengths, m: sum(n - m for n in lengths) / sum(lengths), "are subtracted"),
    ("share_past", lambda lengths, m: reference.share_past(lengths, m + 1), "position m is the first"),
    ("share_past", lambda lengths, m: reference.share_past(lengths, m - 1), "still makes a latent"),
    ("share_past", lambda lengths, m: 1 - reference.share_past(lengths, m), "before the horizon"),
    ("share_past", lambda lengths, m: 100 * reference.share_past(lengths, m), "not in percent"),
    ("last_positions", lambda n, m: (n - m)[:, None] + torch.arange(m), "negative positions"),
    (
        "last_positions",
        lambda n, m: ((n - m)[:, None] + torch.arange(m)).clamp(min=0),
        "some come twice",
    ),
    ("last_positions", lambda n, m: latent_positions(n, m) + 1, "off by one"),
    ("last_positions", lambda n, m: torch.arange(9 - m, 9).expand(4, m), "each has its own length"),
    ("last_positions", lambda n, m: latent_positions(n, m).flip(1), "last first"),
    ("attention_cost", lambda L, T, m: L * T * T, "this is vanilla"),
    ("attention_cost", lambda L, T, m: 2 * T * T + (L - 2) * m * m, "grows with l²"),
    ("attention_cost", lambda L, T, m: L * m * m, "does not grow with l"),
    ("attention_cost", lambda L, T, m: L * T * m, "every layer is charged for l"),
    ("attention_cost", lambda L, T, m: 2 * T + (L - 2) * m * m, "cost l alone"),
    ("attention_cost", lambda L, T, m: 2 * T * m, "the L - 2 inner layers are not there"),
    ("attention_cost", lambda L, T, m: 2 * T * m + m * m, "the L - 2 inner layers are not there"),
    ("attention_cost", lambda L, T, m: 2 * T * m + (L - 2) * m, "it compares m latents with m"),
    ("attention_cost", lambda L, T, m, d: (2 * T * m + (L - 2) * m * m) * d * d, "d²"),
    ("attention_cost", lambda L, T, m, d: 2 * T * m + (L - 2) * m * m, "d is taken, but changes nothing"),
    ("attention_cost", lambda L, T, m: 2 * T * m + (L - 2) * m**3, "does not grow as"),
]
MISTAKES = (
    [("DownProjectBlock", attempt, says) for attempt, says in DOWN_MISTAKES]
    + [("UpProjectBlock", up(forward), says) for forward, says in UP_MISTAKES]
    + NUMBER_MISTAKES
)


@pytest.mark.parametrize(("name", "attempt", "says"), MISTAKES, ids=[f"{m[0]}: {m[2]}" for m in MISTAKES])
def test_each_mistake_is_named(name, attempt, says):
    result = run_check(name, attempt)
    assert result.state == FAILED and says in result.mistake, str(result)


@pytest.mark.parametrize(
    ("name", "attempt"),
    [
        ("DownProjectBlock", FromScratch),
        ("DownProjectBlock", DownProjectBlock),
        ("UpProjectBlock", UpFromScratch),
        ("UpProjectBlock", UpProjectBlock),
        ("last_positions", lambda n, m: latent_positions(n, m).tolist()),
        ("attention_cost", lambda L, T, m: T * m + L * m**2),
        ("attention_cost", lambda L, T, m, d: 7 * (T * m + 3 * (L - 2) * m * m) * d),
    ],
)
def test_other_right_answers_pass_and_leave_the_generator_alone(name, attempt):
    state = torch.get_rng_state()
    result = run_check(name, attempt)
    assert result.state == PASSED and result.points == EXERCISES[name].points, str(result)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_class_with_open_methods_is_not_attempted():
    def todo(self, *_):
        raise NotImplementedError

    for name, own in (("DownProjectBlock", down), ("UpProjectBlock", up)):
        assert run_check(name, own(todo)).state == NOT_ATTEMPTED
        assert run_check(name, own(__init__=todo)).state == NOT_ATTEMPTED


def test_dependencies_of_a_model_are_the_mask():
    model, seen = tiny_model(std=0.5).double(), []
    model.tok_emb.register_forward_hook(lambda layer, ids, x: seen.append(x))
    logits, _ = model(torch.arange(2, 8)[None])
    assert torch.equal(reference.dependencies(seen[0], logits), causal_mask(6))


def test_shares_by_hand():
    assert reference.share_past([5, 3], 4) == 1 / 8
    assert reference.share_past([5, 3], 0) == 1


# Figures.


def words(figure):
    figure.draw_without_rendering()
    found = [t.get_text() for legend in figure.legends for t in legend.get_texts()]
    for axes in figure.axes:
        found += [t.get_text() for t in (*axes.texts, axes.xaxis.label, axes.yaxis.label)]
        found += [axes.get_title(loc="left"), axes.get_title()]
        found += [t.get_text() for t in (axes.get_legend().get_texts() if axes.get_legend() else ())]
    return found


ROWS = [
    {"seed": seed, "variant": variant, "m": m, "correct": correct, "total": 50, "loss": 1.0, "seconds": 1.0}
    for seed in (0, 1)
    for variant, m, correct in (("vanilla", None, 40), ("perceiver", 8, 5), ("perceiver_ar", 8, 20))
]
STARTS = [
    {"diagonals": d, "correct": 10 + d, "total": 100, "curve": [{"step": s, "loss": 1 / s} for s in (1, 2)]}
    for d in (False, True)
]
MASK = causal_mask(6)
CASES = {
    "diagram": (figures.bottleneck_diagram(5), ["down", "up", "m × d", "basis C, m × d"]),
    "masks": (
        figures.mask_panels({"a": MASK, "b": MASK[:3]}, [("q", "k"), ("latent", "input")]),
        ["a", "latent", "input"],
    ),
    "share": (figures.share_curve([8, 16], {"ours": [0.5, 0.1]}, {"theirs": (16, 0.2)}), ["ours", "theirs"]),
    "maps": (
        figures.attention_maps({"x": torch.eye(3), "y": torch.eye(3)}, "a b"),
        ["x", "latent: who reads"],
    ),
    "start": (
        figures.start_curves(STARTS, {False: "far", True: "near"}),
        ["far: 10.0 % right on dev", "near: 11.0 % right on dev"],
    ),
    "sweep": (figures.bottleneck_sweep(ROWS, 5.0), ["perceiver", "perceiver_ar", "latents m"]),
    "saved": (figures.saved_lines([2, 4, 8], {"all": [0.1, 0.2, 0.3]}, at=(4, "here")), ["all", "here"]),
    "table": (figures.table(["", "one"], [["x", "1"], ["y", "2"]]), ["one", "x", "2"]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_figure_shows_its_data(name):
    figure, expected = CASES[name]
    found = words(figure)
    assert all(text in found for text in expected), found
    figure.savefig(io.BytesIO(), format="png")


def test_the_dependence_picture_tells_hidden_from_future_and_silent():
    """m = 2 of 4 inputs: of the perceiver's 10 causal pairs one is hidden; perceiver_ar has two rows."""
    seen = causal_mask(4)
    seen[3, 2] = False
    figure = figures.dependence({"perceiver": seen, "perceiver_ar": causal_mask(4)[2:]}, horizon=2)
    counts = []
    for axes in figure.axes:
        hatches = [patch.get_hatch() for patch in axes.patches]
        counts.append((len(hatches), hatches.count("////"), hatches.count("..")))
    assert counts == [(16, 1, 0), (16, 0, 8)]
    assert {"hidden, though it came before", "no output here", "horizon: input 2"} <= set(words(figure))


def test_the_sweep_pools_its_seeds():
    figure = figures.bottleneck_sweep(ROWS, 5.0)
    (bars, _) = figure.axes[0].containers
    assert_close(float(bars.lines[0].get_ydata()[0]), 10.0)  # 5 + 5 of 100
    low = bars.lines[1][0].get_ydata()[0]
    assert math.isclose(low, 5.52, abs_tol=0.01), "Wilson's interval for 10 of 100"


def test_a_config_of_the_library_is_enough_for_the_students_blocks():
    config = GPTConfig(11, 16, 4, 2, 8, 5)
    assert FromScratch(config)(torch.randn(2, 9, 8)).shape == (2, 5, 8)
