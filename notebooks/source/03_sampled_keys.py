# ---
# jupyter:
#   a5:
#     about: variances in closed form, one head against two
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# {{badge}}

# %% [markdown]
# # 03 · Sampled keys: a head that tosses a coin
#
# With fixed keys, one query can fetch the mean of two values: $q = \beta(k_a + k_b)$ with a large $\beta$. In a network
# no key is fixed. The same word has another key in every text, so here keys are **drawn**. One head then gives the right
# mean on average, and in hardly any single text. Two heads mend most of that. You will predict both in closed form,
# measure both, and find the part that no number of heads mends.
#
# **Needs** no earlier notebook (01 and 02 introduce the look-up). **Takes** 110 minutes of yours; the machine works about
# ten seconds.

# %% tags=["parameters"]
profile: str = ""  # smoke, quick or full; empty: full with a GPU, quick without
data: str = ""  # a folder with wiki.txt and the question files; empty: the profile's own
seed: int = 0
runs: str = ""  # where trained models are kept; empty: runs/

# %%
{{setup}}

# %% [markdown]
# ## 1 Keys that tremble
#
# There are $n$ keys. Each is drawn around a mean of its own, and the means are orthogonal, of length 1:
#
# $$k_i \sim \mathcal N(\mu_i, \alpha I), \qquad \mu_i^\top \mu_j = 0, \qquad \lVert \mu_i \rVert = 1.$$
#
# A query weighs the values as always: $\alpha_i = e^{k_i^\top q} / \sum_j e^{k_j^\top q}$ and $c = \sum_i \alpha_i v_i$.
# Beware of the letters, which are the assignment's: $\alpha$ alone is the noise's variance, $\alpha_i$ is a weight.
#
# The means are known, the keys are not. A query is trained once and then meets every draw, so it may depend on the
# means only. The task of this notebook: write a query that gets $c \approx \frac12(v_a + v_b)$.

# %%
import math

import torch

from a5lib.soft_lookup import attention_weights, look_up, orthonormal_rows, sample_keys

n, d, A, B = 8, 16, 0, 1  # eight keys of 16 numbers; a and b are the first two
means = orthonormal_rows(n, d, torch.Generator().manual_seed(seed))

# %% [markdown]
# One sample of this experiment is a whole set of $n$ keys. Written out, with the noise drawn beforehand:

# %% tags=["nbval-check-output"]
def add_noise(means, alpha, noise):
    """Keys (S, n, d) from standard normal noise (S, n, d)."""
    keys = torch.empty_like(noise)
    for s in range(len(noise)):
        for i in range(len(means)):
            keys[s, i] = means[i] + math.sqrt(alpha) * noise[s, i]
    return keys


def fresh():
    """A random generator at its start, so that every cell gives the same when it runs again."""
    return torch.Generator().manual_seed(seed + 1)


noise = torch.randn(50, n, d, generator=fresh(), dtype=torch.float64)
ours, library = add_noise(means, 0.01, noise), sample_keys(means, 0.01, None, 50, fresh())
print("equal:", torch.allclose(ours, library))

# %% [markdown]
# > **Exercise 1** · 3 minutes · easy · 1 point (question 1c-i)
# >
# > Return the shortest query whose score with $\mu_a$ and with $\mu_b$ is $\beta$, and with every other mean 0. `means` is
# > $(n, d)$, `a` and `b` are two of its rows.
#
# <details><summary>Hint</summary>
#
# What is $\mu_a^\top \mu_a$, what $\mu_a^\top \mu_b$?
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# A query along one mean has a score with that mean only. Scores add up as queries do, so take $\beta$ times the one
# mean and $\beta$ times the other. Anything orthogonal to both would add length and noise, and no score.
#
# </details>

# %%
def query_for_both(means, a, b, beta):
    """The query (d,) that asks for a and b equally."""
    ### BEGIN SOLUTION
    return beta * (means[a] + means[b])
    ### END SOLUTION


# %%
from a5lib.classroom import check

query_for_both = check("query_for_both", query_for_both)

# %% [markdown]
# ### Predict
# The noise has the variance $\alpha = 0.001$, so a key strays by about 3 % of its length in each direction. You raise
# $\beta$ from 1 over 4 to 30. How often is the weight on $a$ farther than .1 from ½?

# %%
choices = {
    "a": "ever more rarely",
    "b": "first more rarely, then more often",
    "c": "ever more often",
}
my_guess_for_beta = None  # "a", "b" or "c"

# %%
def share_off(beta, alpha, samples=4000):
    """How often the weight on a misses ½ by more than .1."""
    keys = sample_keys(means, alpha, None, samples, fresh())
    weight = attention_weights(keys, query_for_both(means, A, B, beta))[:, A]
    return ((weight - 0.5).abs() > 0.1).double().mean().item()


off = {beta: share_off(beta, 0.001) for beta in (1, 4, 30)}
print("  ".join(f"β = {beta}: {share:.2f}" for beta, share in off.items()))

# %%
from a5lib.classroom.notebook import confront

falls, rises = off[4] < off[1], off[30] > off[4]
letter = {(True, False): "a", (True, True): "b", (False, True): "c"}.get((falls, rises), "?")
confront(a5, "03 averaging and beta", my_guess_for_beta, letter, choices=choices)

# %% [markdown]
# <details><summary>Why both?</summary>
#
# A small $\beta$ leaves weight on the $n - 2$ others. A large one multiplies the noise too: the head compares $k_a^\top q$
# with $k_b^\top q$, and whichever happens to be a little larger takes all.
#
# </details>
#
# How much noise is in that comparison?
#
# > **Exercise 2** · 8 minutes · medium · 1 point (question 1c-i)
# >
# > Return the standard deviation of the difference of the two scores, $(k_a - k_b)^\top q$, for your query.
#
# <details><summary>Hint</summary>
#
# For a fixed $q$ and noise $z \sim \mathcal N(0, \alpha I)$ the number $z^\top q$ is Gaussian with the variance
# $\alpha \lVert q \rVert^2$. Here are two independent noises. How long is $q$?
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# The means contribute $\beta - \beta = 0$. The query has the squared length $2\beta^2$, each key brings the variance
# $2\alpha\beta^2$, and the variances of independent noises add up to $4\alpha\beta^2$. Take the root.
#
# </details>

# %%
def score_noise(alpha, beta):
    """Standard deviation of (k_a - k_b)·q under noise of variance alpha."""
    ### BEGIN SOLUTION
    return 2 * beta * math.sqrt(alpha)
    ### END SOLUTION


# %%
score_noise = check("score_noise", score_noise)

# %% [markdown]
# Measured, with the standard error of a standard deviation, $\sigma/\sqrt{2S}$:

# %%
keys = sample_keys(means, 0.001, None, 20_000, fresh())
for beta in (4, 30):
    difference = (keys[:, A] - keys[:, B]) @ query_for_both(means, A, B, beta)
    predicted, std = score_noise(0.001, beta), difference.std().item()
    error = std / math.sqrt(2 * len(keys))
    print(f"β = {beta:2}: predicted {predicted:.3f}, measured {std:.3f} ± {error:.3f}")

# %% [markdown]
# So there are two conditions, and they pull $\beta$ in opposite directions. Without noise
# $\alpha_a = \alpha_b = e^\beta / (2e^\beta + n - 2)$, which is near ½ if the others lose. And the difference of the
# scores, $\mathcal N(0, 4\alpha\beta^2)$, must stay small:
#
# $$2e^\beta \gg n - 2 \qquad\text{and}\qquad \alpha\beta^2 \ll 1.$$
#
# > **Exercise 3** · 8 minutes · medium · 1 point (question 1c-i)
# >
# > Put numbers to it. Return a $\beta$ for which (without noise) the $n - 2$ others together have **at most 5 %** of the
# > weight, and the standard deviation of the difference is **at most 0.2**. Return `None` if there is none.
#
# <details><summary>Hint</summary>
#
# The first bound is a lower one for $\beta$, the second an upper one. Write down the smallest $\beta$ that meets the
# first, then ask whether it meets the second. Mind $\alpha = 0$.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# The others' share is $(n-2)/(2e^\beta + n - 2)$. It is at most 1/20 from $2e^\beta = 19(n-2)$ on; a logarithm gives
# that $\beta$. It is the least noisy of all that meet the first bound: if it is too noisy, none will do.
#
# </details>

# %%
def working_beta(n, alpha):
    """A β that is large enough for n keys and small enough for the noise, or None."""
    ### BEGIN SOLUTION
    smallest = math.log(19 * (n - 2) / 2)
    return smallest if score_noise(alpha, smallest) <= 0.2 else None
    ### END SOLUTION


# %%
working_beta = check("working_beta", working_beta)

# %% tags=["nbval-check-output"]
sizes = (8, 100, 1000, 10_000, 10**6)
for alpha in (1e-5, 1e-4, 1e-3):
    works = [size for size in sizes if working_beta(size, alpha) is not None]
    print(f"α = {alpha:g}: possible with", works, "keys")

# %% [markdown]
# The price of more keys is low, because $\beta$ grows with $\ln n$ only. The price of noise is high.
#
# Now the whole plane. Grey is what 500 samples at each point say. The lines are closed forms, each for one condition alone:
# left of the dashed one $\alpha_a$ is below .4 even without noise, and above the solid one the noise alone, with a
# perfect $\beta$, pushes it beyond .4 or .6 more often than not.

# %% tags=["figure:averaging-sampled-keys"]
from a5lib.display.sampled_keys import averaging_map

betas = torch.linspace(0.5, 16, 32).tolist()
alphas = torch.logspace(-5, 0, 31).tolist()
missed = [[share_off(beta, alpha, samples=500) for beta in betas] for alpha in alphas]
flat = math.log(2 * (n - 2))  # the β at which e^β / (2e^β + n - 2) is .4
noisy = math.log(0.6 / 0.4) / 2 / 0.6745  # the β√α at which P(2β√α·|z| > logit .6) is ½
averaging_map(betas, alphas, torch.tensor(missed).numpy(), n, flat, noisy)

# %% [markdown]
# > **In writing** · 5 minutes (question 1c-i)
# >
# > The covariances are $\alpha I$ with a vanishingly small $\alpha$. Give a query for $c \approx \frac12(v_a + v_b)$ and
# > say why it works, and for which $\beta$. Write it in the cell below, in at most 150 words.

# %% [markdown] tags=["written:1c-i"]
# ### BEGIN SOLUTION
# **Answer.** $q = \beta(\mu_a + \mu_b)$. A key is $k_i = \mu_i + \sqrt\alpha\,z_i$. Up to noise the scores are $\beta$
# for $a$ and $b$, and 0 for every other, so $\alpha_a \approx \alpha_b \approx e^\beta/(2e^\beta + n - 2) \to \frac12$
# once $2e^\beta \gg n - 2$. The noise tips the balance by $\alpha_a/\alpha_b = e^D$ with $D \sim \mathcal N(0,
# 4\alpha\beta^2)$, so $\alpha\beta^2 \ll 1$ is needed as well. For a vanishing $\alpha$ both hold: choose $\beta$ for
# $n$ first, and the noise is then as small as it has to be.
# ### END SOLUTION

# %% [markdown]
# **Confirmed?** With a small $\alpha$ the output is the mean, up to what the others keep:

# %%
values = torch.eye(n, dtype=torch.float64) / math.sqrt(2)  # so that ‖v_a - v_b‖ = 1
wanted = (values[A] + values[B]) / 2
keys = sample_keys(means, 1e-6, None, 20_000, fresh())
for beta in (2, 5, 10):
    missed = (look_up(keys, values, query_for_both(means, A, B, beta)) - wanted).norm(dim=-1)
    print(f"β = {beta:2}: distance to ½(v_a + v_b): "
          f"mean {missed.mean():.4f}, largest {missed.max():.4f}")  # fmt: skip

# %% [markdown]
# ## 2 One key that varies in length
#
# Now $k_a$ keeps its direction, but not its length: all keys have the covariance $\alpha I$ with a vanishing $\alpha$,
# and $k_a$ alone has
#
# $$\Sigma_a = \alpha I + \tfrac12\, \mu_a \mu_a^\top, \qquad\text{that is}\qquad
# k_a = \varepsilon\,\mu_a + \sqrt\alpha\,z, \quad \varepsilon \sim \mathcal N(1, \tfrac12).$$
#
# The ½ is a **variance**. This is no rarity: how long a key is depends on the text around, and a query that was trained
# to find the word must live with that.
#
# > **Exercise 4** · 8 minutes · medium · 0.5 points (question 1c-ii)
# >
# > Draw `samples` such keys, for a `mean` of length 1. Use `torch.randn(…, generator=generator)` and no decomposition of
# > the covariance.
#
# <details><summary>Hint</summary>
#
# One $\varepsilon$ for each sample, shape `(samples, 1)`, and one $z$ for each sample and coordinate. A Gaussian number
# of variance $s$ is $\sqrt s$ times a standard one.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# Draw the length as one plus the root of a half times a standard normal number, multiply the mean by it, and add the
# root of $\alpha$ times a standard normal vector. The covariance of a sum of independent parts is the sum of theirs.
#
# </details>

# %%
def stretched_keys(mean, alpha, samples, generator):
    """(samples, d) keys from N(μ, αI + ½ μ μᵀ)."""
    ### BEGIN SOLUTION
    length = 1 + math.sqrt(0.5) * torch.randn(samples, 1, generator=generator, dtype=mean.dtype)
    noise = torch.randn(samples, len(mean), generator=generator, dtype=mean.dtype)
    return length * mean + math.sqrt(alpha) * noise
    ### END SOLUTION


# %%
stretched_keys = check("stretched_keys", stretched_keys)

# %% [markdown]
# Your draws and the library's come from the same distribution: compare two sample covariances, coordinate by coordinate,
# with the one in the formula.

# %%
stretch = torch.zeros(n, dtype=torch.float64)
stretch[A] = 0.5  # the variance of each key's length
exact = 0.01 * torch.eye(d) + 0.5 * torch.outer(means[A], means[A])
yours = stretched_keys(means[A], 0.01, 20_000, fresh())
theirs = sample_keys(means, 0.01, stretch, 20_000, fresh())[:, A]
for name, keys in (("yours", yours), ("library", theirs)):
    print(f"{name:8} largest difference to Σ_a: {(keys.T.cov() - exact).abs().max():.4f}")

# %% [markdown]
# ### Predict
# In what share of the samples, in percent, does $k_a$ point **away** from $\mu_a$, that is, $\varepsilon < 0$?

# %%
my_guess_for_backwards = None

# %%
backwards = 100 * (theirs @ means[A] < 0).double().mean().item()
confront(a5, "03 keys that point backwards", my_guess_for_backwards, backwards, "%")

# %% [markdown]
# The streak is $k_a$: long along its mean, thin across it, and it runs through zero, where the three means (black) start,
# to the other side. The other keys are dots at the tips of theirs.

# %% tags=["figure:sampled-keys-streak"]
from a5lib.display.sampled_keys import streaks

flat = sample_keys(torch.eye(2).double(), 0.003, stretch[:2], 400, fresh()).transpose(0, 1)
solid = sample_keys(torch.eye(3).double(), 0.003, stretch[:3], 400, fresh()).transpose(0, 1)
streaks(flat.numpy(), solid.numpy())

# %% [markdown]
# ## 3 One head
#
# The query of exercise 1 stays: it is right on average. We leave the other $n - 2$ keys out (their weight is
# negligible once $2e^\beta \gg n - 2$) and let $\alpha \to 0$.
#
# > **Exercise 5** · 8 minutes · medium · 0.5 points (question 1c-ii)
# >
# > $k_a = \varepsilon\,\mu_a$, $k_b = \mu_b$, $q = \beta(\mu_a + \mu_b)$. Return the weight on $a$ for a tensor of norms
# > $\varepsilon$. It must not overflow at $\beta = 300$.
#
# <details><summary>Hint</summary>
#
# Write down the two scores, then divide the fraction by its numerator. `torch.sigmoid(x)` is $1/(1 + e^{-x})$.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# The scores are $\beta\varepsilon$ and $\beta$. A softmax of two is the logistic function of their difference, and the
# difference is $\beta$ times how much longer than 1 the key is.
#
# </details>

# %%
def one_head_weight(norm, beta):
    """The weight on a, for norms ε of any shape."""
    ### BEGIN SOLUTION
    return torch.sigmoid(beta * (norm - 1))
    ### END SOLUTION


# %%
one_head_weight = check("one_head_weight", one_head_weight)

# %% tags=["nbval-check-output"]
from a5lib import soft_lookup

norms = torch.linspace(-1.5, 3.5, 501, dtype=torch.float64)
theirs = soft_lookup.one_head_weight(norms, 10)
print("equal:", torch.allclose(one_head_weight(norms, 10), theirs))

# %% [markdown]
# ### Predict
# $\beta = 30$. Where does the output $c$ lie, from sample to sample?

# %%
choices = {
    "a": "mostly near the middle, ½(v_a + v_b)",
    "b": "mostly at v_a or at v_b, in turns",
    "c": "evenly spread between v_a and v_b",
}
my_guess_for_one_head = None  # "a", "b" or "c"

# %%
samples = 20_000
pair = sample_keys(means[:2], 1e-6, stretch[:2], samples, fresh())  # only a and b
weights = {}
for beta in (1, 4, 10, 30):
    weights[beta] = attention_weights(pair, query_for_both(means, A, B, beta))[:, A]
middle = ((weights[30] - 0.5).abs() < 0.1).double().mean().item()  # an even spread: 0.2
ends = ((weights[30] - 0.5).abs() > 0.4).double().mean().item()  # an even spread: 0.2
letter = "a" if middle > 0.5 else "b" if ends > 0.5 else "c"
confront(a5, "03 one head", my_guess_for_one_head, letter, choices=choices)

# %% [markdown]
# The *logit* of the weight, $\ln\frac{\alpha_a}{1 - \alpha_a}$, is $\beta(\varepsilon - 1) \sim \mathcal N(0, \beta^2/2)$, so
# $\alpha_a$ itself has a density that is known in closed form (it is called logit-normal). It is the line; the bars are
# 20,000 look-ups. A bar that leaves its panel has its height beside it.

# %% tags=["figure:one-head-tosses-a-coin"]
from a5lib.display.sampled_keys import weight_histograms

inside = torch.linspace(0.001, 0.999, 999, dtype=torch.float64)
lines = {b: (inside.numpy(), soft_lookup.one_head_density(inside, b).numpy()) for b in weights}
weight_histograms({b: weight.numpy() for b, weight in weights.items()}, lines)

# %% [markdown]
# With a sharper query the two humps run to the ends. At $\beta = 30$ the head gives $v_a$ **or** $v_b$, and which of them
# is decided by whether $k_a$ happens to be longer than 1. Half of the time it is: the average over texts is still right.
# How quickly does the middle empty?
#
# > **Exercise 6** · 8 minutes · medium · 0.5 points (question 1c-ii)
# >
# > Return the probability that the head is undecided, $.01 < \alpha_a < .99$. A formula is best; 100,000 samples do, too.
#
# <details><summary>Hint</summary>
#
# Turn the condition on $\alpha_a$ into one on its logit: $\ln(.99/.01) = 4.595$. The standard normal distribution
# function is $\Phi(x) = \frac12 \operatorname{erfc}(-x/\sqrt2)$, and `math.erfc` exists.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# The logit must lie between $-4.595$ and $4.595$. It is Gaussian around 0 with the standard deviation $\beta/\sqrt2$, so
# the probability is $2\Phi(4.595\sqrt2/\beta) - 1$. For large $\beta$ that falls like $1/\beta$.
#
# </details>

# %%
def share_undecided(beta):
    """P(.01 < α_a < .99) for one head."""
    ### BEGIN SOLUTION
    reach = math.log(0.99 / 0.01) * math.sqrt(2) / beta  # in standard deviations of the logit
    return 1 - math.erfc(reach / math.sqrt(2))
    ### END SOLUTION


# %%
share_undecided = check("share_undecided", share_undecided)

# %%
for beta in (4, 10, 30, 100):
    weight = attention_weights(pair, query_for_both(means, A, B, beta))[:, A]
    share = ((weight > 0.01) & (weight < 0.99)).double().mean().item()
    error = math.sqrt(share * (1 - share) / samples)
    predicted = share_undecided(beta)
    print(f"β = {beta:3}: predicted {predicted:.3f}, measured {share:.3f} ± {error:.3f}")

# %% [markdown]
# ### Predict
# To what number does the variance of $\alpha_a$ tend as $\beta$ grows without bound?

# %%
my_guess_for_coin = None

# %%
sharp = attention_weights(pair, query_for_both(means, A, B, 10_000.0))[:, A]
confront(a5, "03 variance of one head", my_guess_for_coin, sharp.var().item())

# %% [markdown]
# <details><summary>Why that number?</summary>
#
# In the limit $\alpha_a$ is 1 with probability $p = P(\varepsilon > 1) = \frac12$ and 0 otherwise: a fair coin, of
# variance $p(1-p) = \frac14$. No variable between 0 and 1 can have more.
#
# </details>
#
# > **Exercise 7** · 10 minutes · medium · 0.5 points (question 1c-ii)
# >
# > Return the variance of $\alpha_a$ for a given $\beta$, by whatever means: sum over a fine grid of $\varepsilon$, or
# > simulate with 100,000 samples.
#
# <details><summary>Hint</summary>
#
# $E f(\varepsilon) = \int f(\varepsilon)\,p(\varepsilon)\,d\varepsilon$: on a grid of equal steps that is a weighted mean
# of $f$, with the density as the weights. Its constant factor cancels if you divide by the sum of the weights.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# Put a grid over ten standard deviations on both sides of 1. Weigh every point with the Gaussian's exponential, divided
# by the sum of all. By symmetry the mean of $\alpha_a$ is ½, so the weighted mean of the squared distance to ½ is it.
#
# </details>

# %%
def one_head_variance(beta):
    """The variance of α_a over draws of ε."""
    ### BEGIN SOLUTION
    z = torch.linspace(-10, 10, 200_001, dtype=torch.float64)
    chance = torch.exp(-z.square() / 2)
    off = one_head_weight(1 + math.sqrt(0.5) * z, beta) - 0.5
    return ((chance * off.square()).sum() / chance.sum()).item()
    ### END SOLUTION


# %%
one_head_variance = check("one_head_variance", one_head_variance)

# %% [markdown]
# For an output vector we call the trace of its covariance its variance: the mean squared distance to its mean. Such an
# estimate has an error of its own, which tells how closely simulation and formula should agree:

# %% tags=["nbval-check-output"]
def spread(outputs):
    """The variance of outputs (S, e), and the standard error of that estimate."""
    squared = (outputs - outputs.mean(dim=0)).square().sum(dim=-1)
    count = len(outputs)
    return squared.sum().item() / (count - 1), squared.std().item() / math.sqrt(count)


outputs = look_up(pair, values[:2], query_for_both(means, A, B, 10))
print("equal:", spread(outputs) == soft_lookup.spread(outputs))

# %%
for beta in (1, 4, 10, 30):
    variance, error = spread(look_up(pair, values[:2], query_for_both(means, A, B, beta)))
    mean = weights[beta].mean()
    print(f"β = {beta:2}: Var c predicted {one_head_variance(beta):.4f}, "
          f"measured {variance:.4f} ± {error:.4f}; E α_a = {mean:.2f}")  # fmt: skip

# %% [markdown]
# > **In writing** · 5 minutes (question 1c-ii)
# >
# > With $\Sigma_a = \alpha I + \frac12\mu_a\mu_a^\top$ and your query of 1c-i: what does $c$ look like over many samples
# > of the keys, and what is its variance? Write it in the cell below, in at most 200 words.

# %% [markdown] tags=["written:1c-ii"]
# ### BEGIN SOLUTION
# **Answer.** With $k_a \approx \varepsilon\mu_a$ the scores are $\beta\varepsilon$ and $\beta$, so
# $c \approx \alpha_a v_a + (1-\alpha_a)v_b$ with $\alpha_a = \sigma(\beta(\varepsilon - 1))$. The query must be sharp to
# beat the other keys, and then $\beta(\varepsilon - 1)$ is large on either side: $c$ jumps between $v_a$ (where
# $\varepsilon > 1$) and $v_b$ (where $\varepsilon < 1$), each half of the time. $E\,c = \frac12(v_a + v_b)$ remains,
# and the variance is $\operatorname{Var}(\alpha_a)\,\lVert v_a - v_b\rVert^2$, growing to $\frac14$ of the squared distance.
# ### END SOLUTION

# %% [markdown]
# **Confirmed?** Each sample is sorted by whether its key is longer than 1:

# %%
longer = pair[:, A] @ means[A] > 1
for name, chosen in (("longer than 1", longer), ("shorter than 1", ~longer)):
    share, weight = chosen.double().mean(), weights[30][chosen].mean()
    print(f"k_a {name:15}{share:.3f} of the samples, mean weight on a {weight:.3f}")

# %% [markdown]
# ## 4 Two heads
#
# Two heads read the same keys with a query each, and the output is their mean, $c = \frac12(c_1 + c_2)$. Now no head has
# to keep a balance.
#
# > **Exercise 8** · 3 minutes · easy · 1 point (question 1d-i)
# >
# > Return two queries of length $\beta$, stacked as `(2, d)`: the first finds $v_a$, the second $v_b$.
#
# <details><summary>Hint</summary>
#
# One value each: which single query is that for fixed, orthogonal keys?
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# Split the query of exercise 1 into its two summands, and give one to each head.
#
# </details>

# %%
def two_queries(means, a, b, beta):
    """The queries (2, d) of two heads, the first for a, the second for b."""
    ### BEGIN SOLUTION
    return torch.stack([beta * means[a], beta * means[b]])
    ### END SOLUTION


# %%
two_queries = check("two_queries", two_queries)

# %%
from a5lib.soft_lookup import look_up_heads

steady = sample_keys(means, 1e-6, None, 1000, fresh())
missed = (look_up_heads(steady, values, two_queries(means, A, B, 10.0)) - wanted).norm(dim=-1)
print(f"keys that only tremble: never farther than {missed.max():.4f} from ½(v_a + v_b)")

# %% [markdown]
# > **In writing** · 3 minutes (question 1d-i)
# >
# > All covariances are $\alpha I$ with a vanishing $\alpha$. Give two queries for $c \approx \frac12(v_a + v_b)$, and say
# > why. Write it in the cell below, in at most 100 words.

# %% [markdown] tags=["written:1d-i"]
# ### BEGIN SOLUTION
# **Answer.** $q_1 = \beta\mu_a$ and $q_2 = \beta\mu_b$ with $e^\beta \gg n - 1$. The first head's scores are $\beta$ for
# $a$ and about 0 for the rest, so $c_1 \approx v_a$; likewise $c_2 \approx v_b$, and $c$ is their mean. No head has to hold two
# scores level. It only has to tell one from the rest: $(k_a - k_i)^\top q_1 \sim \mathcal N(\beta, 2\alpha\beta^2)$ is far
# above 0 for any $\beta$ if $\alpha \ll 1$.
# ### END SOLUTION

# %% [markdown]
# **Confirmed?** At a noise that is ruinous for one head at this $\beta$:

# %%
noisy = sample_keys(means, 0.01, None, 20_000, fresh())
alone = spread(look_up(noisy, values, query_for_both(means, A, B, 10)))[0]
both = spread(look_up_heads(noisy, values, two_queries(means, A, B, 10)))[0]
print(f"α = 0.01, β = 10: variance of one head {alone:.4f}, of two heads {both:.6f}")

# %% [markdown]
# Now $k_a$ varies in length again. The second head does not care: $k_a$ is orthogonal to its query, so $c_2 \approx v_b$
# always. What does the first one do?
#
# ### Predict
# In one sample $\varepsilon = -0.5$. What does the first head ($\beta = 10$, $n = 8$) give back?

# %%
choices = {
    "a": "v_a",
    "b": "minus v_a",
    "c": "v_b",
    "d": "the mean of the seven other values",
}
my_guess_for_negative = None  # "a", "b", "c" or "d"

# %%
one_sample = means.clone()
one_sample[A] *= -0.5
found = look_up(one_sample, values, two_queries(means, A, B, 10)[0])
others = torch.cat([values[:A], values[A + 1 :]]).mean(dim=0)
candidates = {"a": values[A], "b": -values[A], "c": values[B], "d": others}
letter = min(candidates, key=lambda name: (found - candidates[name]).norm())
confront(a5, "03 a negative norm", my_guess_for_negative, letter, choices=choices)

# %% [markdown]
# > **Exercise 9** · 8 minutes · medium · 1 point (question 1d-ii)
# >
# > $q_1 = \beta\mu_a$ and $k_a = \varepsilon\,\mu_a$; the other $n - 1$ keys are orthogonal to $\mu_a$. Return the weight
# > that the first head gives to $a$. It must not overflow at $\beta = 300$.
#
# <details><summary>Hint</summary>
#
# What are the scores of the other keys, $b$ among them? Write their number as $e^{\ln(n-1)}$ and you have a sigmoid.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# The scores are $\beta\varepsilon$ once and 0 for all others: $\alpha_{1,a} = e^{\beta\varepsilon}/(e^{\beta\varepsilon} +
# n - 1)$. As a logistic function its argument is $\beta\varepsilon$ less the logarithm of how many others there are.
#
# </details>

# %%
def first_head_weight(norm, beta, n):
    """The first head's weight on a, for norms ε of any shape."""
    ### BEGIN SOLUTION
    return torch.sigmoid(beta * norm - math.log(n - 1))
    ### END SOLUTION


# %%
first_head_weight = check("first_head_weight", first_head_weight)

# %% [markdown]
# > **Exercise 10** · 3 minutes · easy · 0.5 points (question 1d-ii)
# >
# > At which norm $\varepsilon^*$ does the first head give exactly half of its weight to $a$?
#
# <details><summary>Hint</summary>
#
# There $e^{\beta\varepsilon}$ equals what all the others have together.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# Where the argument of that logistic function is 0, so at the logarithm of $n - 1$, divided by $\beta$. A head that asks
# for both switches at 1, right in the middle of $\varepsilon$'s distribution; this one switches close to 0, at its edge.
#
# </details>

# %%
def switch_norm(beta, n):
    """The norm ε* at which α_{1,a} is ½."""
    ### BEGIN SOLUTION
    return math.log(n - 1) / beta
    ### END SOLUTION


# %%
switch_norm = check("switch_norm", switch_norm)

# %% tags=["nbval-check-output"]
theirs = soft_lookup.two_head_weight(norms, 10, n)
print("equal:", torch.allclose(first_head_weight(norms, 10, n), theirs))
print(f"ε* = {switch_norm(10, n):.3f} at β = 10, {switch_norm(30, n):.3f} at β = 30")

# %% tags=["figure:weight-against-norm"]
from a5lib.display.sampled_keys import weight_against_norm

asked = {
    "one head: switches at ε = 1": soft_lookup.one_head_weight(norms, 10, n),
    "first of two heads: switches at ε*": first_head_weight(norms, 10, n),
}
density = torch.exp(-(norms - 1).square()) / math.sqrt(math.pi)  # N(1, ½)
marks = {f"ε* = {switch_norm(10, n):.3f}": switch_norm(10, n), "1": 1.0}
weight_against_norm(norms, asked, density, marks, soft_lookup.share_negative())

# %% [markdown]
# The steep part of a curve is where a small change of the key changes the output. For one head it lies under the top of
# the hill, for two heads at its foot. Nothing is left of the trouble but the foot: the shaded samples, where $\varepsilon
# < 0$. There the first head finds everything but $a$.
#
# ### Predict
# $\beta = 30$, $n = 8$. How many times smaller is the variance of $c$ with two heads than with one?

# %%
my_guess_for_ratio = None

# %%
keys = sample_keys(means, 1e-6, stretch, samples, fresh())
alone = spread(look_up(keys, values, query_for_both(means, A, B, 30)))[0]
both = spread(look_up_heads(keys, values, two_queries(means, A, B, 30)))[0]
confront(a5, "03 one head against two", my_guess_for_ratio, alone / both, "times")

# %% [markdown]
# The first head's output moves between $v_a$ and the mean $\bar v$ of the other values, and counts half. So
#
# $$\operatorname{Var} c = \tfrac14 \operatorname{Var}(\alpha_{1,a})\,\lVert v_a - \bar v\rVert^2 .$$

# %%
distance = (values[A] - others).square().sum().item()
for beta in (10, 30, 100):
    predicted = soft_lookup.two_head_variance(beta, n) * distance
    variance, error = spread(look_up_heads(keys, values, two_queries(means, A, B, beta)))
    print(f"β = {beta:3}: predicted {predicted:.4f}, measured {variance:.4f} ± {error:.4f}")

# %% [markdown]
# It falls with $\beta$, but not to 0.
#
# > **Exercise 11** · 8 minutes · medium · 0.5 points (question 1d-ii)
# >
# > Return the limit of $\frac14\operatorname{Var}(\alpha_{1,a})$ for $\beta$ without bound, for any variance of the norm
# > $\varepsilon \sim \mathcal N(1, s)$.
#
# <details><summary>Hint</summary>
#
# In the limit the first head is a coin again, but no fair one. With what probability does it miss $a$?
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# $\varepsilon^* \to 0$, so the weight is 0 with probability $p = P(\varepsilon < 0) = \Phi(-1/\sqrt s)$ and 1 otherwise. A
# coin has the variance $p(1-p)$, and half of a coin a quarter of it.
#
# </details>

# %%
def variance_left(norm_variance):
    """¼ Var α_{1,a} in the limit of large β, for ε ~ N(1, norm_variance)."""
    ### BEGIN SOLUTION
    missed = math.erfc(1 / math.sqrt(2 * norm_variance)) / 2
    return missed * (1 - missed) / 4
    ### END SOLUTION


# %%
variance_left = check("variance_left", variance_left)

# %% tags=["nbval-check-output"]
for beta in (10, 30, 300, 3000):
    print(f"β = {beta:4}: ¼ Var = {soft_lookup.two_head_variance(beta, n):.4f}")
print(f"limit:    ¼ p(1 - p) = {variance_left(0.5):.4f}")

# %% [markdown]
# A sharper query makes one head worse. Two heads get better by it, as soon as the query is sharp enough to find $a$ at all
# ($\beta \approx 4$). Lines are closed forms for $n = 8$, points are look-ups with $\pm 2$ standard errors, most of them
# smaller than the mark. The unit is the squared distance between the two points that a head moves between.

# %%
def measured(beta):
    """Var α_a for one head and Var ½α_{1,a} for two, each with its standard error."""
    one = attention_weights(keys, query_for_both(means, A, B, beta))[:, A]
    first = attention_weights(keys, two_queries(means, A, B, beta)[0])[:, A]
    return spread(one[:, None]), spread(first[:, None] / 2)


spots = (1, 2, 4, 10, 30, 100, 300)
found = [measured(beta) for beta in spots]
points = {
    "one head": [(beta, *one) for beta, (one, _) in zip(spots, found)],
    "two heads": [(beta, *two) for beta, (_, two) in zip(spots, found)],
}

# %% tags=["figure:variance-one-head-two-heads"]
from a5lib.display.sampled_keys import variance_curves

betas = torch.logspace(0, 2.5, 40).tolist()
curves = {
    "one head": (betas, [soft_lookup.one_head_variance(beta, n=n) for beta in betas]),
    "two heads": (betas, [soft_lookup.two_head_variance(beta, n) for beta in betas]),
}
variance_curves(curves, points, {"one head": 0.25, "two heads": variance_left(0.5)})

# %% [markdown]
# > **In writing** · 5 minutes (question 1d-ii)
# >
# > $\Sigma_a = \alpha I + \frac12\mu_a\mu_a^\top$, your two queries of 1d-i. What does $c$ look like over many samples,
# > and why? You may ignore the samples with $k_a^\top q_1 < 0$. (Then say what happens in those.) Write it in the cell
# > below, in at most 200 words.

# %% [markdown] tags=["written:1d-ii"]
# ### BEGIN SOLUTION
# **Answer.** The second head's scores do not contain $\varepsilon$, so $c_2 \approx v_b$. The first head gives $a$ the weight
# $e^{\beta\varepsilon}/(e^{\beta\varepsilon} + n - 1)$, which is near 1 as soon as $\varepsilon$ is well above
# $\varepsilon^* = \ln(n-1)/\beta$. With the samples below ignored, $c_1 \approx v_a$ however long the key is, and $c \approx
# \frac12(v_a + v_b)$ with a variance that vanishes for large $\beta$. In the others, 7.9 % for $\varepsilon < 0$, the first
# head gives the mean $\bar v$ of all values but $v_a$, so that unconditionally $\frac14 p(1-p)\lVert v_a - \bar v\rVert^2$ is left.
# ### END SOLUTION

# %% [markdown]
# **Confirmed?** Above the switch the variance vanishes; below 0 the first head's output goes to $\bar v$:

# %%
norm = keys[:, A] @ means[A]
for beta in (4, 10, 30):
    first = look_up(keys, values, two_queries(means, A, B, beta)[0])
    above = norm > switch_norm(beta, n)
    variance, error = spread(first[above] / 2)
    predicted = soft_lookup.two_head_variance(beta, n, above=switch_norm(beta, n)) * distance
    away = (first[norm < 0] - others).norm(dim=-1).mean()
    print(f"β = {beta:2}: above ε* predicted {predicted:.5f}, measured {variance:.5f} "
          f"± {error:.5f};  below 0 mean ‖c₁ - v̄‖ = {away:.3f}")  # fmt: skip

# %% [markdown]
# ## 5 More heads, and what really mends it
#
# A Transformer has many heads. Let half of them ask for $a$ and half for $b$, and take the mean of all.
#
# ### Predict
# With 16 heads in the place of 2, the variance of $c$ is …

# %%
choices = {"a": "an eighth of it", "b": "a good third of it (1/√8)", "c": "the same"}
my_guess_for_many = None  # "a", "b" or "c"

# %%
def many_heads(heads, keys):
    """Variance and standard error of the mean of `heads` look-ups in the same keys."""
    queries = two_queries(means, A, B, 10.0).repeat(heads // 2, 1)
    return spread(look_up_heads(keys, values, queries))


ratio = many_heads(16, keys)[0] / many_heads(2, keys)[0]
expected = {"a": 1 / 8, "b": 1 / math.sqrt(8), "c": 1.0}
letter = min(expected, key=lambda name: abs(ratio - expected[name]))
confront(a5, "03 sixteen heads", my_guess_for_many, letter, choices=choices)

# %% [markdown]
# Averaging removes errors that are independent. These are not: all eight heads for $a$ read the **same** $k_a$, and miss it
# in the same samples. For comparison, heads that each see a draw of their own:

# %% tags=["figure:heads-that-share-keys"]
from a5lib.display.sampled_keys import variance_by_heads


def separate_heads(heads, generator, samples=5000):
    """As `many_heads`, but each head reads keys that are drawn for it alone."""
    total = 0
    for query in two_queries(means, A, B, 10.0).repeat(heads // 2, 1):
        own = sample_keys(means, 1e-6, stretch, samples, generator)
        total = total + look_up(own, values, query)
    return spread(total / heads)


counts, generator = (2, 4, 8, 16), fresh()
shared = [many_heads(heads, keys) for heads in counts]
separate = [separate_heads(heads, generator) for heads in counts]
promised = [soft_lookup.two_head_variance(10, n) * distance * 2 / heads for heads in counts]
variance_by_heads(counts, {"same keys": shared, "separate keys": separate}, promised)

# %% [markdown]
# In a network each head has its own key matrix, but all read the same vector $x_a$. What makes *that* long or short in a
# text comes to all heads alike.
#
# So what would mend it? Three ideas:
#
# - **A sharper first head**, $\beta_1 = 300$. It moves $\varepsilon^*$ to 0; the samples below 0 stay.
# - **Keys of length 1**, $k/\lVert k\rVert$, called *QK-norm*. Of $\varepsilon$ only the sign is left.
# - **A head for the other side**, asking with $-\beta\mu_a$. Where one of the two finds $v_a$, the other finds $\bar v$, so
#   their sum $c_1 + c_1'$ is always $v_a + \bar v$. A further head, with $q = 0$, gives the mean $m = (v_a + (n-1)\bar v)/n$ of
#   all values. From the two an output matrix can solve for $v_a$:
#
# $$v_a = \frac{(n-1)(c_1 + c_1') - n\,m}{n - 2}.$$

# %%
def both_sides(keys, beta):
    """½(v_a + v_b) from four heads: for a on both sides, for all keys alike, and for b."""
    for_a, for_b = two_queries(means, A, B, beta)
    pair = look_up(keys, values, for_a) + look_up(keys, values, -for_a)
    mean = look_up(keys, values, 0 * for_a)
    return (((n - 1) * pair - n * mean) / (n - 2) + look_up(keys, values, for_b)) / 2


one, two = query_for_both(means, A, B, 10.0), two_queries(means, A, B, 10.0)
sharper = torch.stack([30 * two[0], two[1]])
unit = soft_lookup.unit_length(keys)
tried = {
    "one head": look_up(keys, values, one),
    "two heads": look_up_heads(keys, values, two),
    "16 heads": look_up_heads(keys, values, two.repeat(8, 1)),
    "two heads, β = 300 for the first": look_up_heads(keys, values, sharper),
    "one head, keys of length 1": look_up(unit, values, one),
    "two heads, keys of length 1": look_up_heads(unit, values, two),
    "both sides": both_sides(keys, 10.0),
    "both sides, keys of length 1": both_sides(unit, 10.0),
}

# %% [markdown]
# A variance can be small around the wrong place. So the figure shows both: the variance, and the mean squared distance to
# what we want, $\frac12(v_a + v_b)$. All at $\beta = 10$.

# %% tags=["figure:what-mends-sampled-keys"]
from a5lib.display.sampled_keys import remedies

rows = {
    name: (spread(output)[0], (output - wanted).square().sum(dim=-1).mean().item())
    for name, output in tried.items()
}
remedies(rows)

# %% [markdown]
# - More heads change nothing. A sharper head helps a little: only the samples with a negative norm remain.
# - Keys of length 1 give **one** head nearly what a second head gives: where $\varepsilon > 0$ both keys are equally long,
#   and the balance is exact again. Two heads gain less by it.
# - Only the pair of heads gets the negative norms right. Alone it fails for short keys, $|\varepsilon| < \varepsilon^*$, which
#   neither of the two finds. With keys of length 1 none is short. What is left are keys that were about as short as the
#   noise, $\sqrt\alpha = 0.001$, and point anywhere.
#
# > **Why?** LayerNorm stands *before* the key matrix in our GPT: $k = W_K\,\mathrm{LN}(x)$. Does that make the keys equally
# > long?
#
# <details><summary>One answer</summary>
#
# It makes the inputs equally long, so a token whose vector is long in one text and short in another no longer has a long and
# a short key for that reason. But $W_K$ stretches some directions more than others, and within the normalized $x$ the part
# along the direction that carries "I am $a$" still varies with everything else that $x$ holds. QK-norm is applied after
# $W_K$, to each head's key, where the score is made.
#
# </details>

# %% [markdown]
# ## 6 Play with it
#
# Two of eight values are wanted (squares), the others are crosses. Dots are outputs, the diamond is what we ask for. Dots are
# moved a little at random, so that many at one place look like many. The variance is in units of $\lVert v_a - v_b\rVert^2$.
# (At $\beta = 4$ the dots at $v_b$ hang a little low: there the six others still have some weight.)

# %%
def in_the_plane(n):
    """n values on a circle: a and b above, the others below."""
    angles = torch.cat([torch.tensor([150.0, 30.0]), torch.linspace(200, 340, n - 2)])
    turned = torch.deg2rad(angles.double())
    return torch.stack([turned.cos(), turned.sin()], dim=1)


def cloud(beta, alpha, n, norm_variance, heads):
    """Title and outputs of 1,000 draws."""
    means, values, stretch = torch.eye(n).double(), in_the_plane(n), torch.zeros(n).double()
    stretch[0] = norm_variance
    keys = sample_keys(means, alpha, stretch, 1000, fresh())
    one, two = query_for_both(means, 0, 1, beta)[None], two_queries(means, 0, 1, beta)
    outputs = look_up_heads(keys, values, one if heads == "one" else two)
    relative = spread(outputs)[0] / (values[0] - values[1]).square().sum().item()
    plural = "head" if heads == "one" else "heads"
    return f"{heads} {plural}, β = {beta:g}\nvariance {relative:.3f}", outputs.numpy()


# %% tags=["figure:clouds-of-outputs"]
from a5lib.display.sampled_keys import output_clouds

settings = [(4.0, "one"), (30.0, "one"), (30.0, "two")]
panels = dict(cloud(beta, 1e-6, 8, 0.5, heads) for beta, heads in settings)
output_clouds(panels, in_the_plane(8).numpy())

# %% [markdown]
# The same, to move. Try a variance of the norm of 0 and raise the noise $\alpha$; then the reverse. What does $n$ change?

# %%
from a5lib.display.widgets import controls_explorer


def show(beta, alpha, n, norm_variance, heads):
    """One cloud."""
    title, outputs = cloud(beta, alpha, n, norm_variance, heads)
    return output_clouds({title: outputs}, in_the_plane(n).numpy())


controls = {
    "β": (0.0, 30.0, 10.0, 0.5),
    "noise α": (0.0, 0.05, 0.0, 0.001),
    "keys n": (3, 16, 8, 1),
    "variance of the norm": (0.0, 1.0, 0.5, 0.05),
    "heads": ["one", "two"],
}
controls_explorer(show, controls)

# %% [markdown]
# ## What you have seen
# - To average two sampled keys with one head, $\beta$ must beat the other keys and must not amplify the noise:
#   $2e^\beta \gg n - 2$ and $\alpha\beta^2 \ll 1$.
# - If one key varies in length, one head gives $v_a$ or $v_b$: right on average, wrong in nearly every text. Variance up to ¼.
# - Two heads switch at $\ln(n-1)/\beta$ in the place of 1, so the variance falls to .018, what the 7.9 % of keys that point
#   backwards leave. (Both in units of the squared distance that the head's output can move.)
# - Errors that heads share do not average out. A change of the keys, or of what heads ask, mends what more heads cannot.

# %% [markdown]
# ## Your points so far
# Of this notebook and the others. A pass stays, whatever you try afterwards; `python -m a5lib.classroom progress`
# shows the same from a shell.

# %%
from a5lib.classroom import points_so_far

points_so_far()
