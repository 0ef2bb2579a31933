"""Notebook 03: its checks name each mistake and take other right ways; its figures show their data."""

import math

import numpy as np
import pytest
import torch

from a5lib import soft_lookup
from a5lib.classroom import exercises  # noqa: F401  registers the exercises
from a5lib.classroom.checks import EXERCISES, FAILED, PASSED, run_check
from a5lib.display import sampled_keys as figures

NAMES = {
    "query_for_both": 1,
    "score_noise": 1,
    "working_beta": 1,
    "stretched_keys": 0.5,
    "one_head_weight": 0.5,
    "one_head_variance": 0.5,
    "share_undecided": 0.5,
    "two_queries": 1,
    "first_head_weight": 1,
    "switch_norm": 0.5,
    "variance_left": 0.5,
}

RIGHT_STD = math.sqrt(0.5)


def keys_with(
    length_std=RIGHT_STD, centre=1.0, noise=math.sqrt, scaled=False, width=None, shared=False, own=True
):
    """A way to draw stretched keys with one thing wrong."""

    def draw(mean, alpha, samples, generator):
        generator = generator if own else None
        count = 1 if shared else samples
        length = centre + length_std * torch.randn(count, 1, generator=generator, dtype=mean.dtype)
        z = torch.randn(samples, width or len(mean), generator=generator, dtype=mean.dtype)
        z = noise(alpha) * z
        return length * (mean + z) if scaled else length * mean + z

    return draw


def noise_across_only(mean, alpha, samples, generator):
    keys = keys_with()(mean, alpha, samples, generator)
    length = 1 + RIGHT_STD * torch.randn(samples, 1, generator=generator, dtype=mean.dtype)
    return keys + (length - keys @ mean[:, None]) * mean


def simulated(beta, samples=100_000):
    """α_a of one head by simulation, drawn from the global generator, as a reader may do it."""
    return torch.sigmoid(beta * math.sqrt(0.5) * torch.randn(samples))


def a_length_for_each_coordinate(mean, alpha, samples, generator):
    length = 1 + RIGHT_STD * torch.randn(samples, len(mean), generator=generator, dtype=mean.dtype)
    noise = torch.randn(samples, len(mean), generator=generator, dtype=mean.dtype)
    return length * mean + math.sqrt(alpha) * noise


def longer_than_needed(means, a, b, beta):
    """With a part that no mean sees."""
    unseen = torch.linalg.svd(means).Vh[-1]
    return beta * (means[a] + means[b]) + unseen


def with_b_at_beta(norm, beta, n):
    return soft_lookup.one_head_weight(norm, beta, n)


def phi(x):
    return soft_lookup.normal_cdf(x)


def share(weight):
    return ((weight > 0.01) & (weight < 0.99)).double().mean()


MISTAKES = [
    ("query_for_both", lambda m, a, b, beta: m[a] + m[b], "does not grow with β"),
    ("query_for_both", lambda m, a, b, beta: beta * (m[a] + m[b]) / 2, "half of that"),
    ("query_for_both", lambda m, a, b, beta: beta * m[a], "only μ_a"),
    ("query_for_both", lambda m, a, b, beta: beta * m[b], "only μ_b"),
    ("query_for_both", lambda m, a, b, beta: beta * (m[a] - m[b]), "subtracted"),
    ("query_for_both", lambda m, a, b, beta: beta * m.sum(dim=0), "every mean"),
    ("query_for_both", lambda m, a, b, beta: beta * (m[a] * m[b]), "the scores q·μ of four means"),
    ("query_for_both", lambda m, a, b, beta: beta * m[[a, b]], "the shape is wrong"),
    ("query_for_both", longer_than_needed, "longer than they need"),
    ("score_noise", lambda alpha, beta: 4 * alpha * beta**2, "its root is wanted"),
    ("score_noise", lambda alpha, beta: beta * math.sqrt(2 * alpha), "one factor √2"),
    ("score_noise", lambda alpha, beta: beta * math.sqrt(alpha), "two factors √2"),
    ("score_noise", lambda alpha, beta: 2 * beta * alpha, "α is a variance"),
    ("score_noise", lambda alpha, beta: 0.0, "do not cancel"),
    ("score_noise", lambda alpha, beta: 17.0, "not the right number"),
    ("score_noise", lambda alpha, beta: "2β√α", "one number is expected"),
    ("working_beta", lambda n, alpha: math.log(19 * (n - 2) / 2), "no β meets both"),
    ("working_beta", lambda n, alpha: None, "there is a β"),
    ("working_beta", lambda n, alpha: math.log(n - 2), "too flat"),
    ("working_beta", lambda n, alpha: 30.0, "too noisy"),
    ("stretched_keys", keys_with(length_std=0.5), "you took it for the standard deviation"),
    ("stretched_keys", keys_with(length_std=0.0), "the ½ along μ is missing"),
    ("stretched_keys", keys_with(length_std=0.5**0.25), "√½ is the standard deviation"),
    ("stretched_keys", keys_with(centre=0.0), "mean is not μ"),
    ("stretched_keys", keys_with(shared=True), "an ε of its own"),
    ("stretched_keys", keys_with(noise=lambda alpha: alpha), "for its standard deviation"),
    ("stretched_keys", keys_with(noise=lambda alpha: 0.0), "no noise of variance α"),
    ("stretched_keys", keys_with(scaled=True), "multiplied by ε"),
    ("stretched_keys", keys_with(width=1), "correlated"),
    ("stretched_keys", keys_with(own=False), "the same generator gives two"),
    ("stretched_keys", noise_across_only, "in every direction, along μ too"),
    ("stretched_keys", lambda mean, alpha, samples, generator: mean, "the shape is wrong"),
    ("stretched_keys", a_length_for_each_coordinate, "leaves its direction"),
    ("one_head_weight", lambda e, beta: torch.sigmoid(beta * (1 - e)), "the weight of b"),
    ("one_head_weight", lambda e, beta: torch.sigmoid(beta * e), "the score of b is β"),
    ("one_head_weight", lambda e, beta: torch.sigmoid(e - 1), "β is missing"),
    ("one_head_weight", lambda e, beta: torch.sigmoid(beta * e - math.log(7)), "only a and b count"),
    (
        "one_head_weight",
        lambda e, beta: torch.exp(beta * e) / (torch.exp(beta * e) + math.exp(min(beta, 700))),
        "overflows",
    ),
    ("one_head_weight", lambda e, beta: 0 * e, "other weights"),
    ("one_head_variance", lambda beta: simulated(beta).std(), "the standard deviation"),
    ("one_head_variance", lambda beta: simulated(beta).square().mean(), "the squared mean must go"),
    ("one_head_variance", lambda beta: soft_lookup.one_head_variance(beta, 0.25), "you took ½ for"),
    ("one_head_variance", lambda beta: 0.25, "the limit for β"),
    ("one_head_variance", lambda beta: 0.1, "not the right number"),
    ("share_undecided", lambda beta: 1 - share(simulated(beta)), "the share of the decided"),
    ("share_undecided", lambda beta: (simulated(beta) < 0.99).double().mean(), "one side only"),
    ("share_undecided", lambda beta: 2 * phi(2 * math.log(99) / beta) - 1, "you took ½ for"),
    ("share_undecided", lambda beta: 2 * phi(math.log(99) / beta) - 1, "is β√½, not β"),
    ("share_undecided", lambda beta: 100 * soft_lookup.share_undecided(beta), "in percent"),
    ("two_queries", lambda m, a, b, beta: beta * m[[b, a]], "swapped"),
    ("two_queries", lambda m, a, b, beta: beta * (m[[a, a]] + m[[b, b]]), "both heads ask the same"),
    ("two_queries", lambda m, a, b, beta: m[[a, b]], "do not grow with β"),
    ("two_queries", lambda m, a, b, beta: beta * m[[a, b]] / 2, "half as long"),
    ("two_queries", lambda m, a, b, beta: beta * (m[a] + m[b]), "the shape is wrong"),
    ("two_queries", lambda m, a, b, beta: beta * (m[[a, b]] - m[[b, a]]), "a row for each head"),
    ("first_head_weight", lambda e, beta, n: torch.sigmoid(beta * e - math.log(n)), "n - 1 others, not n"),
    ("first_head_weight", lambda e, beta, n: torch.sigmoid(beta * e - math.log(n - 2)), "b is one of them"),
    ("first_head_weight", lambda e, beta, n: torch.sigmoid(beta * (e - 1)), "one head's weight"),
    ("first_head_weight", with_b_at_beta, "b's score is 0, not β"),
    ("first_head_weight", lambda e, beta, n: torch.sigmoid(beta * e), "the others are left out"),
    (
        "first_head_weight",
        lambda e, beta, n: torch.sigmoid(math.log(n - 1) - beta * e),
        "weight of the others",
    ),
    ("first_head_weight", lambda e, beta, n: torch.sigmoid(beta * e - math.log(n - 1)) / 2, "half of it"),
    (
        "first_head_weight",
        lambda e, beta, n: torch.exp(beta * e) / (torch.exp(beta * e) + n - 1),
        "overflows",
    ),
    ("switch_norm", lambda beta, n: math.log(n) / beta, "n - 1 others, not n"),
    ("switch_norm", lambda beta, n: math.log(n - 2) / beta if n > 3 else 0.0, "b is one of them"),
    ("switch_norm", lambda beta, n: math.log(n - 1), "β is missing"),
    ("switch_norm", lambda beta, n: 1.0, "a single head"),
    ("switch_norm", lambda beta, n: beta / math.log(n - 1), "turned over"),
    ("variance_left", lambda s: phi(-1 / math.sqrt(s)), "that is P(ε < 0)"),
    ("variance_left", lambda s: 4 * soft_lookup.two_head_limit(s), "the quarter is missing"),
    ("variance_left", lambda s: 2 * soft_lookup.two_head_limit(s), "not a half"),
    ("variance_left", lambda s: math.sqrt(soft_lookup.two_head_limit(s)), "the standard deviation"),
    ("variance_left", lambda s: phi(-1 / s) * phi(1 / s) / 4, "the argument is the variance"),
]


@pytest.mark.parametrize(("name", "attempt", "says"), MISTAKES, ids=[f"{m[0]}: {m[2]}" for m in MISTAKES])
def test_each_mistake_is_named(name, attempt, says):
    result = run_check(name, attempt)
    assert result.state == FAILED and says in str(result), str(result)


OTHER_WAYS = {
    "query_for_both": lambda m, a, b, beta: (m[a] * beta + beta * m[b]).float(),
    "score_noise": lambda alpha, beta: torch.tensor(4 * alpha * beta**2).sqrt(),
    "working_beta": lambda n, alpha: (
        None
        if 2 * math.sqrt(alpha) * math.log(9.5 * (n - 2)) > 0.2
        else min(0.1 / math.sqrt(alpha + 1e-12), 50)
    ),
    "stretched_keys": lambda mean, alpha, samples, generator: (
        torch.distributions.MultivariateNormal(mean, alpha * torch.eye(3) + torch.outer(mean, mean) / 2).loc
        + torch.randn(samples, 3, generator=generator).double()
        @ torch.linalg.cholesky(alpha * torch.eye(3) + torch.outer(mean, mean) / 2).T
    ),
    "one_head_weight": lambda e, beta: torch.stack([beta * e, torch.full_like(e, beta)]).softmax(dim=0)[0],
    "one_head_variance": lambda beta: simulated(beta).var(),
    "share_undecided": lambda beta: share(simulated(beta)),
    "two_queries": lambda m, a, b, beta: torch.stack([beta * m[a], beta * m[b]]),
    "first_head_weight": lambda e, beta, n: 1 / (1 + (n - 1) * torch.exp(-beta * e)),
    "switch_norm": lambda beta, n: torch.tensor(n - 1.0).double().log() / beta,
    "variance_left": lambda s: ((1 + math.sqrt(s) * torch.randn(100_000)) < 0).double().var() / 4,
}


@pytest.mark.parametrize("name", NAMES)
def test_other_right_ways_pass_and_the_points_are_the_assignments(name):
    torch.manual_seed(0)
    assert run_check(name, EXERCISES[name].reference).state == PASSED
    result = run_check(name, OTHER_WAYS[name])
    assert result.state == PASSED and result.points == NAMES[name], str(result)


def test_the_points_add_up_to_five_for_1c_and_three_for_1d():
    points = [EXERCISES[name].points for name in NAMES]
    assert (sum(points[:7]), sum(points[7:])) == (5, 3)


def test_a_check_leaves_the_global_generator_as_it_was():
    state = torch.get_rng_state()
    for name in NAMES:
        run_check(name, EXERCISES[name].reference)
    assert torch.equal(torch.get_rng_state(), state)
    for name in ("one_head_variance", "share_undecided", "variance_left"):
        run_check(name, OTHER_WAYS[name])
    assert torch.equal(torch.get_rng_state(), state)


# Figures.

BETAS, CLOUD = [1.0, 10.0, 100.0], np.array([[0.1, 0.2], [0.3, 0.4]])
LINES = {"one head": (BETAS, [0.02, 0.2, 0.25]), "two heads": (BETAS, [0.01, 0.02, 0.018])}
FIGURES = {
    "map": (
        lambda: figures.averaging_map([1, 2], [0.1, 1], np.eye(2), 8, flat=1.5, noisy=0.3),
        ["Averaging two of 8 keys", "left of β = 1.50", "= 0.30"],
    ),
    "streaks": (
        lambda: figures.streaks(np.ones((2, 5, 2)), np.ones((3, 5, 3))),
        ["In the plane", "along $μ_c$", "$k_c$"],
    ),
    "histograms": (
        lambda: figures.weight_histograms(
            {1: np.full(9, 0.5), 30: np.r_[np.zeros(6), np.ones(3)]},
            {1: ([0, 1], [1, 1]), 30: ([0, 1], [1, 1])},
        ),
        ["β = 30", "↑ 17", "↑ 8"],  # bars .04 wide: 6/9 and 3/9 of the samples
    ),
    "curves": (
        lambda: figures.variance_curves(
            LINES, {name: [(10, 0.1, 0.01)] for name in LINES}, {"one head": 0.25, "two heads": 0.0181}
        ),
        ["limit 0.0181", "two heads, samples ± 2 s.e."],
    ),
    "norm": (
        lambda: figures.weight_against_norm(
            [-1, 0, 1], {"one": [0, 0.1, 1]}, [0.1, 0.2, 0.1], {"ε* = 0.2": 0.2}, negative=0.0786
        ),
        ["7.9 % of the samples", "ε* = 0.2", "one"],
    ),
    "clouds": (
        lambda: figures.output_clouds({"left": CLOUD, "right": CLOUD}, np.array([[-1, 0], [1, 0], [0, -1]])),
        ["left", "right", "wanted", "$v_b$"],
    ),
    "heads": (
        lambda: figures.variance_by_heads([2, 4], {"same": [(0.02, 0.001)] * 2}, [0.02, 0.01]),
        ["same", "falling as 1 / heads"],
    ),
    "remedies": (lambda: figures.remedies({"a": (0.1, 0.2), "b": (1e-4, 1e-4)}), ["a", "0.2", "0.0001"]),
}


def texts(figure):
    figure.draw_without_rendering()
    found = []
    for axes in figure.axes:
        legend = axes.get_legend()
        found += [axes.title, *axes.texts, axes.xaxis.label, axes.yaxis.label, *axes.get_yticklabels()]
        found += [axes.zaxis.label] if hasattr(axes, "zaxis") else []
        found += legend.get_texts() if legend else []
    return "\n".join(
        [text.get_text() for text in found] + [axes.get_title(loc="left") for axes in figure.axes]
    )


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_shows_its_data(name):
    make, expected = FIGURES[name]
    shown = texts(make())
    assert all(text in shown for text in expected), shown
