# ---
# jupyter:
#   a5:
#     about: a soft look-up in loops, when it peaks, a query that copies
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# {{badge}}

# %% [markdown]
# # 01 · Copying: attention as a soft look-up
#
# A model that is asked where somebody was born has to fetch one thing among many that it holds. The one part of a
# Transformer that moves anything from place to place is attention. So: can attention *copy* one vector, unharmed, out of
# a thousand? What does it cost?
#
# Here attention stands alone: some vectors, one query, no training. For every number that is measured you derive a
# formula, and the two must agree.
#
# Who takes this for credit at a school follows that school's honour code; the solved edition is for after.
#
# **Needs** no earlier notebook. **Takes** 90 minutes of yours; the machine works a few seconds.

# %% tags=["parameters"]
profile: str = ""  # smoke, quick or full; empty: full with a GPU, quick without
data: str = ""  # a folder with wiki.txt and the question files; empty: the profile's own
seed: int = 0
runs: str = ""  # where trained models are kept; empty: runs/

# %%
{{setup}}

# %% [markdown]
# ## 1 A dictionary with soft edges
#
# A Python dictionary compares what you ask for with its keys. One fits, and you get its value. A *soft* look-up has $n$
# keys $k_i$, $n$ values $v_i$ and a query $q$, all of them vectors. Every key fits to some degree, its *score* $k_i \cdot
# q$. Every value comes back, with a *weight* $\alpha_i$:
#
# $$\alpha_i = \frac{\exp(k_i \cdot q)}{\sum_{j=1}^{n} \exp(k_j \cdot q)} \qquad\qquad c = \sum_{i=1}^{n} \alpha_i v_i$$
#
# Here are five keys and five values in the plane. The query points between two of the keys.

# %%
import math

import torch

from a5lib.display.copying import plane_look_up

angles = [math.radians(90 + 72 * i) for i in range(5)]
keys = torch.tensor([[math.cos(a), math.sin(a)] for a in angles]).double()
values = torch.tensor([[-1.6, 1.0], [1.5, 1.3], [0.4, -1.6], [-1.3, -0.9], [0.3, 0.3]]).double()
query = 4 * torch.tensor([math.cos(angles[2] + 0.4), math.sin(angles[2] + 0.4)]).double()
plane_look_up(keys, values, query)

# %% [markdown]
# The star is the output $c$. The dotted line is its way as the query grows from nothing (+) to its length.
#
# > **Exercise 1** · 10 minutes · easy · 0.5 points (question 1a-i)
# >
# > Write the weights with plain loops: the score of each key, its exponential, the division by the sum. `keys` is a list
# > of lists, `query` a list. Return a list of $n$ numbers.
#
# <details><summary>Hint</summary>
#
# `zip(key, query)` walks over the coordinates of both. Sum the products for the score, and use `math.exp`.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# Three lists of length $n$, each made of the one before. First one dot product per key. Then the exponential of each.
# Then each of those divided by the sum of all of them.
#
# </details>

# %%
def lookup_weights(keys, query):
    """The weights of a soft look-up, as a list."""
    ### BEGIN SOLUTION
    scores = []
    for key in keys:
        scores.append(sum(k * q for k, q in zip(key, query)))
    powers = [math.exp(score) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]
    ### END SOLUTION


# %%
from a5lib.classroom import check

lookup_weights = check("lookup_weights", lookup_weights)

# %% [markdown]
# The library does the same with one matrix product and torch's `softmax`; the output is one more product. From here on
# we use these two.

# %% tags=["nbval-check-output"]
from a5lib.soft_lookup import attention_weights, look_up

weights = torch.tensor(lookup_weights(keys.tolist(), query.tolist()), dtype=torch.float64)
output = sum(w * v for w, v in zip(weights, values))
print("weights equal:", torch.allclose(weights, attention_weights(keys, query)))
print("output equal: ", torch.allclose(output, look_up(keys, values, query)))

# %% [markdown]
# <details><summary>Why? The star never leaves the grey area, whatever the query. Which area is it?</summary>
#
# It is the convex hull of the values: all points $\sum_i \alpha_i v_i$ with $\alpha_i \ge 0$ and $\sum_i \alpha_i = 1$.
# That is what the output is, word for word. So one look-up can pick a value or mix some. It cannot make anything larger
# than the largest of them, or a difference of two. Whatever else a Transformer computes comes from the matrices around it.
#
# </details>

# %% [markdown]
# ## 2 The weights are a distribution
#
# > **In writing** · 5 minutes (question 1a-i)
# >
# > Show that $\alpha$ is a categorical distribution over the $n$ indices. Two properties are to be shown. Write it in the
# > cell below, in at most 120 words.

# %% [markdown] tags=["written:1a-i"]
# ### BEGIN SOLUTION
# **Answer.** A categorical distribution over $n$ outcomes is a list of $n$ numbers, none negative, that add up to 1.
# For real scores $s_i = k_i \cdot q$,
#
# $$\alpha_i = \frac{e^{s_i}}{\sum_j e^{s_j}} > 0 \quad\text{as}\quad e^x > 0, \qquad
# \sum_i \alpha_i = \frac{\sum_i e^{s_i}}{\sum_j e^{s_j}} = 1.$$
#
# So there is a random index $I$ with $P(I = i) = \alpha_i$, and the output is its expected value, $c = \mathbb{E}\,v_I$.
# ### END SOLUTION

# %% [markdown]
# A proof covers all keys and queries. Code can try some, here 500 random ones of many shapes:

# %% tags=["nbval-check-output"]
generator = torch.Generator().manual_seed(seed)
smallest, farthest = 1.0, 0.0
for _ in range(500):
    n, d = torch.randint(1, 20, (2,), generator=generator).tolist()
    *some_keys, some_query = torch.randn(n + 1, d, generator=generator).tolist()
    alpha = lookup_weights(some_keys, some_query)
    smallest, farthest = min(smallest, min(alpha)), max(farthest, abs(sum(alpha) - 1))
print(f"all positive: {smallest > 0}; all sums within 1e-12 of 1: {farthest < 1e-12}")

# %% [markdown]
# What is a distribution good for? One can draw from it. Cut the interval $[0, 1)$ into pieces, the first $\alpha_1$ long, the
# second $\alpha_2$, and so on. Then throw a dart $u$, uniform in $[0, 1)$. It falls on piece $i$ with probability
# $\alpha_i$.
#
# > **Exercise 2** · 10 minutes · easy · 0.5 points (question 1a-i)
# >
# > Return the index, from 0, of the piece on which `u` falls. `weights` is a list that adds up to 1, $0 \le u < 1$.
#
# <details><summary>Hint</summary>
#
# Walk along the pieces and keep the sum of the weights so far. In floating point, ten times 0.1 is a little less than 1.
# So the walk may pass the last piece: then the last index is the answer.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# Take each weight in turn off the dart's position. The piece at which the rest falls below 0 is the one that was hit. If
# that never happens, rounding is to blame, and the last piece was hit.
#
# </details>

# %%
def draw_index(weights, u):
    """The index of the piece of [0, 1) on which u falls; piece i is weights[i] long."""
    ### BEGIN SOLUTION
    passed = 0.0
    for index, weight in enumerate(weights):
        passed += weight
        if u < passed:
            return index
    return len(weights) - 1
    ### END SOLUTION


# %%
draw_index = check("draw_index", draw_index)

# %%
from collections import Counter

from a5lib.display.copying import draws_and_weights

diffuse = attention_weights(keys, query / 4).tolist()  # shorter, so that all have a part
darts = torch.rand(2_000, generator=generator, dtype=torch.float64).tolist()
drawn = Counter(draw_index(diffuse, u) for u in darts)
draws_and_weights(diffuse, [drawn[i] for i in range(5)])

# %% [markdown]
# The output of attention is what such draws give **on average**: draw an index, take its value, repeat. Attention does
# not draw. It goes straight to the mean:

# %%
average = sum(drawn[i] * values[i] for i in range(5)) / len(darts)
output = look_up(keys, values, query / 4)
print(f"mean of the drawn values: ({average[0]:.2f}, {average[1]:.2f})")
print(f"output of the look-up:    ({output[0]:.2f}, {output[1]:.2f})")

# %% [markdown]
# <details><summary>Why? Drawing would also bring a value, and an unmixed one. What does a model gain by the mean?</summary>
#
# It can be trained by gradient descent. Move the query a little, and the mean moves a little: there is a derivative. A drawn
# value jumps or stays. The price is that the output is a mixture, unless one weight is almost 1. So sections 4 to 6 ask
# when it is.
#
# </details>

# %% [markdown]
# ## 3 Only differences count
#
# ### Predict
# Add 10 to every score. What becomes of the weights?

# %%
choices = {"a": "the highest grows", "b": "they stay the same", "c": "the highest shrinks"}
my_guess_for_shift = None  # "a", "b" or "c"

# %%
from a5lib.classroom.notebook import confront

scores = torch.tensor([2.0, 1.0, 0.0, -1.0]).double()
change = (scores + 10).softmax(0)[0].item() - scores.softmax(0)[0].item()
right = "b" if abs(change) < 1e-9 else "a" if change > 0 else "c"
confront(a5, "01 ten more for all", my_guess_for_shift, right, choices=choices)

# %% [markdown]
# <details><summary>Explain</summary>
#
# $e^{s+10} = e^{10} e^s$: the factor $e^{10}$ stands above and below the fraction, and cancels. *Multiplying* all scores by
# 10, as a query ten times as long does, is another matter. It multiplies their differences.
#
# </details>
#
# A computer needs this fact. Nothing keeps scores small: they grow with the lengths of queries and keys. But a 64-bit
# number cannot hold $e^{710}$, nor a 32-bit one $e^{89}$.

# %% tags=["nbval-check-output"]
large = torch.tensor([1000.0, 1001.0, 1002.0]).double()
print("powers: ", large.exp().tolist())
print("weights:", (large.exp() / large.exp().sum()).tolist())

# %% [markdown]
# > **Exercise 3** · 5 minutes · medium
# >
# > Write a softmax for a tensor of $n$ scores of any size. Do not use torch's own. Leave `scores` as it is.
#
# <details><summary>Hint</summary>
#
# You may shift all scores by any number, since only differences count. Which shift makes sure that no power overflows,
# and that not all of them are rounded to 0?
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# Shift by the largest score. Then the largest power is $e^0 = 1$. Nothing overflows, and the sum is at least 1, so that
# nothing is divided by 0. What is rounded to 0 is less than $10^{-308}$ of the largest.
#
# </details>

# %%
def stable_softmax(scores):
    """The weights of scores (n,), however large they are."""
    ### BEGIN SOLUTION
    powers = (scores - scores.max()).exp()
    return powers / powers.sum()
    ### END SOLUTION


# %%
stable_softmax = check("stable_softmax", stable_softmax)

# %% tags=["nbval-check-output"]
print("weights:", ", ".join(f"{w:.3f}" for w in stable_softmax(large)))
same = torch.allclose(stable_softmax(large), (large - 1000).softmax(0))
print("equal to those of 0, 1, 2:", same)

# %% [markdown]
# <details><summary>Why? α is positive by proof. Does every weight that you compute come out positive?</summary>
#
# No. Scores of 0 and -800 give the weights 1 and 0, since $e^{-800}$ is rounded to 0. A model makes use of that: what it must
# not look at gets the score $-\infty$, and so exactly the weight 0. Notebook 04 builds its causal mask that way.
#
# </details>

# %% [markdown]
# ## 4 When does one key have it all?
#
# If only differences count, the simplest case is this: key $j$ stands out, and its score exceeds each of the others by the same
# **gap** $g$. Divide the weights by $e^{k_i \cdot q}$, the same for all others. What is left:
#
# $$\alpha_j \;\propto\; e^{g}, \qquad \alpha_i \;\propto\; 1 \quad\text{for each of the } n - 1 \text{ others}$$
#
# > **Exercise 4** · 5 minutes · easy · 1 point (question 1a-ii)
# >
# > Return $\alpha_j$, one number, for a gap and a number of keys $n$.
#
# <details><summary>Hint</summary>
#
# Let the scores be $g, 0, 0, \dots, 0$. With no gap all are alike: what must come out?
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# One key brings $e^g$ to the sum, each of the $n - 1$ others brings $e^0$. The weight is the share of the first in the
# sum.
#
# </details>

# %%
def peak_weight(gap, n):
    """The weight of a key whose score exceeds each of the n - 1 others by gap."""
    ### BEGIN SOLUTION
    return math.exp(gap) / (math.exp(gap) + n - 1)
    ### END SOLUTION


# %%
peak_weight = check("peak_weight", peak_weight)

# %% [markdown]
# <details><summary>Why? For two keys you know this function by another name. Which?</summary>
#
# $e^g / (e^g + 1) = 1 / (1 + e^{-g})$ is the logistic function $\sigma(g)$. And for $n$ keys
# $\alpha_j = \sigma(g - \ln(n - 1))$: the same curve, moved to the right. It passes one half where $e^g$ balances all the
# others, at $g = \ln(n - 1)$.
#
# </details>

# %% [markdown]
# ### Predict
# With 10 keys, 99 % of the weight needs a gap of 6.8. What gap do **1,000** keys need for 99 %?

# %%
my_guess_for_thousand = None

# %% [markdown]
# We try gaps from 0 to 20 in steps of 0.01 on real scores, and take the first that gives 99 %.

# %%
gaps = torch.arange(0, 20, 0.01).double()
first = {}
for n in (10, 1000):
    scores = torch.zeros(len(gaps), n).double()
    scores[:, 0] = gaps
    first[n] = gaps[scores.softmax(dim=1)[:, 0] >= 0.99][0].item()
print(f"10 keys: {first[10]:.2f}; 1,000 keys: {first[1000] - first[10]:.2f} more")
confront(a5, "01 gap for 99 % of 1,000 keys", my_guess_for_thousand, first[1000])

# %% [markdown]
# A hundred times as many keys, and the gap is not even twice as large.
#
# <details><summary>Why?</summary>
#
# A further key adds just 1 to the denominator. A further unit of gap multiplies the numerator by $e$. So a hundred times as
# many keys are outweighed by $\ln 100 = 4.6$ more units; here it is 4.7, since key $j$ is not one of its own rivals.
#
# </details>
#
# > **Exercise 5** · 10 minutes · medium · 1 point (question 1a-ii)
# >
# > Turn `peak_weight` around: return the gap at which key $j$ has a given weight. Begin with the odds
# > $\alpha_j / (1 - \alpha_j)$ of key $j$ against all others.
#
# <details><summary>Hint</summary>
#
# The odds are $e^g / (n - 1)$. Take logarithms.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# The odds times the number of the others is $e^g$. So the gap has two parts that add up. The logarithm of the odds says
# how sure we want to be. The logarithm of $n - 1$ is the price of company.
#
# </details>

# %%
def gap_needed(weight, n):
    """The gap at which one of n keys has that weight, between 0 and 1."""
    ### BEGIN SOLUTION
    odds = weight / (1 - weight)
    return math.log(n - 1) + math.log(odds)
    ### END SOLUTION


# %%
gap_needed = check("gap_needed", gap_needed)

# %% tags=["nbval-check-output"]
from a5lib import soft_lookup

for n in (10, 1000, 100_000, 10_000_000):
    gap = gap_needed(0.99, n)
    back = math.isclose(peak_weight(gap, n), 0.99)
    library = math.isclose(gap, soft_lookup.gap_needed(0.99, n))
    print(f"{n:>10,} keys: {gap:5.2f}; 99 % again: {back}; equal to the library: {library}")

# %% [markdown]
# > **In writing** · 5 minutes (question 1a-ii)
# >
# > In one sentence: when does $\alpha$ put almost all of its weight on one $\alpha_j$? Say it for gaps that differ, too.
# > Write it in the cell below, in at most 120 words.

# %% [markdown] tags=["written:1a-ii"]
# ### BEGIN SOLUTION
# **Answer.** When $k_j \cdot q$ exceeds every other score by far more than $\ln(n - 1)$. With equal gaps
#
# $$\frac{\alpha_j}{\sum_{i \ne j} \alpha_i} = \frac{e^{g}}{n - 1} = e^{\,g - \ln(n-1)},$$
#
# which is large if and only if $g - \ln(n - 1) \gg 0$. With gaps $g_i$ that differ, the others bring
# $\sum_{i \ne j} e^{-g_i} \le (n - 1)\, e^{-\min_i g_i}$, so the smallest gap gives a lower bound on $\alpha_j$.
# ### END SOLUTION

# %% tags=["nbval-check-output"]
scores = 3 * torch.randn(1000, 50, generator=generator, dtype=torch.float64)  # 1,000 look-ups
top = scores.topk(2, dim=1).values
smallest_gap = (top[:, 0] - top[:, 1]).tolist()
bound = torch.tensor([peak_weight(gap, 50) for gap in smallest_gap], dtype=torch.float64)
print("never below the bound:", bool((scores.softmax(1).amax(1) >= bound - 1e-12).all()))

# %% [markdown]
# Now over many gaps and many $n$. The keys are random, but for one coordinate: along the query the first is 1 and all
# others are 0. So a query of length $g$ sees a gap of $g$.

# %% tags=["nbval-check-output"]
def keys_that_stand_out(n, d=8):
    """n random keys; along the first axis, key 0 is 1 and the others 0."""
    keys = torch.randn(n, d, generator=generator, dtype=torch.float64)
    keys[:, 0] = 0
    keys[0, 0] = 1
    return keys


along = torch.eye(8).double()[0]  # the first axis
print("scores of 4 keys for a query of 3:", (keys_that_stand_out(4) @ (3 * along)).tolist())

# %% [markdown]
# The shades are measured look-ups. The lines are the formula of exercise 5, $g = \ln(n - 1) + \ln\frac{\alpha}{1 - \alpha}$,
# for five weights $\alpha$.

# %% tags=["figure:copying-gap"]
from a5lib.display.copying import weight_map

gaps = torch.linspace(0, 16, 161).double()
sizes = sorted({round(2 * 5000 ** (i / 99)) for i in range(100)})
measured = torch.zeros(len(sizes), len(gaps))
for row, n in enumerate(sizes):
    crowd = keys_that_stand_out(n)
    for column, gap in enumerate(gaps):
        measured[row, column] = attention_weights(crowd, gap * along)[0]
weight_map(gaps, sizes, measured)

# %% [markdown]
# From almost nothing (1 %) to almost all (99 %) it takes 9.2 units of gap, whatever $n$ is. Ten times as many keys move the
# whole transition by 2.3. Both numbers stand in the formula.

# %% [markdown]
# ## 5 A query that copies
#
# Who makes the gap? In a model, keys and queries are learned. Here we may choose. Let the keys be *orthonormal*: each has
# length 1, and they are orthogonal to each other, $k_i \cdot k_j = 0$.
#
# > **Exercise 6** · 5 minutes · medium · 0.5 points (question 1a-ii)
# >
# > Return a query that gives key `j` just the weight that is asked for. `keys` has the shape `(n, d)`; the
# > query has the shape `(d,)`.
#
# <details><summary>Hint</summary>
#
# What are the scores if the query is the key $k_j$ itself? And if it is $g$ times as long?
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# Along $k_j$ itself no other key has any score. So the query's length is the gap. Stretch $k_j$ to the gap that the weight
# needs.
#
# </details>

# %%
def copying_query(keys, j, weight):
    """The query (d,) that gives key j of orthonormal keys (n, d) that weight."""
    ### BEGIN SOLUTION
    return gap_needed(weight, len(keys)) * keys[j]
    ### END SOLUTION


# %%
copying_query = check("copying_query", copying_query)

# %%
from a5lib.soft_lookup import orthonormal_rows

upright = orthonormal_rows(8, 16, generator)
query = copying_query(upright, 3, 0.99)
print(f"query of length {query.norm():.2f}")
print("weights:", ", ".join(f"{w:.4f}" for w in attention_weights(upright, query)))

# %% [markdown]
# <details><summary>Why? There is a query for the same weights that is a little shorter. Which?</summary>
#
# Along the sum of all keys every key has the same score, so that part of the query does no work. Take it off:
# $q = g\,(k_j - \bar k)$, with $\bar k$ the mean of the keys. The scores are $g - g/n$ and $-g/n$: the same gap, with a
# query shorter by the factor $\sqrt{1 - 1/n}$.
#
# </details>

# %% tags=["nbval-check-output"]
shorter = query - gap_needed(0.99, 8) * upright.mean(dim=0)
same = torch.allclose(attention_weights(upright, shorter), attention_weights(upright, query))
print(f"same weights: {same}; length {shorter.norm() / query.norm():.4f} of what it was")

# %% [markdown]
# ## 6 What is copied
#
# The weight of key $j$ is almost 1. How good a copy of $v_j$ is the output? We look at the error
# $\lVert c - v_j \rVert$.
#
# ### Predict
# At a large gap the error is 0.001. How much more gap makes it ten times smaller?

# %%
my_guess_for_a_tenth = None

# %%
upright = orthonormal_rows(64, 64, generator)
random_values = torch.randn(64, 16, generator=generator, dtype=torch.float64)


def measured_error(gap):
    """How far the output is from value 0 if the query is gap times key 0."""
    return (look_up(upright, random_values, gap * upright[0]) - random_values[0]).norm().item()


gaps = torch.arange(0, 25, 0.01).double().tolist()
errors = [measured_error(gap) for gap in gaps]
gap_for = {size: next(g for g, e in zip(gaps, errors) if e <= size) for size in (1e-3, 1e-4)}
confront(a5, "01 gap for a tenth", my_guess_for_a_tenth, gap_for[1e-4] - gap_for[1e-3])

# %% [markdown]
# > **Exercise 7** · 10 minutes · medium · 0.5 points (question 1a-iii)
# >
# > Derive the error for equal gaps, and return this number for value `j`. `values` is a tensor with a value in each row.
#
# <details><summary>Hint</summary>
#
# With equal gaps the others share $1 - \alpha_j$ equally. So the output is a mix of just two vectors: $v_j$ and the mean of
# the other values.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# Call the mean of the others $\bar v$. Then $c = \alpha_j v_j + (1 - \alpha_j)\,\bar v$. Subtract $v_j$: what remains is
# $(1 - \alpha_j)(\bar v - v_j)$. The error is its length: a weight times a distance.
#
# </details>

# %%
def copy_error(values, j, gap):
    """How far the output is from value j, whose key's score exceeds each other by gap."""
    ### BEGIN SOLUTION
    others = torch.cat([values[:j], values[j + 1 :]])
    share = 1 - peak_weight(gap, len(values))
    return share * (others.mean(dim=0) - values[j]).norm()
    ### END SOLUTION


# %%
copy_error = check("copy_error", copy_error)

# %% [markdown]
# > **In writing** · 3 minutes (question 1a-iii)
# >
# > What is the output $c$ under the condition of 1a-ii? Give a bound on the error that needs no equal gaps. Write it in
# > the cell below, in at most 120 words.

# %% [markdown] tags=["written:1a-iii"]
# ### BEGIN SOLUTION
# **Answer.** $c \approx v_j$. Since the weights add up to 1, $c - v_j = \sum_{i \ne j} \alpha_i (v_i - v_j)$, and so
#
# $$\lVert c - v_j \rVert \;\le\; (1 - \alpha_j)\,\max_i \lVert v_i - v_j \rVert.$$
#
# With equal gaps the error is exactly $(1 - \alpha_j)\,\lVert \bar v - v_j \rVert$, where
# $1 - \alpha_j = \frac{n - 1}{e^g + n - 1} \approx (n - 1)\,e^{-g}$.
# ### END SOLUTION

# %% tags=["nbval-check-output"]
formula = [float(copy_error(random_values, 0, gap)) for gap in gaps]
print("formula equals measurement:", max(abs(a - b) for a, b in zip(formula, errors)) < 1e-9)
alpha = (3 * torch.randn(1000, 64, generator=generator).double()).softmax(dim=1)  # any gaps
weight, j = alpha.max(dim=1)
error = (alpha @ random_values - random_values[j]).norm(dim=1)
farthest = torch.cdist(random_values, random_values)[j].amax(dim=1)
print("1,000 look-ups within the bound:", bool((error <= (1 - weight) * farthest).all()))

# %% tags=["figure:copying-error"]
from a5lib.display.copying import error_against_gap

shown = {}
for n in (4, 64, 1024):
    crowd, facts = keys_that_stand_out(n), torch.randn(n, 16, generator=generator).double()
    gaps = list(range(0, 31, 2))
    off = [(look_up(crowd, facts, gap * along) - facts[0]).norm().item() for gap in gaps]
    shown[n] = (gaps, off, (facts[1:].mean(dim=0) - facts[0]).norm().item())
error_against_gap(shown)

# %% [markdown]
# <details><summary>Explain: why straight lines?</summary>
#
# Beyond $\ln(n - 1)$ the term $e^g$ rules the denominator, and the error is about
# $(n - 1)\,e^{-g}\,\lVert \bar v - v_j \rVert$. Each unit of gap divides it by $e$, and $\ln 10 = 2.3$ units by ten. A soft
# look-up is never exact. But at a gap of 25 the error is smaller than what rounding does to 32-bit numbers.
#
# </details>

# %% [markdown]
# ## 7 Keys that get in each other's way
#
# In $d$ dimensions there is room for $d$ orthonormal keys. A model has more to tell apart than that, and its keys have
# different lengths. Along $q = \beta k_j$ the gap to key $i$ is
#
# $$g_i = \beta\,(k_j \cdot k_j - k_i \cdot k_j)$$
#
# ### Predict
# The second key points almost the way of the first, and is one and a half times as long. The query is $q = \beta k_1$, made for the
# **first**. As $\beta$ grows, what weight does the first key tend to?

# %%
choices = {"a": "all of it", "b": "a half, shared with the second", "c": "nothing"}
my_guess_for_shadowed = None  # "a", "b" or "c"

# %%
shadowed = orthonormal_rows(64, 64, generator)
shadowed[1] = 1.5 * (0.9 * shadowed[0] + math.sqrt(1 - 0.9**2) * shadowed[1])
limit = attention_weights(shadowed, 200 * shadowed[0])[0].item()
nearest = min({"a": 1.0, "b": 0.5, "c": 0.0}.items(), key=lambda item: abs(item[1] - limit))[0]
confront(a5, "01 a longer neighbour", my_guess_for_shadowed, nearest, choices=choices)

# %% [markdown]
# The gap to its neighbour is negative, $\beta\,(1 - 1.35)$, and a longer query makes it more so. The figure also has the kind
# in between: 64 random directions of length 1 in 16 dimensions. They overlap, so that a unit of $\beta$ buys less gap.

# %%
from a5lib.display.copying import weight_against_length

directions = torch.randn(64, 16, generator=generator).double()
directions /= directions.norm(dim=1, keepdim=True)
kinds = {
    "orthonormal, 64 dimensions": upright,
    "random directions, 16 dimensions": directions,
    "a longer neighbour": shadowed,
}
betas, lines = torch.linspace(0, 40, 81).tolist(), {}
for kind, crowd in kinds.items():
    lines[kind] = [attention_weights(crowd, b * crowd[0])[0].item() for b in betas]
weight_against_length(betas, lines)

# %% [markdown]
# <details><summary>Why? The query need not be a multiple of the key. Which keys can be copied at all, by some query?</summary>
#
# Those outside the convex hull of the others. If $k_j = \sum_{i \ne j} \lambda_i k_i$ is a mean of other keys, its score is
# the same mean of their scores, never above the highest of them: $\alpha_j \le \frac12$ for every query. If it is no such
# mean, a plane separates it from the others, and a query perpendicular to that plane gives it a positive gap to each.
# Stretched far enough, this query copies. Keys of equal length that all differ are always of this second kind. That is
# one good reason to normalize keys, as many recent models do.
#
# </details>
#
# For the key in the shadow such a query is the part of $k_1$ that is perpendicular to its rival. It is short, so it takes a
# large $\beta$, but its gap to each other key is positive:

# %% tags=["nbval-check-output"]
key, rival = shadowed[0], shadowed[1]
rescue = key - (key @ rival) / (rival @ rival) * rival
for name, way in (("k_1", key), ("its part perpendicular to k_2", rescue)):
    print(f"β = 100, along {name}: {attention_weights(shadowed, 100 * way)[0]:.3f}")

# %% [markdown]
# ## 8 In one line
#
# > **In writing** · 2 minutes · 1 point (question 1a-iv)
# >
# > What do 1a-ii and 1a-iii say about attention, in one line of plain words? Write it in the cell below, in at most 60
# > words.

# %% [markdown] tags=["written:1a-iv"]
# ### BEGIN SOLUTION
# **Answer.** A query that fits one key far better than all others makes attention hand on that key's value almost unchanged:
# attention can copy, as looking up a word in a dictionary does.
# ### END SOLUTION

# %% [markdown]
# What stays prose you assess yourself: read the solved edition's answer first, then the rubric.

# %%
from a5lib.classroom import assess

my_lines_1a_iv = None  # the lines that your answer meets, such as [1, 2]
assess("1a-iv", my_lines_1a_iv)

# %% [markdown]
# A thousand keys, of which one is ahead by a gap of 20. Where is the output?

# %%
crowd, facts = keys_that_stand_out(1000), torch.randn(1000, 16, generator=generator).double()
output = look_up(crowd, facts, 20 * along)
places = {"its value": facts[0], "the mean of all": facts.mean(0), "their sum": facts.sum(0)}
for place, vector in places.items():
    print(f"distance of the output from {place}: {(output - vector).norm():.2g}")

# %% [markdown]
# Now turn the query yourself. First a still picture: the query points at the third key and is long enough to copy.

# %%
def show_look_up(degrees, length):
    """The look-up of section 1 for a query of that direction and length."""
    angle = math.radians(degrees)
    query = length * torch.tensor([math.cos(angle), math.sin(angle)]).double()
    return plane_look_up(keys, values, query)


show_look_up(234, 8)

# %% [markdown]
# Then move it. Where must it point, and how long must it be, for the star to sit on $v_5$, inside the hull? Where is
# the star exactly half-way between two values?

# %%
from a5lib.display.widgets import controls_explorer

controls = {"direction (degrees)": (0, 360, 160, 2), "length": (0.0, 20.0, 3.0, 0.5)}
controls_explorer(show_look_up, controls)

# %% [markdown]
# ## What you have seen
# - The weights are a categorical distribution, and the output is its mean, inside the convex hull of the values.
# - One key has the weight if its score is ahead by far more than $\ln(n - 1)$. The number of keys costs only its logarithm.
# - Then the output is that key's value, with an error that falls by $e$ with each unit of gap.
#
# One look-up, one value. In **02** it has to bring two.

# %% [markdown]
# ## Your points so far
# Of this notebook and the others. A pass stays, whatever you try afterwards; `python -m a5lib.classroom progress`
# shows the same from a shell.

# %%
from a5lib.classroom import points_so_far

points_so_far()
