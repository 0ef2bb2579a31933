# ---
# jupyter:
#   a5:
#     about: truncation, the span, the rearrangement
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# {{badge}}

# %% [markdown]
# # 06 · Span corruption: an objective that asks for facts
#
# Notebook 05 ended with a model that has the form of an answer and no facts. The facts stand in `wiki.txt`, one line a
# person. To read a line is not enough: the model must be *asked* about it, millions of times, without anybody writing
# questions. Span corruption does that. It cuts a random piece out of a line and has the model write it.
#
# You build it in four small functions. What you write here is what pretrains the model in 07.
#
# **Needs** no earlier notebook. **Takes** 50 minutes of yours; the machine works a few seconds.

# %% tags=["parameters"]
profile: str = ""  # smoke, quick or full; empty: full with a GPU, quick without
data: str = ""  # a folder with wiki.txt and the question files; empty: the profile's own
seed: int = 0
runs: str = ""  # where trained models are kept; empty: runs/

# %%
{{setup}}

# %% [markdown]
# ## 1 The idea
#
# Take a line, cut out a span, and put it at the end. A mask ⁇ marks the gap, and a second one the place where the span
# begins:
#
# $$\texttt{prefix}\;\texttt{span}\;\texttt{suffix} \quad\to\quad \texttt{prefix}\;⁇\;\texttt{suffix}\;⁇\;\texttt{span}\;□□\dots$$
#
# A causal model that reads this row sees the prefix *and* the suffix before it has to write the span. If the span is
# `Zürich` and the rest says who was born there, writing it is answering a question.

# %%
import random

from a5lib.dataset import corrupt_span as library_corrupt_span
from a5lib.display.figures import corruption_figure

document = "Ada Westby was born in Zürich and became a potter."
corruption_figure(document, library_corrupt_span(document, 128, random.Random(156)))

# %% [markdown]
# Five of many ways in which one line can come up. Each pass over the corpus draws anew.

# %%
for number in range(5):
    print(library_corrupt_span(document, 72, random.Random(number)))

# %% [markdown]
# ## 2 Truncate
#
# A line is first cut to a random length $n$ between 4 and $\lfloor \tfrac78\,\text{block}\rfloor$, so that the row has
# room for its two masks and the model sees short texts, too. With $u$ uniform in $[0, 1)$ and $k$ possible lengths,
#
# $$n = 4 + \lfloor k\,u^{1/\text{skew}} \rfloor$$
#
# A skew of 1 draws every length equally often: that is the assignment's rule. With a larger one the lengths lean to the
# long side, and every length stays possible.
#
# > **Exercise 1** · 10 minutes · easy · 2.5 points (question 2e)
# >
# > Return the document's first $n$ characters. Draw $u$ by `rng.random()`. A document shorter than $n$ stays as it is,
# > empty ones included.
#
# <details><summary>Hint</summary>
#
# From 4 to 112, both included, there are 109 lengths. A slice past the end of a string is no error.
#
# </details>

# %%
def truncate(document, block_size, rng, skew=1.0):
    """The document's beginning, of a random length from 4 to int(block_size * 7/8)."""
    ### BEGIN SOLUTION
    longest = int(block_size * 7 / 8)
    n = 4 + int((longest - 4 + 1) * rng.random() ** (1 / skew))
    return document[:n]
    ### END SOLUTION


# %%
from a5lib.classroom import check

truncate = check("truncate", truncate)

# %% [markdown]
# What does truncation do to the facts? A place that ends at character $e$ survives if $n \ge e$.
#
# ### Predict
# With a block of 128 and skew 1, what share of truncations, in percent, keeps a place that ends at character 80?

# %%
my_guess_for_80 = None

# %% [markdown]
# > **Exercise 2** · 5 minutes · medium
# >
# > Write that probability as a function of `end` and `block_size`. Count: how many lengths can be drawn, and how many
# > of them are at least `end`?

# %%
def share_kept(end, block_size):
    """The probability (0 to 1) that skew 1 keeps the first `end` characters."""
    ### BEGIN SOLUTION
    longest = int(block_size * 7 / 8)
    kept = longest - max(end, 4) + 1
    return max(0, kept) / (longest - 4 + 1)
    ### END SOLUTION


# %%
share_kept = check("share_kept", share_kept)

# %%
from a5lib.classroom.notebook import confront

rng = random.Random(0)
lengths = [len(truncate("x" * 200, 128, rng)) for _ in range(20_000)]
print(f"counted: {100 * sum(n >= 80 for n in lengths) / len(lengths):.1f} %")
confront(a5, "06 place at 80 kept", my_guess_for_80, 100 * share_kept(80, 128), "%")

# %% [markdown]
# Lines of the course's data are often longer than 100 characters, so the rule as given hides many places most of the
# time. A skew of 3 loses far fewer:

# %%
from a5lib.display.figures import kept_places

ends = range(4, 113)
leaning = [1 - ((end - 4) / 109) ** 3 for end in ends]
uniform = [share_kept(end, 128) for end in ends]
kept_places(ends, {"skew 1, as specified": uniform, "skew 3": leaning})

# %% [markdown]
# ## 3 Choose a span
#
# > **Exercise 3** · 10 minutes · medium · 2.5 points (question 2e)
# >
# > Return `(start, stop)` of a random span of a text of `length` characters: at least one character long if there is
# > one, a **quarter of the text on average**, and as likely at one place as at another. Texts of 0 to 3 characters must
# > not crash.
#
# <details><summary>Hint</summary>
#
# A uniform draw from $1 \dots 2q-1$ has the mean $q$. So take $q$ near `length / 4`. What is the last possible start of
# a span of $k$ characters?
#
# </details>

# %%
def choose_span(length, rng):
    """Start and stop of a random span, a quarter of the text on average."""
    ### BEGIN SOLUTION
    quarter = max(1, int(length / 4 + rng.random()))  # up or down: right on average
    span = min(rng.randint(1, 2 * quarter - 1), length)
    start = rng.randint(0, length - span)
    return start, start + span
    ### END SOLUTION


# %%
choose_span = check("choose_span", choose_span)

# %%
from a5lib.display.figures import histogram

spans = [choose_span(50, rng) for _ in range(20_000)]
widths = [stop - start for start, stop in spans]
histogram(widths, "length of the span", "Spans of a text of 50", expected=12.5)

# %% [markdown]
# <details><summary>Why a quarter of the <i>truncated</i> text, not of the line or the block?</summary>
#
# The span must leave enough around it to be guessed from. A quarter of the block would swallow a short text whole:
# nothing is left to ask about, and nothing to answer from.
#
# </details>

# %% [markdown]
# ## 4 Rearrange and pad
#
# > **Exercise 4** · 5 minutes · easy · 2.5 points (question 2e)
# >
# > Return `prefix⁇suffix⁇span`, filled up with □ to exactly `block_size` characters.

# %%
MASK, PAD = "⁇", "□"


def rearrange(text, start, stop, block_size):
    """The span moved to the end behind a mask, a mask in its place, padded to block_size."""
    ### BEGIN SOLUTION
    row = text[:start] + MASK + text[stop:] + MASK + text[start:stop]
    return row + PAD * (block_size - len(row))
    ### END SOLUTION


# %%
rearrange = check("rearrange", rearrange)

# %% tags=["nbval-check-output"]
print(rearrange("Ada was born in Lyon.", 16, 20, 32))

# %% [markdown]
# ## 5 The whole
#
# > **Exercise 5** · 5 minutes · easy · 2.5 points (question 2e)
# >
# > Put your three functions together. Hand the `skew` on to the one that needs it.

# %%
def corrupt_span(document, block_size, rng, skew=1.0):
    """A document truncated, a random span moved to its end, padded to block_size."""
    ### BEGIN SOLUTION
    text = truncate(document, block_size, rng, skew)
    start, stop = choose_span(len(text), rng)
    return rearrange(text, start, stop, block_size)
    ### END SOLUTION


# %%
corrupt_span = check("corrupt_span", corrupt_span)

# %%
document = max(a5.corpus.documents, key=len)
corruption_figure(document, corrupt_span(document, 128, random.Random(3)))

# %% [markdown]
# Nothing is lost: where the span goes back to the first mask, the truncated line stands there again. That is a
# **property**, true for every document and every draw, and worth more than an example. We try it on all of them.

# %% tags=["nbval-check-output"]
def restore(row):
    """Undo the corruption."""
    prefix, suffix, span = row.rstrip(PAD).split(MASK)
    return prefix + span + suffix


rng = random.Random(4)
lines = a5.corpus.documents
kept = [line.startswith(restore(corrupt_span(line, 128, rng))) for line in lines]
print(f"restored: {sum(kept) / len(kept):.0%}")

# %% [markdown]
# ## 6 What the model is trained on
#
# As in 05, the target is the row shifted by one.
#
# > **Exercise 6** · 2 minutes · easy
# >
# > Return `x` and `y` for a row.

# %%
def split_xy(row):
    """Input and target: y[t] is the character after x[t]."""
    ### BEGIN SOLUTION
    return row[:-1], row[1:]
    ### END SOLUTION


# %%
split_xy = check("split_xy", split_xy)

# %%
from a5lib.display.figures import pair_figure

x, y = split_xy(corrupt_span("Ada was born in Lyon.", 30, random.Random(8)))
pair_figure(x, y)

# %% [markdown]
# Here *every* character but □ is a target. So one row trains three things: plain reading (the prefix), reading across
# a gap (the suffix), and filling the gap (the span). The last two asks are where facts are called for.
#
# `CharCorruptionDataset` takes your function and gives such pairs as numbers.

# %%
from a5lib.dataset import CharCorruptionDataset

dataset = CharCorruptionDataset(a5.corpus.text, block_size=128, corrupt=corrupt_span, seed=seed)
x, y = dataset[0]
print(f"{len(dataset):,} documents; one item: x {tuple(x.shape)}, y {tuple(y.shape)}")
print(a5.vocab.decode(x))

# %% [markdown]
# ### Predict
# If all rows are padded to 128, what share of the positions in `y` is padding, in percent?

# %%
my_guess_for_padding = None

# %%
shares = [(y == 0).float().mean().item() for _, y in dataset]
padding = sum(shares) / len(shares)
confront(a5, "06 share of padding", my_guess_for_padding, 100 * padding, "%")

# %% [markdown]
# All of that would be computed and thrown away. 07 does something about it.

# %% [markdown]
# ## 7 Keep it, and play with it
#
# This keeps your function for 07. If an exercise is open, 07 takes the library's, and says so.

# %%
from a5lib.classroom.notebook import keep

keep(a5, "corrupt_span", truncate, choose_span, rearrange, corrupt_span)

# %%
line = a5.corpus.documents[0]


def show_draw(number):
    """The line, corrupted by draw `number`."""
    return corruption_figure(line, corrupt_span(line, 128, random.Random(number)))


show_draw(0)

# %% [markdown]
# Move the slider: each number is another draw for the same line.

# %%
from a5lib.display.widgets import slider_explorer

slider_explorer(show_draw, 0, 30, "draw")

# %% [markdown]
# > **Why?** A line says `Ada Westby was born in Zürich.` Which spans make the model call up the fact, and which let it
# > off with spelling?
#
# <details><summary>One answer</summary>
#
# A span that covers the beginning of `Zürich`, while the name stays visible, asks for the fact. A span inside the word
# (`üric`) asks for spelling only. A span that covers the name and leaves the place asks the question backwards, and one
# that covers both asks for nothing that can be known. But the prefix counts, too: in the plain left-to-right part the
# model predicts `Z` after `born in `, and there the fact is called for as well.
#
# </details>

# %% [markdown]
# ## What you have seen
# - Span corruption turns any text into questions about itself.
# - Bounds and averages matter: one length that never occurs is a fact that is never asked.
# - Padding is most of a naive batch.

# %% [markdown]
# ## Your points so far
# Of this notebook and the others. A pass stays, whatever you try afterwards; `python -m a5lib.classroom progress`
# shows the same from a shell.

# %%
from a5lib.classroom import points_so_far

points_so_far()
