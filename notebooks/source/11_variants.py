# ---
# jupyter:
#   a5:
#     about: a synthesizer's scores, rotary positions, budgets of equal size
#     gpu: true
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# {{badge}}

# %% [markdown]
# # 11 · Variants: other years, other models
#
# The assignment has had other last parts: a *synthesizer*, which has no queries and keys, in 2021, and *rotary
# positions* (RoPE) in 2024. You write the heart of both, see what each can and cannot do, and compare all five models
# of this course on one page. Then the series ends with your own predictions beside what came out.
#
# **Needs** nothing from before. **Takes** 70 minutes of yours; the machine works half a minute.

# %% tags=["parameters"]
profile: str = ""  # smoke, quick or full; empty: full with a GPU, quick without
data: str = ""  # a folder with wiki.txt and the question files; empty: the profile's own
seed: int = 0
runs: str = ""  # where trained models are kept; empty: runs/

# %%
{{setup}}

# %% [markdown]
# ## 1 One word on the command line
#
# All variants go through one function, `build_model`, and one set of commands:
#
# ```
# python -m a5lib.run pretrain rope wiki.txt --writing_params_path rope.pretrain.params
# python -m a5lib.run finetune rope wiki.txt --reading_params_path rope.pretrain.params \
#        --writing_params_path rope.finetune.params --finetune_corpus_path birth_places_train.tsv
# python -m a5lib.run evaluate rope wiki.txt --reading_params_path rope.finetune.params \
#        --eval_corpus_path birth_dev.tsv --outputs_path rope.pretrain.dev.predictions
# ```
#
# ### Predict
# In each layer a synthesizer drops the matrices of query and key, $d \times d$ each, and gets one of that size and a small
# one, with a column for each position. Vanilla has 3,323,392 parameters at the assignment's shape. How many percent
# more has the synthesizer? (Fewer: a negative number.)

# %%
my_guess_for_parameters = None

# %% tags=["nbval-check-output"]
import torch

from a5lib.model import VARIANTS, GPTConfig, build_model

handout = GPTConfig(vocab_size=256, bottleneck_dim=64)  # 4 layers, 8 heads, d = 256, block 128
counts = {}
for variant in VARIANTS:
    with torch.device("meta"):  # shapes without numbers
        counts[variant] = sum(p.numel() for p in build_model(variant, handout).parameters())
    print(f"{variant:12} {counts[variant]:9,}")

# %%
from a5lib.classroom.notebook import confront

change = 100 * (counts["synthesizer"] / counts["vanilla"] - 1)
confront(a5, "11 parameters of a synthesizer", my_guess_for_parameters, change, "%")

# %% [markdown]
# RoPE has as many as vanilla, less the $128 \times 256$ learned positions, which it does not need.

# %% [markdown]
# ## 2 Synthesizer: attention without comparison
#
# In vanilla the score of a pair of positions is a product of two things, $s_{ij} = (x_i Q) \cdot (x_j K)$: position $i$
# asks, position $j$ answers. Tay et al. (2020) asked how much of that is needed, and let position $i$ decide alone:
#
# $$s_i = \mathrm{relu}(x_i A_1 + b_1)\, A_2 + b_2 \qquad \text{one number for each position } j$$
#
# The rest is as it was: mask, softmax, sum of values. With heads, $x_i A_1 + b_1$ is cut into pieces, and each piece goes
# through the same $A_2$.
#
# > **Exercise 1** · 5 minutes · easy
# >
# > Write the scores of one head: `x` is (T, D), `A1` (D, D), `b1` (D,), `A2` (D, S), `b2` (S,). Return (T, S).
#
# <details><summary>Hint</summary>
#
# It is an MLP. `(…).relu()`.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# Multiply x by A1 from the right, add b1, cut off below zero, multiply by A2, add b2.
#
# </details>

# %%
def synthesizer_scores(x, A1, b1, A2, b2):
    """(T, S): what each position wants to read, said by that position alone."""
    ### BEGIN SOLUTION
    hidden = (x @ A1 + b1).relu()
    return hidden @ A2 + b2
    ### END SOLUTION


# %%
from a5lib.classroom import check

synthesizer_scores = check("synthesizer_scores", synthesizer_scores)

# %% [markdown]
# With your scores, a layer of one head; beside it the library's, with the same weights:

# %% tags=["nbval-check-output"]
from a5lib.attention import causal_mask
from a5lib.variants import SynthesizerAttention

one_head = GPTConfig(9, block_size=12, n_head=1, n_embd=16, dropout=0.0)
layer, x = SynthesizerAttention(one_head), torch.randn(10, 16)
scores = synthesizer_scores(x, layer.w1.weight.T, layer.w1.bias, layer.w2, layer.b2)[:, :10]
weights = scores.masked_fill(~causal_mask(10), float("-inf")).softmax(dim=-1)
own = layer.proj(weights @ layer.value(x))
print(f"equal: {torch.allclose(own, layer(x[None])[0], atol=1e-6)}")

# %% [markdown]
# > **Why?** There are $S = 127$ columns in $A_2$ at the assignment's shape. What would it take to let this model read 200 characters? And vanilla?
#
# <details><summary>One answer</summary>
#
# Seventy-three new columns, trained: the model has no idea what position 150 is good for. Vanilla's queries and keys have no
# such limit, only its learned position embeddings have. With RoPE nothing in the model counts positions at all.
#
# </details>
#
# ### Predict
# Two texts differ in *which* people stand where: `ABCDEFGHA` and `EFGHABCDA`, a letter for a name. The last
# position, `A`, decides what to read. In which of the two layers does it decide otherwise in the second text?

# %%
choices_moves = {"a": "in vanilla's only", "b": "in the synthesizer's only"}
choices_moves |= {"c": "in both", "d": "in neither"}
my_guess_for_moves = None  # "a", "b", "c" or "d"

# %%
from a5lib.attention import CausalSelfAttention


@torch.no_grad()
def last_reads(layer, x):
    """(T,): the weights with which the last of the rows of x (T, D) reads all of them."""
    if isinstance(layer, SynthesizerAttention):
        weights = layer.w1.weight.T, layer.w1.bias, layer.w2, layer.b2
        scores = synthesizer_scores(x, *weights)[:, : len(x)]
    else:
        scores = layer.query(x) @ layer.key(x).T / x.size(1) ** 0.5
    return scores[-1].softmax(dim=-1)


# %%
texts = ("ABCDEFGHA", "EFGHABCDA")
numbers = dict(zip("ABCDEFGH", torch.randn(8, 16)))
layers = {"vanilla": CausalSelfAttention(one_head)}
layers["synthesizer"] = SynthesizerAttention(one_head)
reads = {}
for name, layer in layers.items():
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    reads[name] = [last_reads(layer, torch.stack([numbers[c] for c in text])) for text in texts]

# %% tags=["figure:what-the-last-position-reads"]
from a5lib.display.variants import weight_bars

moved = tuple(not torch.allclose(*rows) for rows in reads.values())
letter = dict(zip([(True, False), (False, True), (True, True), (False, False)], "abcd"))[moved]
confront(a5, "11 what moves", my_guess_for_moves, letter, choices=choices_moves)
weight_bars(reads, texts)

# %% [markdown]
# <details><summary>Explain: what can one layer not do?</summary>
#
# In the synthesizer the last position reads the same *places* whatever stands there. It can say "five back", and it can say
# something else for another last letter, but never "wherever the other A is". That takes a comparison of $x_i$ with $x_j$, and
# $x_j$ does not occur in its scores. So one layer cannot look anything up whose place is not known beforehand.
#
# </details>
#
# A test that needs nothing but that. A line holds eight pairs of a key and a value in random order; then comes one of
# the keys, and the answer is its value. One layer of attention, nothing else, learns it for 200 steps.
#
# ### Predict
# How many of the look-ups does the synthesizer get right, in percent?

# %%
my_guess_for_lookup = None

# %%
PAIRS, KINDS = 8, 16


def lookup_batch(n, generator):
    """Keys (n, 9), values (n, 9) with a blank for the last, and the answers (n,)."""
    both = torch.rand(2, n, KINDS, generator=generator).argsort(dim=2)[:, :, :PAIRS]
    keys, values = both
    asked = torch.randint(PAIRS, (n, 1), generator=generator)
    keys = torch.cat((keys, keys.gather(1, asked)), dim=1)
    blank = torch.full((n, 1), KINDS)
    return keys, torch.cat((values, blank), dim=1), values.gather(1, asked)[:, 0]


# %%
def learn_lookup(attention, steps=200):
    """Train one layer; the share (%) of each ten fresh batches that it looks up right."""
    torch.manual_seed(seed)
    generator, d = torch.Generator().manual_seed(seed), 64
    layer = attention(GPTConfig(KINDS + 1, 16, n_head=4, n_embd=d, dropout=0.0))
    embed = torch.nn.ModuleList([torch.nn.Embedding(KINDS + 1, d) for _ in range(2)])
    model = torch.nn.ModuleList([layer, embed, torch.nn.Linear(d, KINDS)])
    optimizer, right = torch.optim.AdamW(model.parameters(), lr=3e-3), []
    for _ in range(steps):
        keys, values, answers = lookup_batch(128, generator)
        logits = model[2](layer(embed[0](keys) + embed[1](values))[:, -1])
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits, answers).backward()
        optimizer.step()
        right.append(100 * (logits.argmax(dim=1) == answers).float().mean().item())
    return [sum(right[i : i + 10]) / 10 for i in range(0, steps, 10)]


# %% tags=["figure:look-up-with-one-layer"]
from a5lib.display.variants import lookup_curves

kinds = {"queries and keys": CausalSelfAttention, "synthesizer": SynthesizerAttention}
looked_up = {name: learn_lookup(attention) for name, attention in kinds.items()}
at_end = looked_up["synthesizer"][-1]
confront(a5, "11 look-ups of a synthesizer", my_guess_for_lookup, at_end, "%")
lookup_curves(looked_up, 10, 100 / PAIRS)

# %% [markdown]
# <details><summary>Explain: why exactly that number, and why is the whole model not lost?</summary>
#
# It sees which eight values stand in the line, and not which of them belongs to the key. One in eight is right by chance. More
# steps or more width would not help: the information does not enter its scores.
#
# Several layers can do something in a roundabout way. A first layer moves neighbours together ("the character before me"), the MLP
# compares what has been brought to one place, a later layer passes it on. That covers fixed distances and
# patterns, and with many heads and layers many of them. A question about a person has the name always in the same
# place, so even this model can learn birthplaces. It has to find the hard way what a comparison gives at once.
#
# </details>

# %% [markdown]
# ## 3 RoPE: positions as angles
#
# Attention itself does not know where anything stands. Vanilla adds a learned vector for each position to the input. RoPE
# (Su et al., 2021) adds nothing. It *turns* queries and keys: the numbers of a head go by pairs, and the pair number $i$ at
# position $t$ is turned by the angle $t\,\theta_i$, with $\theta_i = 10000^{-2i/D}$. The first pair turns fast, the last hardly
# at all.
#
# > **Exercise 2** · 15 minutes · medium
# >
# > Turn each pair $(x_{2i}, x_{2i+1})$ counter-clockwise: `x` is (…, T, D), `angles` (T, D/2). A pair $(a, b)$ becomes
# > $(a\cos - b\sin,\ a\sin + b\cos)$. Return a new tensor of x's shape.
#
# <details><summary>Hint</summary>
#
# `x[..., 0::2]` are the first numbers of all pairs, `x[..., 1::2]` the second ones. To put them back in turn:
# `torch.stack((first, second), dim=-1).flatten(-2)`.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# Take the first and the second numbers of all pairs apart. Compute the new first and the new second ones by the formula. Stack
# them along a new last axis, so that partners stand side by side, and flatten that axis away.
#
# </details>

# %%
def rotate(x, angles):
    """x (…, T, D) with each pair turned by its angle (T, D/2)."""
    ### BEGIN SOLUTION
    a, b = x[..., 0::2], x[..., 1::2]
    first = a * angles.cos() - b * angles.sin()
    second = a * angles.sin() + b * angles.cos()
    return torch.stack((first, second), dim=-1).flatten(-2)
    ### END SOLUTION


# %%
rotate = check("rotate", rotate)

# %% tags=["figure:rotary-pairs"]
from a5lib.display.variants import rotation_arrows
from a5lib.variants import rotary_angles

vector = torch.tensor([1.0, 0.3, 0.4, 1.0, 1.0, -0.5])
turned = rotate(vector.expand(6, 6), rotary_angles(6, 6))
rotation_arrows(turned.view(6, 3, 2).numpy(), rotary_angles(6, 6).numpy())

# %% [markdown]
# A pair is a complex number $a + bi$, and turning it is multiplying it by $e^{i t\theta}$. Two lines, and the same numbers:

# %% tags=["nbval-check-output"]
x, angles = torch.randn(2, 4, 9, 8), rotary_angles(9, 8)  # batch, heads, positions, head size
complex_x = torch.view_as_complex(x.unflatten(-1, (4, 2)))
product = complex_x * torch.polar(torch.ones_like(angles), angles)
pairs = torch.view_as_real(product).flatten(-2)
print(f"equal: {torch.allclose(pairs, rotate(x, angles), atol=1e-6)}")

# %% [markdown]
# Why is that a good idea? Turn both arrows of a pair by the same angle, and their product does not change. So the score of a
# query at position $s$ and a key at position $t$ depends on $t - s$ only.
#
# ### Predict
# A query at 3 and a key at 1 have the score 2.0. The same two, at 103 and 101?

# %%
my_guess_for_score = None

# %%
q, k = torch.randn(2, 1, 64, generator=torch.Generator().manual_seed(seed))
far = rotary_angles(128, 64).double()
q_turned, k_turned = (rotate(vector.double().expand(128, 64), far) for vector in (q, k))
table = q_turned @ k_turned.T  # (query's position, key's position)
scaled = 2.0 * table[103, 101] / table[3, 1]
confront(a5, "11 the score at 103 and 101", my_guess_for_score, scaled.item())
spreads = [table.diagonal(n).max() - table.diagonal(n).min() for n in range(-127, 128)]
print(f"largest difference at one distance, over all positions: {max(spreads):.0e}")

# %% tags=["figure:scores-over-positions"]
from a5lib.display.variants import score_matrices

place = 0.5 * torch.randn(128, 64, generator=torch.Generator().manual_seed(2))  # learned, say
added = (q + place) @ (k + place.roll(1, dims=1)).T
pictures = {"positions added": added[:48, :48], "positions as angles": table[:48, :48]}
score_matrices({name: scores.numpy() for name, scores in pictures.items()})

# %% [markdown]
# Stripes along the diagonals: one number for each distance. A whole model made of such layers cannot know *where* in
# the block a text stands. Put a text in at positions 0, 1, 2, … and again at 40, 41, 42, …:

# %% tags=["nbval-check-output"]
def starting_at(first, variant):
    """A model whose position 0 is its `first`."""
    model = build_model(variant, GPTConfig(90, n_head=2, n_embd=32, dropout=0.0), 0).eval()
    if variant == "vanilla":
        place = torch.randn(1, 128, 32, generator=torch.Generator().manual_seed(1))
        model.pos_emb.data = 0.1 * place[:, first:]
    else:
        for block in model.blocks:
            block.attn.rope_cache = block.attn.rope_cache[first:]
    return model


text = torch.randint(2, 90, (1, 20), generator=torch.Generator().manual_seed(0))
for variant in ("vanilla", "rope"):
    here, there = (starting_at(first, variant)(text)[0] for first in (0, 40))
    print(f"{variant}: the same logits at 40 as at 0: {torch.allclose(here, there, atol=1e-4)}")

# %% [markdown]
# > **Why?** The keys are turned *before* they go into the cache of decoding. Would it do to turn them later?
#
# <details><summary>One answer</summary>
#
# It would, and would cost more: each key's position never changes, so its turn can be paid once. Queries are never kept. Since
# only distances count, nothing has to be corrected when the text goes on.
#
# </details>

# %% [markdown]
# ## 4 All five, trained alike
#
# `perceiver` and `perceiver_ar` are those of 09. Every run below has the same data, recipe and number of passes (only the
# `perceiver` has more, as in 09); `python -m a5lib.experiments variants --seeds 0 1 2` makes them.
#
# ### Predict
# How many points is RoPE's mean accuracy on dev away from vanilla's? (Below: a negative number.) And which of the five knows
# least?

# %%
my_guess_for_rope = None
my_guess_for_least = None  # a variant's name

# %%
from a5lib.display.variants import accuracies, mean_interval
from a5lib.experiments import ROOT, rows_of

tried, london = rows_of("variants"), a5.london()
names = dict.fromkeys(run["variant"] for run in tried)
means = {name: mean_interval(accuracies(tried, variant=name))[0] for name in names}
if tried:
    ahead = means["rope"] - means["vanilla"]
    confront(a5, "11 rope less vanilla", my_guess_for_rope, ahead, "points")
    confront(a5, "11 who knows least", my_guess_for_least, min(means, key=means.get))

# %% tags=["figure:variants"]
from a5lib.display.variants import variant_scores

variant_scores(tried, london.accuracy) if tried else None

# %% [markdown]
# A question can fail for two reasons: the fact was not stored, or it is not found. So ask the *pretrained* models, in the
# words of the corpus. In `NAME was born in ` the name stands at the beginning, as in most lines. In `The birthplace of
# NAME was ` it begins at position 18, in a question at position 10.

# %% tags=["figure:variants-recall"]
from a5lib.display.variants import recall_figure

recall_figure(tried) if tried and "recall" in tried[0] else None

# %% [markdown]
# And how they got there, in one seed:

# %% tags=["figure:variants-curves"]
from a5lib.display.variants import variant_curves, whole_curves

curves = whole_curves(tried)
variant_curves(curves) if len(curves) > 1 else None

# %% [markdown]
# What they cost. Work is counted as in 09, in millions of multiply-adds forward, on texts of 46 characters, like ours,
# and of 128. Time is measured now, forward and backward on texts of 46 characters, as a multiple of vanilla's.

# %% tags=["figure:variants-table"]
from statistics import mean, median

from a5lib.complexity import Point, multiply_adds, sweep
from a5lib.display.perceiver import table as draw_table

shape = a5.model_config("perceiver")
points = [Point(variant, 46, shape.bottleneck_dim) for variant in VARIANTS]
costs = sweep(shape, points, "model", fused=True, rounds=7, device=a5.device)
time = {point.variant: median(cost.training) for point, cost in costs.items()}


def row_of(variant):
    """A variant's size, work, time and score."""
    work = [sum(multiply_adds(shape, variant, T).values()) / 1e6 for T in (46, 128)]
    mine = [run for run in tried if run["variant"] == variant]
    score, reach = mean_interval(accuracies(tried, variant=variant))
    of_seeds = f"{score:.1f} ± {reach:.1f}" if reach == reach else f"{score:.1f}"
    measured = f"{time[variant] / time['vanilla']:.2f}" if variant in time else ""
    work = [f"{n:,.1f} M" for n in work]
    return [variant, f"{mine[0]['parameters']:,}", *work, measured, of_seeds]


heads = ["", "para-\nmeters", "work,\nℓ = 46", "work,\nℓ = 128", "time,\nℓ = 46"]
heads.append("right on\ndev (%)")
draw_table(heads, [row_of(v) for v in means]) if tried else None

# %% [markdown]
# <details><summary>Explain: what made the difference?</summary>
#
# **RoPE** learns what text looks like sooner: it is ahead in the first half of the training. In the second half, when facts
# are what is left to learn, vanilla passes it and ends with more of them stored. What RoPE has stored it finds more
# evenly: when the name moves from the beginning to position 18, it loses less than vanilla does. The two effects
# nearly cancel in the questions. With these three seeds no difference is shown: RoPE's own seeds lie 15 points apart, and
# vanilla's mean is inside its interval. So *not worse* is not shown either. On the course's own data, whose lines are
# three times as long, people report the opposite order: 20 to 27 % for vanilla, 17 to 33 % for RoPE.
#
# Why fewer facts? Not because learned positions are missing: with both kinds of positions in one model the score is no
# better (58 % in seed 1). A guess that remains: a pair that turns fast compares well only at one distance, so fewer of a
# head's 32 numbers are left to compare *what* stands there, wherever it is. The figures show that and when it falls
# behind; they do not show why.
#
# **The synthesizer** is the clearest case. It has stored most facts: it ends two thirds of the sentences in which the name
# stands at the beginning. And it hardly finds them where the name stands elsewhere, in the question for instance. Its
# scores are for *places*; it has learned by heart what stands where.
#
# **perceiver_ar** is vanilla here, up to chance, since hardly a line is longer than $m$; **perceiver** has two layers that
# can look for something, as 09 showed. With more passes it stores as much as the others, and still answers less, and its
# seeds lie furthest apart.
#
# Each bar is the interval of a mean over seeds (Student's t). Where bars overlap, this many runs have shown no difference.
#
# </details>
#
# The course's own corpus is not part of this project. Where you have it, `python -m a5lib.experiments variants --data FOLDER
# --out figures/course` writes its table, and the next cell shows it.

# %%
here = (ROOT / "figures/course/variants.json").is_file()
variant_scores(rows_of("course/variants"), 5.0) if here else None

# %% [markdown]
# ### A small one, live
# Three of them, two layers of $d = 64$, a few passes. Too little for facts, enough to see who is quicker to learn what
# text looks like.
#
# ### Predict
# Whose loss is the lowest after these few passes?

# %%
my_guess_for_quickest = None  # "vanilla", "rope" or "synthesizer"

# %%
from dataclasses import replace

from a5lib.pipeline import Pipeline

small = Pipeline("smoke", data, seed, str(a5.folder.parent))
passes = 0.5 if a5.profile.name == "smoke" else 4
small = small.variation(pretrain=replace(small.recipe.pretrain, max_epochs=passes))
live = {variant: small.pretrain(variant) for variant in ("vanilla", "rope", "synthesizer")}
last = {variant: mean(p["loss"] for p in stage.history[-5:]) for variant, stage in live.items()}
confront(a5, "11 the quickest learner", my_guess_for_quickest, min(last, key=last.get))

# %%
from a5lib.display.figures import loss_curve

loss_curve({name: stage.history for name, stage in live.items()}, title="Two layers, d = 64")

# %% [markdown]
# <details><summary>Explain: why that order?</summary>
#
# Spelling is about neighbours: what follows `Lond`? Scores by distance have that from the first step. Learned positions
# have to find out, for each of 128 places by itself, which place comes before it, and so has the synthesizer. Later in
# the training the lead melts: what is left to learn then is the facts.
#
# </details>

# %% [markdown]
# ## 5 One phrasing against several
#
# In our corpus each life is told in four sentences. In another world of the same people it is told in one, two or eight.
# To compare fairly, what should be held equal? Not the passes: then a world with fewer lines is read less. Here it is the
# **exposures**, how often a line about a person is read.
#
# > **Exercise 3** · 3 minutes · easy
# >
# > With `usual_phrasings` lines a person the recipe makes `usual_passes` passes. How many passes does a world with
# > `phrasings` lines a person get, for each person to be read about as often?
#
# <details><summary>Hint</summary>
#
# Four lines and 27 passes: 108 exposures.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# Lines times passes stays the same, so divide the usual product by the lines.
#
# </details>

# %%
def equal_passes(phrasings, usual_phrasings=4, usual_passes=27):
    """Passes for each fact to be read as often as usual."""
    ### BEGIN SOLUTION
    return usual_phrasings * usual_passes / phrasings
    ### END SOLUTION


# %%
equal_passes = check("equal_passes", equal_passes)
print({n: equal_passes(n) for n in (1, 2, 4, 8)})

# %% [markdown]
# > **Why?** What is *not* equal in this comparison, though the exposures are?
#
# <details><summary>One answer</summary>
#
# The lines themselves. With one phrasing everybody has the plain one, `… was born in …`, and nobody a line with the city before the
# name. The same text comes back four times as often, cut and masked in another way each time. And the data is smaller: 600
# lines against 2,400, though as many characters are read.
#
# </details>
#
# ### Predict
# With one phrasing, what share of dev is answered right, in percent? With four it is what you saw in 08.

# %%
my_guess_for_one_phrasing = None

# %%
worlds = rows_of("phrasings")
if worlds:
    one = mean(accuracies(worlds, phrasings=1))
    confront(a5, "11 one phrasing", my_guess_for_one_phrasing, one, "%")

# %% tags=["figure:phrasings"]
from a5lib.display.variants import phrasing_figure

phrasing_figure(worlds, london.accuracy) if worlds else None

# %% [markdown]
# <details><summary>Explain: why do more sentences help, or do they?</summary>
#
# They help, though nothing is read more often. With one sentence the loss in pretraining ends *lowest*: these lines are
# known best, letter by letter. What has been stored is the sentence, though: the place comes after this very string. The
# question is another string. With several sentences that share nothing but the name and the place, the cheapest way to
# get all of them right is to store the place under the name, and that is where the question looks.
#
# With eight sentences each line is read only 13 or 14 times, and there are eight forms to learn. From four to eight the
# gain ends here, with this budget: forms help to store a fact in the right place, and have to be learned themselves.
#
# In 10 people of one world were dealt into groups. There others had many sentences, and those with one profited from
# it, if at all, little.
#
# </details>

# %% [markdown]
# ## 6 The whole series on one page
#
# | | what it showed |
# |---|---|
# | 01 | attention is a soft look-up; it copies when one score stands out by more than the logarithm of how many there are |
# | 02 | two values in one vector can be taken apart, and one query averages two of them if it is long enough |
# | 03 | where keys vary in length, one head tosses a coin; two heads do not |
# | 04 | embeddings, masked attention and an MLP make a language model; it cannot see ahead, and a test proves it |
# | 05 | questions alone teach the form of an answer, and no facts: no better than always London |
# | 06 | span corruption turns any text into questions about itself |
# | 07 | facts enter by reading them often; the learning rate and the padding decide how long that takes |
# | 08 | the same questions open what pretraining stored, about people nobody asked for |
# | 09 | a bottleneck saves work, not weights, and hides what lies between its horizon and the last character |
# | 10 | what was retrieved and what was made up look alike; consistency tells a little, silence helps a little |
# | 11 | a comparison of content with content is what attention is for; where things stand can be an angle |
#
# Your predictions, from all notebooks that ran with this `runs/` folder, beside what came out. A full dot is one that you made.

# %%
from a5lib.classroom.notebook import mine_folder
from a5lib.display.variants import recap_table
from a5lib.files import read_json

predictions = read_json(mine_folder(a5) / "predictions.json")
made = sum(row["predicted"] is not None for row in predictions.values())
print(f"{made} of {len(predictions)} predictions made")
recap_table(predictions)

# %% [markdown]
# > **Why?** Which of your predictions was furthest off, and what did you believe when you made it?
#
# <details><summary>One answer</summary>
#
# Only you know. Many people are surprised by the same three: that the loss on training questions says nothing about people held
# out (08), that 75 % saved are 39 % (09), and that the model is about as sure of what it invents as of what it knows (10).
#
# </details>
#
# ## What you have seen
# - Scores from one position alone cannot look anything up; queries and keys can, in one layer.
# - Turning queries and keys makes scores depend on distance only, with no parameter for positions.
# - To store a fact and to find it where the name stands elsewhere are two things; positions decide over both.
# - A difference between models that is smaller than that between seeds is none, until more seeds say so.
# - How often a fact is read, and in how many forms, decides whether it can be given back.

# %% [markdown]
# ## Your points so far
# Of this notebook and the others. A pass stays, whatever you try afterwards; `python -m a5lib.classroom progress`
# shows the same from a shell.

# %%
from a5lib.classroom import points_so_far

points_so_far()
