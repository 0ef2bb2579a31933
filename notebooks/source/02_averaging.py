# ---
# jupyter:
#   a5:
#     about: taking one value out of a sum, a query that averages, how long it must be
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# {{badge}}

# %% [markdown]
# # 02 · Averaging: two values in one vector
#
# Attention hands on *one* vector, however many values went into it. Two questions follow. If a vector is the sum of
# two, can a layer get one of them back? And how must a query look so that exactly two values go in, half and half?
#
# Both have short exact answers, and both answers come with a condition that is easily overlooked: right angles for the
# first, a large enough $\beta$ for the second. You will derive them, then break the conditions and measure the damage.
#
# **Needs** no earlier notebook. **Takes** 95 minutes of yours; the machine works a few seconds.

# %% tags=["parameters"]
profile: str = ""  # smoke, quick or full; empty: full with a GPU, quick without
data: str = ""  # a folder with wiki.txt and the question files; empty: the profile's own
seed: int = 0
runs: str = ""  # where trained models are kept; empty: runs/

# %%
{{setup}}

# %% [markdown]
# ## 1 Take one value out of a sum
#
# Let $v_a$ be some combination of the $m$ columns of $A$, and $v_b$ one of the $p$ columns of $B$. Both matrices have
# $d$ rows. The columns have length 1 and are orthogonal, within each matrix and across:
#
# $$v_a = A\,c_a,\quad v_b = B\,c_b,\qquad A^\top\! A = I,\quad B^\top\! B = I,\quad A^\top\! B = 0.$$
#
# Only the sum $s = v_a + v_b$ arrives.

# %%
import torch

from a5lib.soft_lookup import subspaces

generator = torch.Generator().manual_seed(seed)
A, B = subspaces(12, 3, 4, generator)
c_a = torch.tensor([1.0, -2.0, 0.5]).double()
c_b = torch.tensor([-1.0, 1.0, 1.5, 0.5]).double()
v_a, v_b = A @ c_a, B @ c_b
s = v_a + v_b

# %%
from a5lib.display.averaging import vector_strips

vector_strips({"$v_a$": v_a, "$v_b$": v_b, "$s$": s})

# %% [markdown]
# No component of $s$ belongs to $v_a$ alone: the two are mixed in every box. All the same, $v_a$ can be had back
# without a loss.
#
# > **Exercise 1** · 10 minutes · medium · 3 points (question 1b-i)
# >
# > Write `extract`. It gets `A` of shape `(d, m)` and returns the matrix $M$ of shape `(d, d)` for which $M s = v_a$,
# > whatever $v_a$ and $v_b$ are. It knows nothing of $B$, $v_a$ or $v_b$.
#
# <details><summary>Hint</summary>
#
# Write $s$ as $A c_a + B c_b$ and look for a matrix that turns $B$ into 0. What does it make of $A c_a$? One more
# factor brings that back into the $d$-dimensional space.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# The product of column $i$ with $s$ is the $i$-th coordinate of $v_a$: every other column, of $A$ and of $B$, gives 0
# with it. So the transpose of $A$ reads the coordinates. To make a vector of them, take that much of each column: $A$
# times the coordinates. Both steps in one matrix: $A$ times its transpose.
#
# </details>

# %%
def extract(A):
    """The matrix M with M s = v_a, for orthonormal columns A and v_b orthogonal to them."""
    ### BEGIN SOLUTION
    return A @ A.T
    ### END SOLUTION


# %%
from a5lib.classroom import check

extract = check("extract", extract)

# %% [markdown]
# ### Predict
# Is $A^\top$ alone not enough? What is $A^\top s$?

# %%
choices_transpose = {
    "a": "v_a",
    "b": "a shorter vector, with no trace of v_b",
    "c": "a shorter vector, in which v_a and v_b are mixed",
}
my_guess_for_transpose = None  # "a", "b" or "c"

# %%
from a5lib.classroom.notebook import confront

short, without_b = A.T @ s, A.T @ v_a
letter = "a" if short.shape == v_a.shape else "b" if torch.allclose(short, without_b) else "c"
confront(a5, "02 transpose", my_guess_for_transpose, letter, choices=choices_transpose)
M = extract(A)
vector_strips({"$A^\\top s$": short, "$M s$": M @ s, "$v_a$": v_a})

# %% [markdown]
# <details><summary>Explain: what is missing in the transpose times s?</summary>
#
# Nothing is lost in it: these are 1, −2 and 0.5, the very coordinates that $v_a$ was made of. But they are *coordinates*: they
# say how much of each column, and not which columns. Another basis of the same subspace gives other numbers for the
# same $v_a$. And they are three numbers where a vector of twelve is asked for.
#
# </details>

# %% [markdown]
# The same one column at a time: ask $s$ how much of $a_i$ there is in it, and put that much of $a_i$ down.

# %% tags=["nbval-check-output"]
from a5lib.soft_lookup import projection

rebuilt = torch.zeros(12).double()
for a_i in A.T:
    rebuilt += (a_i @ s) * a_i
print("the loop and M agree:", torch.allclose(rebuilt, M @ s))
print("the library's M is yours:", torch.allclose(projection(A), M))

# %% [markdown]
# $M$ is a **projection**: what is in the span of $A$ stays, what is orthogonal to it goes. Three signs of that:

# %% tags=["nbval-check-output"]
print("twice is as good as once, M M = M:", torch.allclose(M @ M, M))
print("symmetric:", torch.allclose(M.T, M))
print(f"trace {torch.trace(M).item():.3f}, the dimension of the subspace")

# %% [markdown]
# > **Why?** Replace $A$ by $A R$ with a rotation $R$ ($R R^\top = I$): another basis of the same subspace. What happens
# > to $A^\top s$, and what to $M$?
#
# <details><summary>One answer</summary>
#
# The coordinates change to $R^\top A^\top s$. The matrix becomes $A R R^\top A^\top$, and $R R^\top$ drops out: $M$
# depends on the subspace only. That is why it is an answer to "give me $v_a$" and the coordinates are not.
#
# </details>
#
# > **In writing** · 5 minutes (question 1b-i)
# >
# > Show in two lines that $M s = v_a$, and say which of the given conditions each step uses. The code below tries your
# > $M$ on a thousand pairs. Write it in the cell below, in at most 150 words.

# %% [markdown] tags=["written:1b-i"]
# ### BEGIN SOLUTION
# *Answer to 1b-i.* Take $M = A A^\top$. Then
#
# $$M s = A A^\top (A c_a + B c_b) = A \underbrace{(A^\top\! A)}_{I} c_a + A \underbrace{(A^\top\! B)}_{0} c_b = A c_a = v_a.$$
#
# The first brace uses that A's columns are orthonormal, the second that they are orthogonal to B's. That B's own
# columns are orthonormal was not used.
# ### END SOLUTION

# %% tags=["nbval-check-output"]
drawn_a = A @ torch.randn(3, 1000, generator=generator).double()
drawn_b = B @ torch.randn(4, 1000, generator=generator).double()
error = (extract(A) @ (drawn_a + drawn_b) - drawn_a).abs().max().item()
print("largest error of 1,000 pairs is below 1e-12:", error < 1e-12)

# %% [markdown]
# ## 2 When the angle is not right
#
# A trained model owes us no right angles. Let the subspaces lean towards each other: same dimension $m$, an angle
# $\theta$ between each column of $A$ and its partner in $B$, so $A^\top\! B = \cos\theta\; I$.
#
# ### Predict
# You apply the same $M$ at $\theta = 60°$. How long is the error $M s - v_a$, in percent of the length of $v_b$?

# %%
my_guess_for_60 = None

# %%
def leak(degrees):
    """‖M s - v_a‖ / ‖v_b‖ for subspaces of dimension 3, `degrees` apart."""
    A, B = subspaces(12, 3, 3, generator, degrees)
    v_a, v_b = (X @ torch.randn(3, generator=generator).double() for X in (A, B))
    error = extract(A) @ (v_a + v_b) - v_a
    return (error.norm() / v_b.norm()).item()


confront(a5, "02 leak at 60 degrees", my_guess_for_60, 100 * leak(60), "%")

# %%
from a5lib.display.averaging import marks_on_lines

degrees = torch.arange(0, 91, 1)
closed = {"cos θ": (degrees, torch.cos(torch.deg2rad(degrees)))}
tried = range(0, 91, 10)
labels = ("angle θ between the subspaces (°)", "error / length of $v_b$", "What leaks in")
marks_on_lines(closed, {"cos θ": (tried, [leak(angle) for angle in tried])}, labels)

# %% [markdown]
# <details><summary>Explain: why exactly cos θ?</summary>
#
# $M s - v_a = A A^\top v_b = A A^\top\! B c_b = \cos\theta\, A c_b$, and $A c_b$ is as long as $c_b$, which is as long as
# $v_b$. At 80° a sixth of $v_b$ is in what you take for $v_a$; nearly a right angle is not good enough. Had $B$ more
# columns than $A$, only the part of $v_b$ on the leaning ones would leak.
#
# </details>

# %% [markdown]
# Must that be so? The plain projection drops a perpendicular. But $s$ was reached from $v_a$ by going *along the span of
# $B$*, so the way back is along the span of $B$, too:

# %% tags=["figure:two-extractions"]
from a5lib.display.averaging import two_extractions


def show_angle(angle):
    """v_a and v_b in the plane, `angle` degrees apart, and two ways back from their sum."""
    A, turn = torch.tensor([[1.0], [0.0]]), torch.deg2rad(torch.tensor(float(angle)))
    v_a, v_b = 1.2 * A[:, 0], torch.stack([turn.cos(), turn.sin()])
    return two_extractions(v_a, v_b, extract(A) @ (v_a + v_b))


show_angle(55)

# %% [markdown]
# > **Exercise 2** · 15 minutes · hard
# >
# > Write `extract_exact`. It gets `A` and `B`, columns orthonormal within each but not across, and returns an $M$ with
# > $M A = A$ and $M B = 0$. Together that says $M s = v_a$ at any angle above 0.
#
# <details><summary>Hint</summary>
#
# $s = [A\;B]\,c$ with one long list of coordinates $c$. `torch.cat([A, B], dim=1)` has independent columns, so
# `torch.linalg.pinv` of it finds $c$. Which of the coordinates are $v_a$'s?
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# Put the two bases side by side. The pseudo-inverse gives all $m + p$ coordinates of $s$. The first $m$ belong to $A$:
# keep these rows, and multiply by $A$ to make a vector of them. It is exercise 1 with the pseudo-inverse in the place
# of the transpose; at right angles the two are the same.
#
# </details>

# %%
def extract_exact(A, B):
    """The matrix M with M A = A and M B = 0, whatever the angle between the two."""
    ### BEGIN SOLUTION
    all_coordinates = torch.linalg.pinv(torch.cat([A, B], dim=1))
    return A @ all_coordinates[: A.shape[1]]
    ### END SOLUTION


# %%
extract_exact = check("extract_exact", extract_exact)

# %% tags=["nbval-check-output"]
for angle in (60, 10, 1):
    A, B = subspaces(12, 3, 3, generator, angle)
    M = extract_exact(A, B)
    keeps, removes = torch.allclose(M @ A, A), (M @ B).abs().max().item() < 1e-9
    again, symmetric = torch.allclose(M @ M, M), torch.allclose(M, M.T)
    print(f"{angle:2}°: M A = A {keeps}, M B = 0 {removes}, M M = M {again},", end=" ")
    print(f"symmetric {symmetric}")

# %% [markdown]
# > **Why?** It is a projection still, but not symmetric. Where does it write to, and where does it read from?
#
# <details><summary>One answer</summary>
#
# It writes into the span of $A$, as before. It reads along directions that are orthogonal to all of $B$, or $v_b$ would
# show. At right angles $A$'s own columns are such directions; at others they are not, and reading must be turned away from $B$.
# A layer of a Transformer has a matrix to read with and another to write with. Here is a reason.
#
# </details>

# %% [markdown]
# Even at one degree it works. Is there a catch? Real vectors are not exact sums: give every
# component of $s$ some noise of standard deviation $\sigma$, small beside $v_b$.
#
# ### Predict
# Which of the two matrices comes closer to $v_a$ then?

# %%
choices_noise = {
    "a": "the exact one, at all angles",
    "b": "the exact one at large angles, the plain one at small angles",
    "c": "the plain one at large angles, the exact one at small angles",
}
my_guess_for_noise = None  # "a", "b" or "c"

# %%
m, noise = 3, 0.2 / 3**0.5  # in one subspace the noise has the length 0.2, with ‖v_b‖ = 1


def errors_with_noise(degrees, samples=4000):
    """Root mean square errors of the plain and of the exact extraction; v_b has length 1."""
    A, B = subspaces(12, m, m, generator, degrees)
    v_a, v_b = A @ torch.ones(m).double(), B[:, 0]
    s = v_a + v_b + noise * torch.randn(samples, 12, generator=generator).double()
    found = s @ extract(A).T, s @ extract_exact(A, B).T
    return [(x - v_a).square().sum(dim=1).mean().sqrt().item() for x in found]


angles = [3, 5, 8, 12, 20, 30, 45, 60, 75, 90]
plain, exact = zip(*map(errors_with_noise, angles))

# %%
exact_wins = [e < p for e, p in zip(exact[:-1], plain[:-1])]  # at 90° they are the same
letter = "a" if all(exact_wins) else "b" if exact_wins[-1] else "c"
confront(a5, "02 exact or plain", my_guess_for_noise, letter, choices=choices_noise)

# %% tags=["figure:exact-or-plain"]
import math

theta = torch.deg2rad(torch.linspace(2.5, 90, 200).double())
lines = {"plain": (theta.cos() ** 2 + 0.2**2).sqrt(), "exact": 0.2 / theta.sin()}
lines = {name: (theta.rad2deg(), error) for name, error in lines.items()}
labels = labels[:2] + ("With noise, exact has a price",)
crossing = math.degrees(math.asin(0.2)), "sin θ = noise / $v_b$"
marks = {"plain": (angles, plain), "exact": (angles, exact)}
marks_on_lines(lines, marks, labels, log="y", at=crossing)

# %% [markdown]
# <details><summary>Explain: where do the two lines come from, and where do they cross?</summary>
#
# Both matrices keep the noise of $m$ directions, of length $\sigma\sqrt m$ = 0.2. The plain one adds the leak at a right
# angle: $\sqrt{\cos^2\theta + \sigma^2 m}$. The exact one has no leak but stretches the noise, by $1/\sin\theta$: the flatter
# the way back, the farther a small deviation slides. The two are equal where
#
# $$\cos^2\theta + \sigma^2 m = \frac{\sigma^2 m}{\sin^2\theta} \iff \sin\theta = \frac{\sigma\sqrt m}{\lVert v_b\rVert}.$$
#
# If the angle's sine is below the ratio of noise to signal, what cannot be told apart should not be told apart.
#
# </details>

# %% [markdown]
# The plane again, now with the angle in your hand. Watch the point where the dotted way starts: how far would the
# purple point move if $s$ were a little higher or lower?

# %%
from a5lib.display.widgets import controls_explorer

controls_explorer(show_angle, {"angle in degrees": (5, 90, 55, 5)})

# %% [markdown]
# ## 3 A query that averages
#
# Now the other half. There are $n$ keys $k_i$, orthonormal, each with a value $v_i$. Attention gives
#
# $$c = \sum_i \alpha_i v_i, \qquad \alpha_i = \frac{e^{k_i \cdot q}}{\sum_j e^{k_j \cdot q}}.$$
#
# We want $c \approx \tfrac12 (v_a + v_b)$. That is a sum of two, and section 1 takes it apart.
#
# > **Exercise 3** · 5 minutes · easy · 2 points (question 1b-ii)
# >
# > Write `averaging_query`: from the two keys, of shape `(d,)` each, a query of the same shape. Its score $k_i \cdot q$ is
# > $\beta$ for both keys, and 0 for all the others.
#
# <details><summary>Hint</summary>
#
# What is the score of $k_a$ if the query is $k_a$? And that of $k_b$?
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# Equal weights need equal scores. A query along one key scores with that key only, so a query that is the sum of both
# keys scores 1 with each. Scale it by β.
#
# </details>

# %%
def averaging_query(k_a, k_b, beta):
    """A query with the score beta for both keys, and 0 for keys orthogonal to them."""
    ### BEGIN SOLUTION
    return beta * (k_a + k_b)
    ### END SOLUTION


# %%
averaging_query = check("averaging_query", averaging_query)

# %%
from a5lib.display.averaging import weight_bars
from a5lib.soft_lookup import attention_weights, orthonormal_rows

keys, a, b = orthonormal_rows(10, 16, generator), 2, 6
weights = {
    f"β = {beta}": attention_weights(keys, averaging_query(keys[a], keys[b], beta))
    for beta in (0, 1, 3, 6)
}
weight_bars(weights, {a: 1 / 2, b: 1 / 2})

# %% [markdown]
# > **Why?** The keys need not be orthogonal to each other for $\alpha_a = \alpha_b$. What do they need?
#
# <details><summary>One answer</summary>
#
# Equal lengths. The scores are $\beta(\lVert k_a \rVert^2 + k_a \cdot k_b)$ and $\beta(\lVert k_b \rVert^2 + k_a \cdot k_b)$: the
# product of the two keys is in both. A key that is longer than the other takes the weight from it, the more so the larger
# β is. Notebook 03 turns on this point.
#
# </details>

# %% [markdown]
# Ten keys, and $\beta = 6$ does it. Attention has seldom only ten.
#
# ### Predict
# A hundred keys, $\beta = 5$. What is $\alpha_a$, in percent?

# %%
my_guess_for_weight = None

# %%
keys = orthonormal_rows(100, 128, generator)
weights = attention_weights(keys, averaging_query(keys[a], keys[b], 5.0))
confront(a5, "02 weight of 1 in 100", my_guess_for_weight, 100 * weights[a].item(), "%")

# %% [markdown]
# > **Exercise 4** · 10 minutes · medium · 1 point (question 1b-ii)
# >
# > Return by how much $\alpha_a$ lacks ½, exactly: one number. It must survive $\beta = 1000$.
#
# <details><summary>Hint</summary>
#
# Two of the $n$ scores are β, all others 0. Write the sum in the softmax's denominator, then ½ minus the weight over
# one denominator. `math.exp(1000)` raises an error and `math.exp(-1000)` is 0.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# The denominator is twice e to the β, and 1 for each of the $n-2$ others. What the others get together is missing from
# ½ + ½, half of it from each. Divide the fraction above and below by e to the β: then only its inverse occurs, which
# cannot overflow.
#
# </details>

# %%
def shortfall(beta, n):
    """½ minus the weight of each of the two keys asked for, among n keys."""
    ### BEGIN SOLUTION
    others = (n - 2) * math.exp(-beta)
    return others / (2 * (2 + others))
    ### END SOLUTION


# %%
shortfall = check("shortfall", shortfall)

# %% [markdown]
# ### Predict
# With ten keys some $\beta$ brings the two within 1 % of their goal. What does it take with a thousand keys?

# %%
choices_keys = {
    "a": "a β 100 times as large",
    "b": "a β 10 times as large",
    "c": "a β that is larger by about 5",
}
my_guess_for_keys = None  # "a", "b" or "c"

# %%
betas = torch.arange(0, 15, 0.01).double()


def others_weight(n, asked=2):
    """What the n - asked other keys get together, measured at each of `betas`."""
    keys = orthonormal_rows(n, n, generator)
    scores = keys @ keys[:asked].sum(dim=0)  # at β = 1; the scores grow in proportion
    return (betas[:, None] * scores).softmax(dim=1)[:, asked:].sum(dim=1)


def first_beta(n, asked=2, share=0.01):
    """The smallest of `betas` at which the others get at most `share`."""
    return betas[others_weight(n, asked) <= share][0].item()


# %%
few, many = first_beta(10), first_beta(1000)
offers = {"a": 100 * few, "b": 10 * few, "c": few + 5}
letter = min(offers, key=lambda name: abs(offers[name] - many))
print(f"10 keys: β = {few:.2f}; 1,000 keys: β = {many:.2f}")
confront(a5, "02 keys and beta", my_guess_for_keys, letter, choices=choices_keys)

# %% tags=["figure:averaging-shortfall"]
some = slice(50, 1401, 150)
sizes = {f"n = {n:,}": n for n in (1000, 100, 10, 3)}
lines = {name: (betas, [shortfall(x.item(), n) for x in betas]) for name, n in sizes.items()}
marks = {name: (betas[some], others_weight(n)[some] / 2) for name, n in sizes.items()}
title = "Flat until $2e^β$ reaches n − 2, then e times less per unit of β"
labels = ("β", "½ − weight of a", title)
marks_on_lines(lines, marks, labels, log="y")

# %% [markdown]
# <details><summary>Explain: what does the condition 2e^β ≫ n − 2 say?</summary>
#
# The two keys bring $2e^\beta$ into the denominator, the others $n-2$. What the others get together is
#
# $$\rho = \frac{n-2}{2e^\beta + n-2} = \frac{1}{1 + e^{\beta - \beta_0}}, \qquad \beta_0 = \ln\frac{n-2}{2}.$$
#
# It is one and the same falling curve for all $n$, shifted to $\beta_0$, where the two sides hold each other in balance.
# Before that the others, weak but many, have most of the weight. After it each unit of $\beta$ divides what they have by
# $e$. From 10 to 1,000 keys $\beta_0$ moves by $\ln(998/8) = 4.8$: a hundred times as many keys, five more of β.
#
# </details>

# %% [markdown]
# ### Predict
# What does that mean for the output? At $\beta = 0$ it is the mean of all values. Which way does it take to
# $\tfrac12(v_a + v_b)$ as $\beta$ grows?

# %%
choices_path = {
    "a": "first to v_a or v_b, whichever is nearer, then to the middle",
    "b": "straight to the middle",
    "c": "along a bow, drawn aside by the values nearby",
}
my_guess_for_path = None  # "a", "b" or "c"

# %%
from a5lib.soft_lookup import look_up

to_average = [[2.6, 1.4], [1.8, -0.8]]
others = [[-1.5, 0.9], [-0.9, -1.2], [0.9, 0.6], [-2.1, -0.3], [-0.4, 1.2]]
values, keys = torch.tensor(to_average + others).double(), orthonormal_rows(7, 8, generator)
tried = range(7)
path = [look_up(keys, values, averaging_query(keys[0], keys[1], beta)) for beta in tried]
path = torch.stack(path)

# %%
along = values[:2].mean(dim=0) - path[0]
across = torch.stack([-along[1], along[0]])
bend = ((path - path[0]) @ across).abs().max().item()
letter = "b" if bend < 1e-9 else "c"
confront(a5, "02 path of the output", my_guess_for_path, letter, choices=choices_path)

# %%
from a5lib.display.averaging import output_path

output_path(values, [0, 1], path, tried)

# %% [markdown]
# <details><summary>Explain: why straight?</summary>
#
# Only two different weights occur: one for $a$ and $b$, one for all the others. So the output is always
# $(1-\rho)$ times the middle plus $\rho$ times the mean of the *others*: a point on the line between the two.
#
# </details>
#
# > **In writing** · 10 minutes (question 1b-ii)
# >
# > From your query, derive $\alpha_a$, the condition on β, and the length of the output's error. The code below measures
# > that length beside the closed form. Write it in the cell below, in at most 200 words.

# %% [markdown] tags=["written:1b-ii"]
# ### BEGIN SOLUTION
# *Answer to 1b-ii.* With $q = \beta(k_a + k_b)$ orthonormal keys give the scores $k_a \cdot q = k_b \cdot q = \beta$ and
# $k_i \cdot q = 0$ for all others. Hence
#
# $$\alpha_a = \alpha_b = \frac{e^\beta}{2e^\beta + n - 2}, \qquad \tfrac12 - \alpha_a = \frac{n-2}{2\,(2e^\beta + n-2)},$$
#
# which is small if and only if $2e^\beta \gg n-2$. The others share $\rho = (n-2)/(2e^\beta + n-2)$ evenly, so with
# $\bar v$ the mean of the others
#
# $$c = (1-\rho)\,\tfrac12(v_a+v_b) + \rho\,\bar v, \qquad \lVert c - \tfrac12(v_a+v_b)\rVert = \rho\,\lVert \bar v - \tfrac12(v_a+v_b)\rVert.$$
# ### END SOLUTION

# %%
from a5lib.soft_lookup import averaging_error

values = torch.randn(50, 20, generator=generator).double()
keys = orthonormal_rows(50, 64, generator)
for beta in (0, 2, 4, 8):
    c = look_up(keys, values, averaging_query(keys[a], keys[b], beta))
    measured = (c - (values[a] + values[b]) / 2).norm().item()
    closed = averaging_error(values, [a, b], beta).item()
    print(f"β = {beta}: error {measured:.5f} measured, {closed:.5f} by the closed form")

# %% [markdown]
# ## 4 Averaging many
#
# Nothing in this needs two. Ask for $k$ keys by the sum of all of them, times β. Each then has the weight
# $e^\beta / (k e^\beta + n - k)$, and $1/k$ in the limit.
#
# > **Exercise 5** · 10 minutes · medium · 1 point (question 1b-ii)
# >
# > Turn it round: return the β at which the $n - k$ others keep exactly `share` of the
# > weight together. Two keys (`asked=2`) are question 1b-ii's case.
#
# <details><summary>Hint</summary>
#
# Look at the *odds*, what the others have over what the asked ones have. They are a simple fraction in $e^\beta$.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# The odds of the others are share over (1 − share). By the weights they are $n-k$ against $k$ times e to the β. Set
# equal, solve for e to the β, take the logarithm. Two terms: one counts keys, one says how good it must be.
#
# </details>

# %%
def beta_needed(share, n, asked=2):
    """The β that leaves the n - asked other keys `share` of the weight."""
    ### BEGIN SOLUTION
    keys_against = math.log((n - asked) / asked)
    return keys_against + math.log((1 - share) / share)
    ### END SOLUTION


# %%
beta_needed = check("beta_needed", beta_needed)

# %% [markdown]
# ### Predict
# Of 256 keys you average 16 and not 2, and the others may again keep 1 %. What does β have to do?

# %%
choices_asked = {"a": "grow 8 times", "b": "grow by ln 8 = 2.1", "c": "fall"}
my_guess_for_asked = None  # "a", "b" or "c"

# %%
two, sixteen = first_beta(256, 2), first_beta(256, 16)
letter = "c" if sixteen < two else "b" if sixteen < 4 * two else "a"
print(f"2 of 256: β = {two:.2f}; 16 of 256: β = {sixteen:.2f}")
confront(a5, "02 more keys asked", my_guess_for_asked, letter, choices=choices_asked)

# %%
counts = [1, 2, 4, 8, 16, 32, 64, 128]


def with_length(betas):
    """A curve of β over the counts, and one of the query's length."""
    lengths = [beta * k**0.5 for beta, k in zip(betas, counts)]
    return {"β": (counts, betas), "β√k, length of q": (counts, lengths)}


lines = with_length([beta_needed(0.01, 256, k) for k in counts])
marks = with_length([first_beta(256, k) for k in counts])
labels = ("keys averaged, k of 256", "β, or length of q", "Each key needs less, the query more")
marks_on_lines(lines, marks, labels, log="xy")

# %% [markdown]
# <details><summary>Explain: fall, and yet grow?</summary>
#
# $\beta = \ln\frac{n-k}{k} + \ln\frac{1-\rho}{\rho}$ falls with $k$: more keys stand together against fewer others. But the query is
# a sum of $k$ orthogonal vectors of length β, and that sum is $\beta\sqrt k$ long. So averaging many takes a long query,
# and a long query magnifies whatever noise the keys have. Notebook 03 shows what comes of that.
#
# </details>

# %% [markdown]
# There is a second limit, and no β moves it: the sum must be taken apart again. By section 1 each value needs a
# subspace of its own. Let $k$ values lie in random subspaces of dimension 8, all within $d = 64$. We read each out of
# the sum of all in both ways: by the plain projection, and by the exact one that knows all the subspaces.
#
# ### Predict
# How many such values can be added up so that the exact way still gets each one back without an error?

# %%
my_guess_for_count = None

# %%
def read_errors(k, d=64, m=8):
    """Squared errors of reading k values from their sum, plain and exact; 1 is all of it."""
    bases = [orthonormal_rows(m, d, generator).T for _ in range(k)]
    side_by_side = torch.cat(bases, dim=1)  # (d, k m)
    coordinates = torch.randn(k * m, generator=generator).double()
    s = side_by_side @ coordinates
    found = side_by_side.T @ s, torch.linalg.pinv(side_by_side) @ s
    return [((x - coordinates).norm() / coordinates.norm()).item() ** 2 for x in found]


numbers = range(1, 17)
errors = [torch.tensor([read_errors(k) for _ in range(20)]).mean(0).sqrt() for k in numbers]
without_error = max(k for k, error in zip(numbers, errors) if error[1] < 1e-6)
confront(a5, "02 values in one sum", my_guess_for_count, without_error, "values")

# %% tags=["figure:values-in-one-sum"]
plain, exact = torch.stack(errors).T
k = torch.linspace(1, 16, 301)
leak_of_all, lost = (k - 1) * 8 / 64, (1 - 64 / (8 * k)).clamp(min=0)
lines = {"plain": (k, leak_of_all.sqrt()), "exact": (k, lost.sqrt())}
marks = {"plain": (numbers, plain), "exact": (numbers, exact)}
title = "Eight values of 8 dimensions fill 64"
labels = ("values in the sum, k", "error / length of the values", title)
marks_on_lines(lines, marks, labels, at=(8, "k m = d"))

# %% [markdown]
# <details><summary>Explain: what happens at 8, and what before?</summary>
#
# The bases side by side are a matrix with $d = 64$ rows and $8k$ columns. Up to $8k = 64$ its columns are independent, and the
# sum has only one set of coordinates. Beyond, its rank stays 64: there are more unknowns than equations, and of $8k$
# coordinates only 64 can be had, the share $d/(km)$. So $k$ values need $k$ subspaces of dimension $d/k$ at most.
#
# The plain projection suffers earlier. Each other value leaks $\sqrt{m/d}$ of its length, since a random vector has that much in
# any $m$ of $d$ directions, and $k - 1$ such leaks add up like noise: $\sqrt{(k-1)m/d}$.
#
# </details>
#
# > **Why?** Attention has several heads. What do they buy, in the light of the two limits?
#
# <details><summary>One answer</summary>
#
# A head that fetches one value needs a short query and no subspace of its own: what heads fetch is kept apart by
# where they write it. Heads divide $d$ among them as these subspaces do, and each has its own softmax. Notebook 03 gives
# the two keys to two heads.
#
# </details>

# %% [markdown]
# Try it: keep the others' share below 1 %, and add keys. What does β have to do when you double $n$, and what when you
# average more?

# %%
from a5lib.soft_lookup import shared_weight


def show_average(beta, n, asked):
    """Weights for a query that averages; the first `asked` keys are asked for."""
    keys = orthonormal_rows(n, n, torch.Generator().manual_seed(seed))
    weights = attention_weights(keys, beta * keys[:asked].sum(dim=0))
    others = 1 - asked * shared_weight(beta, n, asked)
    title = f"the output is {others:.1%} of the way from its target to the others' mean"
    return weight_bars({title: weights}, dict.fromkeys(range(asked), 1 / asked))


sliders = {"β": (0.0, 12.0, 3.0, 0.25), "n": (8, 128, 32, 4), "keys averaged": (1, 7, 2, 1)}
controls_explorer(show_average, sliders)

# %% [markdown]
# ## 5 Weights that are not equal
#
# Can attention take two parts of $v_a$ and one of $v_b$? The values have no say in it, and the keys are given. Only the
# query can do it.
#
# ### Predict
# Somebody takes $q = \beta(2 k_a + k_b)$ with $\beta = 10$. What is $\alpha_a : \alpha_b$?

# %%
choices_ratio = {"a": "2 : 1", "b": "20 : 1", "c": "about 22,000 : 1"}
my_guess_for_ratio = None  # "a", "b" or "c"

# %%
keys = orthonormal_rows(10, 16, generator)
weights = attention_weights(keys, 10 * (2 * keys[a] + keys[b]))
ratio = (weights[a] / weights[b]).item()
offers = {"a": 2, "b": 20, "c": 22_000}
letter = min(offers, key=lambda name: abs(offers[name] - ratio))
confront(a5, "02 twice the key", my_guess_for_ratio, letter, choices=choices_ratio)

# %% [markdown]
# > **Exercise 6** · 10 minutes · medium
# >
# > Write `weighted_query`: a query that gives $a$ exactly `ratio` times the weight of $b$, at any β. Change the score of
# > $a$ only: that of $b$ stays β.
#
# <details><summary>Hint</summary>
#
# $\alpha_a / \alpha_b = e^{\,k_a \cdot q}\,/\,e^{\,k_b \cdot q}$. By how much must the scores differ?
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# A *ratio* of weights is a *difference* of scores. To multiply the weight by a number, add its natural logarithm to the score: so
# start from the query that averages, and add that much of $k_a$. The logarithm is not multiplied by β.
#
# </details>

# %%
def weighted_query(k_a, k_b, beta, ratio):
    """A query for which k_a gets `ratio` times the weight of k_b."""
    ### BEGIN SOLUTION
    return averaging_query(k_a, k_b, beta) + math.log(ratio) * k_a
    ### END SOLUTION


# %%
weighted_query = check("weighted_query", weighted_query)

# %%
queries = {
    "$β(k_a + k_b)$": averaging_query(keys[a], keys[b], 10),
    "$β(2k_a + k_b)$": 10 * (2 * keys[a] + keys[b]),
    "yours, ratio 2": weighted_query(keys[a], keys[b], 10, 2),
}
weights = {name: attention_weights(keys, q) for name, q in queries.items()}
weight_bars(weights, {a: 2 / 3, b: 1 / 3})

# %% [markdown]
# > **Why?** Go on with this thought: which distributions over $n$ orthonormal keys can a query produce at all?
#
# <details><summary>One answer</summary>
#
# Every one without a zero: $q = \sum_i \ln p_i\, k_i$ has the scores $\ln p_i$, and the softmax undoes the logarithm. The
# query that averages is a special case, up to a constant in all scores. A weight of exactly 0 would need a score of minus infinity.
#
# </details>

# %% tags=["nbval-check-output"]
wanted = torch.tensor([0.4, 0.3, 0.2, 0.06, 0.04]).double()
keys = orthonormal_rows(5, 8, generator)
got = attention_weights(keys, wanted.log() @ keys)
print("any distribution:", torch.allclose(got, wanted))

# %% [markdown]
# ## 6 Both halves together
#
# Look two values up at once, hand on one vector, take it apart: $2 M c$ should be $v_a$.

# %%
A, B = subspaces(16, 8, 8, generator)
keys = orthonormal_rows(10, 16, generator)
values = torch.randn(10, 16, generator=generator).double()
values[a] = A @ torch.randn(8, generator=generator).double()
values[b] = B @ torch.randn(8, generator=generator).double()
for beta in (2, 6, 10):
    c = look_up(keys, values, averaging_query(keys[a], keys[b], beta))
    missed = (2 * extract(A) @ c - values[a]).norm() / values[a].norm()
    print(f"β = {beta:2}: read with an error of {100 * missed.item():.3g} % of v_a's length")

# %% [markdown]
# ## What you have seen
# - A sum can be taken apart if its parts live in orthogonal subspaces: $M$ projects. Coordinates are not the vector.
# - At other angles the plain projection leaks $\cos\theta$; the exact one does not, and multiplies noise by
#   $1/\sin\theta$.
# - $q = \beta(k_a + k_b)$ averages if $2e^\beta \gg n-2$. The number of keys costs only its logarithm.
# - Averaging more keys takes a longer query, and $d$ dimensions hold $d/m$ values of $m$ dimensions each.
# - Ratios of weights are differences of scores.
#
# All keys were exact here. In **03** they have noise, and this query turns out to be fragile.

# %% [markdown]
# ## Your points so far
# Of this notebook and the others. A pass stays, whatever you try afterwards; `python -m a5lib.classroom progress`
# shows the same from a shell.

# %%
from a5lib.classroom import points_so_far

points_so_far()
