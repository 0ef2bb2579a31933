"""A closed form is worth its equality with what is counted; a meter, with a case done by hand."""

import math
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from a5lib.complexity import (
    AttentionShape,
    ModelShape,
    Point,
    along,
    attention_share,
    count_flops,
    counting,
    crossing,
    flops,
    growth,
    layers,
    measuring,
    multiply_adds,
    pays_from,
    saved_by_bottleneck,
    saved_by_halving,
    slope,
    sweep,
    workloads,
)
from a5lib.complexity.exponents import t_quantile
from a5lib.complexity.instruments import LiveBytes, kept_pages, peak_bytes
from a5lib.complexity.workloads import WrittenOut
from a5lib.display import complexity as figures
from a5lib.errors import InputError
from a5lib.model import VARIANTS, WITH_BOTTLENECK, GPTConfig, build_model

HANDOUT = GPTConfig(256, block_size=128, n_layer=4, n_head=8, n_embd=256, bottleneck_dim=64)
TINY = GPTConfig(5, block_size=4, n_layer=3, n_head=1, n_embd=2, bottleneck_dim=2)
SMALL = GPTConfig(11, block_size=64, n_layer=4, n_head=2, n_embd=16, bottleneck_dim=8)
COMPARED = ("vanilla", *WITH_BOTTLENECK)  # of different costs in attention


# In closed form.


def test_tiny_models_by_hand():
    """l = 4, m = 2, L = 3, d = 2, V = 5, term by term."""
    assert multiply_adds(TINY, "vanilla", 4) == {
        "scores and sums": 3 * 2 * 16 * 2,
        "projections": 3 * 4 * 4 * 4,
        "MLPs": 3 * 8 * 4 * 4,
        "head": 4 * 2 * 5,
    }
    assert multiply_adds(TINY, "perceiver", 4) == {
        "scores and sums": 2 * (2 * 4 * 2 * 2) + 2 * 4 * 2,
        "projections": (2 * 6 + 2 * 4 + 2 * 6) * 4,
        "MLPs": 8 * (2 + 2 + 4) * 4,
        "head": 4 * 2 * 5,
    }
    assert multiply_adds(TINY, "perceiver_ar", 4) == {
        "scores and sums": 2 * 4 * 2 * 2 + 2 * (2 * 4 * 2),
        "projections": (2 * 6 + 2 * 4 + 2 * 4) * 4,
        "MLPs": 8 * 3 * 2 * 4,
        "head": 2 * 2 * 5,
    }


@pytest.mark.parametrize(
    ("variant", "alone", "whole"),
    [("vanilla", 33_554_432, 444_596_224), ("perceiver", 12_582_912, 272_629_760)],
)
def test_the_handouts_shape(variant, alone, whole):
    parts = multiply_adds(HANDOUT, variant, 128)
    assert (parts["scores and sums"], sum(parts.values())) == (alone, whole)


@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 9), st.integers(1, 500))
def test_linear_terms_hide_the_square_until_6d(n_layer, n_head, width, half):
    """The share is l / (l + 6d + V/2L), and so much more than a half is saved by halving l."""
    config = GPTConfig(40, 2 * half, n_layer, n_head, n_head * width)
    length, d = 2 * half, config.n_embd
    assert attention_share(config, "vanilla", length) == pytest.approx(
        length / (length + 6 * d + 40 / (2 * n_layer))
    )
    cost = [sum(multiply_adds(config, "vanilla", n).values()) for n in (half, length)]
    assert saved_by_halving(config, length) == pytest.approx(1 - cost[0] / cost[1])


def test_where_three_quarters_are_saved_and_where_not():
    alone = [multiply_adds(HANDOUT, "vanilla", n)["scores and sums"] for n in (64, 128)]
    assert alone[0] / alone[1] == 0.25
    assert saved_by_halving(HANDOUT, 128) == pytest.approx(0.519, abs=1e-3)
    assert saved_by_halving(HANDOUT, 6 * 256 + 256 // 8) == 0.625  # half of it attention: ½ + ¼ · ½
    assert saved_by_halving(HANDOUT, 2**20) == pytest.approx(0.75, abs=1e-3)
    assert saved_by_bottleneck(HANDOUT, "perceiver", 128) == pytest.approx((0.625, 0.387), abs=1e-3)


@given(st.integers(2, 5), st.integers(1, 40), st.sampled_from(WITH_BOTTLENECK))
def test_a_bottleneck_pays_from_the_first_input_that_is_no_latent(n_layer, m, variant):
    config = GPTConfig(9, m + 1, n_layer, 1, 4, m)
    assert layers(config, variant, m) == layers(config, "vanilla", m)
    assert pays_from(config, variant) == m + 1
    with pytest.raises(InputError, match="vanilla never"):
        pays_from(config, "vanilla")


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (lambda L, n, m: 2 * n * m + (L - 2) * m * m, (1, 1, 2, 0, 2, None)),
        (lambda L, n, m: 0.5 * n * m + 9 * L * m**2, (1, 1, 2, 0, 2, None)),
        (lambda L, n, m, d: (2 * n * m + (L - 2) * m * m) * d, (1, 1, 2, 0, 2, 1)),
        (lambda L, n, m: L * n * n, (2, 0, 0, 2, 0, None)),
        (lambda L, n, m: n * n + (L - 1) * m * m, (2, 0, 2, 0, 2, None)),
        (lambda L, n, m: L * n * m, (1, 1, 1, 1, 1, None)),
        (lambda L, n, m: 2 * n * m, (1, 1, 1, math.nan, math.nan, None)),
        (lambda L, n, m: L * m * m, (0, 2, 2, 0, 2, None)),
        (lambda L, n, m, d: n * d * d + (L - 2) * m * m * d, (1, 0, 2, 0, 2, 1.15)),
    ],
)
def test_growth(f, expected):
    for got, power in zip(growth(f), expected, strict=True):
        assert got == power if power is None else got == pytest.approx(power, abs=0.05, nan_ok=True)


# Counted.

SHAPES = [(HANDOUT, 128), (SMALL, 9), (SMALL, 5), (GPTConfig(7, 33, 2, 3, 12, 32), 33)]  # l > m, l < m, ...


def torchs_count(config, variant, length, backward=False):
    """Matrix products as torch's own counter sees them."""
    shape = ModelShape(config, variant, length, fused=False)
    run = shape.run(1, "meta")
    with FlopCounterMode(display=False) as counter:
        output = run.forward()
        if backward:
            run.backward(output)
    return counter.get_total_flops()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("config", "length"), SHAPES)
def test_what_is_counted_is_the_closed_form(config, length, variant):
    """Torch's counter for the matrix products, the way back twice the way there; our ledger for all."""
    expected = flops(config, variant, length)
    assert torchs_count(config, variant, length) == expected["matrix products"]
    assert torchs_count(config, variant, length, backward=True) == 3 * expected["matrix products"]
    assert count_flops(config, variant, length) == expected


def test_no_operation_goes_uncounted(monkeypatch):
    monkeypatch.delitem(counting.PRICES, "gelu")
    with pytest.raises(NotImplementedError, match="gelu.* has no price"):
        count_flops(SMALL, "vanilla", 8)


@pytest.mark.parametrize("variant", VARIANTS)
def test_written_out_it_is_the_same_model_with_data_and_without(variant):
    model = build_model(variant, SMALL).eval()
    ids = torch.randint(1, 11, (1, 40), generator=torch.Generator().manual_seed(0))
    fused, _ = model(ids)
    with WrittenOut(), FlopCounterMode(display=False) as counter:
        assert_close(model(ids)[0], fused)
    assert counter.get_total_flops() == flops(SMALL, variant, 40)["matrix products"]


def test_written_out_keeps_to_what_it_was_asked_for():
    """A mask, none, or the causal one."""
    q, k, v = torch.randn(3, 1, 2, 6, 4, generator=torch.Generator().manual_seed(0)).unbind()
    for asked in ({}, {"is_causal": True}, {"attn_mask": torch.eye(6, dtype=torch.bool)}):
        fused = F.scaled_dot_product_attention(q, k, v, **asked)
        with WrittenOut():
            assert_close(F.scaled_dot_product_attention(q, k, v, **asked), fused)


# Measured.


def test_live_bytes_by_hand():
    """1,000 numbers of 4 bytes each; what was there before and what only views do not count."""
    x = torch.zeros(1000)
    with LiveBytes() as live:
        y = x + 1
        z = (y * 2).view(10, 100).T
        assert (live.now, live.peak) == (8000, 8000)
        del y
        x.add_(1)
        assert live.now == 4000
        z = z.sum()
        assert live.now == 4
    assert live.peak == 8000


def test_live_bytes_sees_what_waits_for_the_way_back():
    """exp keeps its result, tanh its own, both until the graph goes; 3 gradients come and go by turns."""
    x = torch.zeros(1000, requires_grad=True)
    with LiveBytes() as live:
        y = x.exp().tanh().sum()
        assert live.now == 2 * 4000 + 4
        del y
        assert live.now == 0
    with torch.no_grad():
        assert peak_bytes(lambda: x.exp().tanh().sum()) == 8000


def training_bytes(queries, keys, fused, device="cpu"):
    return AttentionShape(SMALL, queries, keys, fused).run(1, device).training_bytes(device)


def test_unfused_memory_is_quadratic_and_fused_memory_linear():
    lengths = (128, 256, 512)
    assert slope({n: [training_bytes(n, n, False)] for n in lengths}).value == pytest.approx(2, abs=0.1)
    assert slope({n: [training_bytes(n, n, True)] for n in lengths}).value == pytest.approx(1, abs=0.01)
    assert slope({n: [training_bytes(8, n, False)] for n in lengths}).value == pytest.approx(1, abs=0.05)


def test_memory_is_foretold_without_data():
    assert training_bytes(64, 64, False, "meta") == training_bytes(64, 64, False)
    for variant in VARIANTS:
        shape = ModelShape(SMALL, variant, 64, fused=False)
        assert shape.run(1, "meta").training_bytes("meta") == shape.run(1, "cpu").training_bytes("cpu")


def one_at_a_time(monkeypatch):
    for name in ("SCORES", "WORK"):
        monkeypatch.setattr(workloads, name, {"cpu": 1})


def points(lengths, latents=8):
    return [Point(variant, n, latents) for n in lengths for variant in COMPARED]


def test_attention_is_the_sum_over_layers_of_one_sequence(monkeypatch):
    """With a clock that ticks once a look, a shape's time is 1 / its batch."""
    monkeypatch.setattr(workloads, "SCORES", {"cpu": 2**12})
    ticks = iter(range(10**6))
    monkeypatch.setattr(measuring, "clock", lambda device: next(ticks))
    costs = sweep(SMALL, points([16, 32]), rounds=2, seconds=math.inf)

    def one(queries, keys):  # 2 heads
        return 1 / math.ceil(2**12 / (2 * queries * keys))

    expected = {
        "vanilla": 4 * one(32, 32),
        "perceiver": one(8, 32) + 2 * one(8, 8) + one(32, 8),
        "perceiver_ar": one(8, 32) + 3 * one(8, 8),
    }
    for variant, seconds in expected.items():
        cost = costs[Point(variant, 32, 8)]
        assert cost.forward == cost.backward == pytest.approx((seconds, seconds))
    assert along(costs, "vanilla") == {n: (8 * one(n, n), 8 * one(n, n)) for n in (16, 32)}


@pytest.mark.parametrize("what", ["attention", "model"])
@pytest.mark.parametrize("fused", [False, True])
def test_a_sweep_measures_all_that_fits(what, fused, monkeypatch):
    one_at_a_time(monkeypatch)
    costs = sweep(SMALL, points([16, 32]), what, fused, rounds=3)
    assert list(costs) == points([16, 32])
    for cost in costs.values():
        assert len(cost.training) == 3 and min(cost.forward + cost.backward) > 0
        assert cost.training_bytes > 0


def test_a_sweep_keeps_to_its_budget(monkeypatch):
    one_at_a_time(monkeypatch)
    limit = training_bytes(32, 32, False)
    fits = sweep(SMALL, points([16, 32, 64]), rounds=1, max_bytes=limit)
    assert set(points([16, 32, 64])) - set(fits) == {Point("vanilla", 64, 8)}
    assert list(sweep(SMALL, points([16, 32]), rounds=1, seconds=0)) == points([16])[:1]
    with pytest.raises(InputError, match="attention or model"):
        sweep(SMALL, points([16]), "layer")


def test_over_latents_vanilla_is_measured_once(monkeypatch):
    one_at_a_time(monkeypatch)
    costs = sweep(SMALL, [*points([32], 4), *points([32], 8)], "model", fused=True, rounds=1)
    assert costs[Point("vanilla", 32, 4)] == costs[Point("vanilla", 32, 8)]
    assert along(costs, "perceiver", "training_bytes", "latents").keys() == {4, 8}


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc's malloc")
def test_large_tensors_come_without_fresh_pages():
    import resource

    def faults():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        # 64 MiB, beyond the largest threshold of malloc's own; several, for what lies behind the last one may
        # be taken meanwhile, and glibc before 2.38 wants more room for an aligned piece than the piece has.
        tensors = [torch.ones(2**24) for _ in range(4)]
        del tensors
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    usual = min(faults() for _ in range(3))
    with kept_pages():
        kept = min(faults() for _ in range(6))  # the heap may have to grow a few times
    assert kept < usual / 100


@pytest.mark.slow
def test_the_measured_exponents_are_the_theorys():
    """Attention alone, written out: within 0.15 of 2 and of 1 over the two largest octaves."""
    config = GPTConfig(256, 4096, 4, 4, 128, 64)
    costs = sweep(config, points([1024, 2048, 4096], 64), rounds=3)
    for variant, power in (("vanilla", 2), ("perceiver", 1), ("perceiver_ar", 1)):
        for value in ("forward", "training"):
            assert slope(along(costs, variant, value)).value == pytest.approx(power, abs=0.15)


# What measurements say.


def test_a_slope_by_hand():
    """Points (0, 0), (1, 1), (2, 3): slope 3/2, squares left 1/6, of 1 degree of freedom."""
    found = slope({1: [1], math.e: [math.e], math.e**2: [math.e**3]})
    assert found == pytest.approx((1.5, 1.5 - 12.7062 * math.sqrt(1 / 12), 1.5 + 12.7062 * math.sqrt(1 / 12)))
    for too_few in ({1: [1], 2: [2]}, {3: [1, 2, 3]}):
        with pytest.raises(ValueError, match="three measurements"):
            slope(too_few)


def test_a_slope_may_look_at_the_last_octaves_only():
    series = {n: [n if n < 8 else n**3 / 64] for n in (1, 2, 4, 8, 16, 32)}
    assert slope(series, octaves=2) == pytest.approx((3, 3, 3))


def test_the_interval_holds_the_slope_95_times_in_100():
    """400 lines of 3 x with 3 noisy values each; 4 standard errors of a share of 400 are 0.044."""
    generator = torch.Generator().manual_seed(0)
    inside = 0
    for noise in torch.randn(400, 3, 3, generator=generator, dtype=torch.float64):
        found = slope({n: (n**1.7 * (0.1 * e).exp()).tolist() for n, e in zip((1, 2, 4), noise, strict=True)})
        inside += found.low < 1.7 < found.high
    assert inside / 400 == pytest.approx(0.95, abs=0.044)


def test_students_t_as_in_the_tables():
    table = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 7: 2.365, 10: 2.228, 30: 2.042, 100: 1.984}
    assert {n: round(t_quantile(n), 3) for n in table} == table


def test_crossing():
    """10x and x² meet at 10, wherever they are looked at; the middle of three values counts."""
    x = (1, 4, 16, 64)
    line, square = {n: (10 * n, 10 * n, 999) for n in x}, {n: (n * n,) for n in x}
    assert crossing(line, square) == pytest.approx(10)
    assert crossing(line, line) is None
    assert crossing({1: (0.9,), **dict(list(line.items())[1:])}, square) == pytest.approx(10)  # for good
    assert crossing(line, {n: (11 * n,) for n in x}) == 1


def test_figures_tell_slopes_totals_and_shares():
    line = {n: (n * 1e-3, n * 1.1e-3) for n in (1, 2, 4, 8)}
    for draw in (figures.time_against, figures.memory_against):
        shown = draw({"a line": line, "one": {n: (n * n,) for n in line}}, "title")
        shown.draw_without_rendering()
        labels = [text.get_text() for text in shown.legends[0].get_texts()]
        assert labels[0].startswith("a line\nslope 1.00  (0.88") and labels[1] == "one\nslope 2.00"
        ticks = [text.get_text() for text in shown.axes[0].get_yticklabels()]
        assert ("10 ms" if draw is figures.time_against else "0.01 kB") in ticks
    bars = figures.where_multiply_adds_go({v: multiply_adds(HANDOUT, v, 128) for v in COMPARED}, "title")
    assert [text.get_text().strip() for text in bars.axes[0].texts] == ["445", "273", "224"]
