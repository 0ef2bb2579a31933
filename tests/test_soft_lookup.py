"""Part 1's closed forms: the assignment's numbers, exact algebra, and simulations of the look-up itself.

A simulation uses a fixed seed and must lie within FAR standard errors of its closed form: that is no
chance event on any run, and another seed would fail once in 16,000 comparisons.
"""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from a5lib import soft_lookup
from a5lib.soft_lookup import (
    attention_weights,
    look_up,
    look_up_heads,
    orthonormal_rows,
    projection,
    sample_keys,
    spread,
    subspaces,
)

FAR, N, D, SAMPLES = 4, 8, 16, 20_000
ALPHA = 1e-8  # "vanishingly small": it moves no closed form by as much as a hundredth of a standard error


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def means():
    return orthonormal_rows(N, D, seeded(1))


@pytest.fixture(scope="module")
def values():
    return torch.randn(N, 5, generator=seeded(2), dtype=torch.float64)


@pytest.fixture(scope="module")
def stretched(means):
    """Keys of question 1(c)-ii, 20,000 samples of all eight."""
    stretch = torch.zeros(N, dtype=torch.float64)
    stretch[0] = 0.5
    return sample_keys(means, ALPHA, stretch, SAMPLES, seeded(3))


def close(measured, expected, error):
    assert abs(measured - expected) < FAR * error, f"{measured:.5f} against {expected:.5f} ± {error:.5f}"


# The look-up.


def test_weights_and_output_equal_the_formula_written_out():
    keys, query = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([math.log(3), 0.0])
    assert attention_weights(keys, query).tolist() == pytest.approx([0.75, 0.25])
    values = torch.tensor([[4.0, 0.0], [0.0, 8.0]])
    assert look_up(keys, values, query).tolist() == pytest.approx([3.0, 2.0])


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.lists(st.floats(-50, 50), min_size=2, max_size=9), st.floats(-300, 300))
def test_weights_are_a_distribution_and_a_common_shift_of_the_scores_changes_nothing(scores, shift):
    keys = torch.tensor([[score, 1.0] for score in scores], dtype=torch.float64)
    weights = attention_weights(keys, torch.tensor([1.0, 0.0], dtype=torch.float64))
    assert (weights >= 0).all() and weights.sum().item() == pytest.approx(1)
    torch.testing.assert_close(weights, attention_weights(keys, torch.tensor([1.0, shift]).double()))


def test_batches_of_keys_and_heads_are_looked_up_one_by_one(means, values):
    keys = sample_keys(means, 0.1, None, 5, seeded())
    queries = torch.randn(3, D, generator=seeded(1), dtype=torch.float64)
    each = [sum(look_up(keys[s], values, query) for query in queries) / 3 for s in range(5)]
    torch.testing.assert_close(look_up_heads(keys, values, queries), torch.stack(each))


# Vectors to look up with.


def test_orthonormal_rows_and_what_does_not_fit():
    rows = orthonormal_rows(5, 7, seeded())
    torch.testing.assert_close(rows @ rows.T, torch.eye(5, dtype=torch.float64))
    with pytest.raises(ValueError, match="8 orthogonal directions do not fit into 7"):
        orthonormal_rows(8, 7, seeded())


@pytest.mark.parametrize("degrees", [0.0, 30.0, 60.0, 90.0])
@pytest.mark.parametrize(("dim_a", "dim_b"), [(3, 3), (2, 4), (4, 2)])
def test_subspaces_have_the_angle_that_is_asked_for(dim_a, dim_b, degrees):
    A, B = subspaces(10, dim_a, dim_b, seeded(), degrees)
    for basis, dim in ((A, dim_a), (B, dim_b)):
        torch.testing.assert_close(basis.T @ basis, torch.eye(dim, dtype=torch.float64))
    cosines = torch.linalg.svdvals(A.T @ B)  # of the principal angles
    torch.testing.assert_close(cosines, torch.full_like(cosines, math.cos(math.radians(degrees))))


def test_the_projection_gives_v_a_of_v_a_plus_v_b(means):
    A, B = subspaces(10, 3, 4, seeded())
    v_a, v_b = A @ torch.tensor([1.0, -2, 3]).double(), B @ torch.tensor([5.0, 0, 1, 2]).double()
    M = projection(A)
    torch.testing.assert_close(M @ (v_a + v_b), v_a)
    torch.testing.assert_close(M @ M, M)
    torch.testing.assert_close(M, M.T)


# 1(a) and 1(b): exact algebra.


@pytest.mark.parametrize("n", [2, 8, 1000])
@pytest.mark.parametrize("gap", [-3.0, 0.0, 5.0, 40.0])
def test_a_peak_has_the_weight_that_its_gap_gives_and_the_gap_can_be_found_back(n, gap):
    keys = torch.eye(n, dtype=torch.float64)
    weights = attention_weights(keys, gap * keys[0])
    alpha = soft_lookup.peak_weight(gap, n)
    assert weights[0].item() == pytest.approx(alpha, rel=1e-12)
    assert (alpha / weights[1:].sum()).item() == pytest.approx(math.exp(gap) / (n - 1))
    if alpha < 0.999:
        assert soft_lookup.gap_needed(alpha, n) == pytest.approx(gap, abs=1e-9)


@pytest.mark.parametrize("asked", [1, 2, 3])
@pytest.mark.parametrize("beta", [0.0, 2.0, 10.0, 800.0])
def test_averaging_fixed_keys_falls_short_as_the_formulas_say(means, values, asked, beta):
    query = beta * means[:asked].sum(dim=0)
    weights = attention_weights(means, query)
    share = soft_lookup.shared_weight(beta, N, asked)
    torch.testing.assert_close(weights[:asked], torch.full((asked,), share, dtype=torch.float64))
    assert soft_lookup.shortfall(beta, N, asked) == pytest.approx(1 / asked - share, abs=1e-15)
    missed = (look_up(means, values, query) - values[:asked].mean(dim=0)).norm()
    formula = soft_lookup.averaging_error(values, list(range(asked)), beta)
    torch.testing.assert_close(missed, formula, atol=1e-12, rtol=1e-9)


def test_the_shortfall_for_two_keys_is_the_assignments():
    for beta, n in ((1.0, 3), (4.0, 8), (9.0, 1000), (30.0, 8), (300.0, 3)):
        expected = (n - 2) / (2 * (2 * math.exp(beta) + n - 2))
        assert soft_lookup.shortfall(beta, n) == pytest.approx(expected, rel=1e-12, abs=0)


# 1(c)-i: isotropic noise.


def test_sampled_keys_have_the_mean_and_covariance_that_are_asked_for(means):
    stretch = torch.tensor([0.5, 0.0, 2.0] + [0.0] * 5, dtype=torch.float64)
    keys = sample_keys(means, 0.09, stretch, SAMPLES, seeded())
    assert keys.shape == (SAMPLES, N, D) and keys.dtype == torch.float64
    for i in range(3):
        exact = 0.09 * torch.eye(D).double() + stretch[i] * torch.outer(means[i], means[i])
        variances = exact.diagonal()
        assert ((keys[:, i].mean(dim=0) - means[i]).abs() < 5 * (variances / SAMPLES).sqrt()).all()
        error = ((torch.outer(variances, variances) + exact.square()) / SAMPLES).sqrt()  # of a covariance
        assert ((keys[:, i].T.cov() - exact).abs() < 5 * error).all()  # 5: 256 of them, three times
    together = torch.stack([keys[:, 0] @ means[0], keys[:, 2] @ means[2]])
    assert abs(together.corrcoef()[0, 1]) < FAR / math.sqrt(SAMPLES)  # each key has a norm of its own
    assert torch.equal(keys, sample_keys(means, 0.09, stretch, SAMPLES, seeded()))


def test_the_difference_of_two_scores_has_the_predicted_noise(means):
    keys = sample_keys(means, 0.003, None, SAMPLES, seeded(1))
    difference = (keys[:, 0] - keys[:, 1]) @ (7 * (means[0] + means[1]))
    std = soft_lookup.score_difference_std(0.003, 7.0)
    assert std == pytest.approx(2 * 7 * math.sqrt(0.003))
    close(difference.std().item(), std, std / math.sqrt(2 * SAMPLES))
    close(difference.mean().item(), 0.0, std / math.sqrt(SAMPLES))


def test_beyond_the_noise_border_one_head_misses_the_middle_half_of_the_time(means):
    """β√α = logit(.6) / (2 · .6745), where P(|α_a - ½| > .1) is ½; the six others are out at β = 12."""
    beta = 12.0
    alpha = (math.log(1.5) / 2 / 0.6745 / beta) ** 2
    keys = sample_keys(means, alpha, None, SAMPLES, seeded(2))
    weight = attention_weights(keys, beta * (means[0] + means[1]))[:, 0]
    close(((weight - 0.5).abs() > 0.1).double().mean().item(), 0.5, 0.5 / math.sqrt(SAMPLES))


# Quadrature.


def test_expectations_of_polynomials_are_exact():
    assert soft_lookup.expectation(lambda e: e) == pytest.approx(1, abs=1e-10)
    assert soft_lookup.variance(lambda e: e) == pytest.approx(0.5, abs=1e-10)
    assert soft_lookup.variance(lambda e: e, norm_variance=2.0) == pytest.approx(2, abs=1e-9)
    assert soft_lookup.variance(lambda e: e.square()) == pytest.approx(4 * 0.5 + 2 * 0.25, abs=1e-9)
    # The half-normal distribution, above the mean: mean √(2/π) σ, variance (1 - 2/π) σ².
    mean = 1 + math.sqrt(2 / math.pi * 0.5)
    assert soft_lookup.expectation(lambda e: e, above=1.0) == pytest.approx(mean, abs=1e-7)
    half = (1 - 2 / math.pi) * 0.5
    assert soft_lookup.variance(lambda e: e, above=1.0) == pytest.approx(half, abs=1e-7)


def test_the_spread_is_the_trace_of_the_covariance_and_its_error_is_honest():
    outputs = torch.randn(
        500, 40, 3, generator=seeded(), dtype=torch.float64
    )  # 500 experiments of 40 samples
    found = [spread(experiment) for experiment in outputs]
    assert found[0][0] == pytest.approx(outputs[0].T.cov().trace().item())
    estimates = torch.tensor([value for value, _ in found])
    reported = torch.tensor([error for _, error in found])
    close(estimates.mean().item(), 3.0, math.sqrt(6 / 39 / 500))
    assert reported.mean().item() == pytest.approx(estimates.std().item(), rel=0.15)


# 1(c)-ii: one head.


@pytest.mark.parametrize(("beta", "share"), [(4, 0.896), (10, 0.484), (30, 0.171), (100, 0.052)])
def test_the_share_of_undecided_heads(means, stretched, beta, share):
    predicted = soft_lookup.share_undecided(beta)
    assert predicted == pytest.approx(share, abs=5e-4)
    weight = attention_weights(stretched[:, :2], beta * (means[0] + means[1]))[:, 0]
    undecided = ((weight > 0.01) & (weight < 0.99)).double().mean().item()
    close(undecided, predicted, math.sqrt(predicted * (1 - predicted) / SAMPLES))


@pytest.mark.parametrize(("beta", "variance"), [(1, 0.025), (4, 0.130), (10, 0.195), (30, 0.231)])
def test_the_variance_of_one_head(means, values, stretched, beta, variance):
    predicted = soft_lookup.one_head_variance(beta)
    assert predicted == pytest.approx(variance, abs=5e-4)
    outputs = look_up(stretched[:, :2], values[:2], beta * (means[0] + means[1]))
    distance = (values[0] - values[1]).square().sum().item()
    measured, error = spread(outputs)
    close(measured / distance, predicted, error / distance)
    middle = (values[0] + values[1]) / 2  # right on average, whatever β is
    along = (outputs - middle) @ (values[0] - values[1]) / distance
    close(along.mean().item(), 0.0, along.std().item() / math.sqrt(SAMPLES))


@pytest.mark.parametrize("beta", [1.0, 4.0, 10.0])
def test_with_more_keys_one_head_is_exact_too(means, values, stretched, beta):
    """The output moves on the line from v_a to what the head finds without a."""
    query = beta * (means[0] + means[1])
    without = look_up(stretched[:, 1:], values[1:], query).mean(dim=0)
    distance = (values[0] - without).square().sum().item()
    measured, error = spread(look_up(stretched, values, query))
    close(measured / distance, soft_lookup.one_head_variance(beta, n=N), error / distance)
    norm = torch.tensor([-1.0, 0.3, 1.0, 2.0], dtype=torch.float64)
    scores = torch.stack([beta * norm, torch.full_like(norm, beta)] + [0 * norm] * (N - 2), dim=1)
    torch.testing.assert_close(soft_lookup.one_head_weight(norm, beta, N), scores.softmax(dim=1)[:, 0])


def test_one_head_tends_to_a_fair_coin():
    variances = [soft_lookup.one_head_variance(beta) for beta in (1, 10, 100, 1000)]
    assert variances == sorted(variances) and variances[-1] < 0.25
    assert variances[-1] == pytest.approx(0.25, abs=1e-3)


@pytest.mark.parametrize("beta", [1.0, 4.0, 10.0])
def test_the_density_of_the_weight_integrates_to_its_moments(beta):
    logit = torch.linspace(-60, 60, 200_001, dtype=torch.float64)
    weight = torch.sigmoid(logit)
    inside = (weight > 1e-12) & (weight < 1 - 1e-12)
    weight = weight[inside]
    density = soft_lookup.one_head_density(weight, beta)
    mass = torch.trapezoid(density, weight).item()
    variance = torch.trapezoid(density * (weight - 0.5).square(), weight).item()
    tail = 2 * soft_lookup.normal_cdf(-math.log(1e12) / (beta * math.sqrt(0.5)))
    assert mass == pytest.approx(1 - tail, abs=1e-4)
    assert variance == pytest.approx(soft_lookup.one_head_variance(beta) - tail / 4, abs=1e-4)


# 1(d)-ii: two heads.


def test_the_second_head_does_not_see_the_norm_and_the_first_switches_at_its_own(means, values, stretched):
    beta = 10.0
    second = look_up(stretched, values, beta * means[1])
    assert spread(second)[0] < 1e-6
    assert (second - values[1]).norm(dim=1).max() < 7 * math.exp(-beta) * 10
    norm = stretched[:, 0] @ means[0]
    first = attention_weights(stretched, beta * means[0])[:, 0]
    expected = soft_lookup.two_head_weight(norm, beta, N)
    torch.testing.assert_close(first, expected, atol=1e-3, rtol=1e-2)
    at = torch.tensor(soft_lookup.switch(beta, N), dtype=torch.float64)
    assert soft_lookup.two_head_weight(at, beta, N).item() == pytest.approx(0.5)
    assert at.item() == pytest.approx(math.log(7) / 10)


def test_the_share_of_negative_norms(means, stretched):
    p = soft_lookup.share_negative()
    assert p == pytest.approx(0.0786, abs=5e-5)
    negative = (stretched[:, 0] @ means[0] < 0).double().mean().item()
    close(negative, p, math.sqrt(p * (1 - p) / SAMPLES))


@pytest.mark.parametrize(("beta", "variance"), [(10.0, 0.0217), (30.0, 0.0193)])
def test_the_variance_of_two_heads(means, values, stretched, beta, variance):
    predicted = soft_lookup.two_head_variance(beta, N)
    assert predicted == pytest.approx(variance, abs=5e-5)
    distance = (values[0] - values[1:].mean(dim=0)).square().sum().item()
    measured, error = spread(look_up_heads(stretched, values, beta * means[:2]))
    close(measured / distance, predicted, error / distance)


@pytest.mark.parametrize("beta", [10.0, 30.0])
def test_above_the_switch_the_variance_vanishes(means, values, stretched, beta):
    switch = soft_lookup.switch(beta, N)
    above = stretched[stretched[:, 0] @ means[0] > switch]
    distance = (values[0] - values[1:].mean(dim=0)).square().sum().item()
    measured, error = spread(look_up_heads(above, values, beta * means[:2]))
    predicted = soft_lookup.two_head_variance(beta, N, above=switch)
    close(measured / distance, predicted, error / distance)
    assert predicted < soft_lookup.two_head_variance(beta, N) / 10


def test_two_heads_tend_to_an_unfair_coin_that_counts_half():
    p, limit = soft_lookup.share_negative(), soft_lookup.two_head_limit()
    assert limit == pytest.approx(0.0181, abs=5e-5) and limit == pytest.approx(p * (1 - p) / 4)
    gaps = [soft_lookup.two_head_variance(beta, N) - limit for beta in (10, 100, 1000)]
    assert gaps == sorted(gaps, reverse=True) and 0 < gaps[-1] < 1e-4
    assert soft_lookup.two_head_variance(1000, N, above=soft_lookup.switch(1000, N)) < 2e-5


def test_below_zero_the_first_head_finds_the_mean_of_the_others(means, values, stretched):
    """Where ε < -½, β = 30: what is left of v_a is e⁻¹⁵."""
    far_below = stretched[stretched[:, 0] @ means[0] < -0.5]
    assert len(far_below) > 200
    missed = look_up(far_below, values, 30 * means[0]) - values[1:].mean(dim=0)
    assert missed.norm(dim=1).max() < 0.02  # the noise of 30 √α = 0.003 in the others' scores


# Beyond the assignment: notebook 03, section 5.


def test_keys_of_length_1_leave_the_sign_of_the_norm(means, values, stretched):
    unit = soft_lookup.unit_length(stretched)
    torch.testing.assert_close(unit.norm(dim=-1), torch.ones(SAMPLES, N, dtype=torch.float64))
    outputs = look_up(unit[:, :2], values[:2], 10 * (means[0] + means[1]))
    distance = (values[0] - values[1]).square().sum().item()
    measured, error = spread(outputs)
    coin = soft_lookup.two_head_limit()  # ½ and 0, with 1 - p and p
    close(measured / distance, coin, error / distance)


def test_heads_that_share_their_keys_share_their_error(means, values, stretched):
    queries = 10 * means[:2]
    two, eight = (look_up_heads(stretched[:500], values, queries.repeat(k, 1)) for k in (1, 4))
    torch.testing.assert_close(two, eight)
