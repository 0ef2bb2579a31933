# ---
# jupyter:
#   a5:
#     about: attention, a block, a test of causality, sampling; a first model of your own
#     gpu: true
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# {{badge}}

# %% [markdown]
# # 04 · A character GPT: from three matrices to a model that writes
#
# In 01 to 03 the keys and queries were given, and you chose them cleverly. A Transformer has to make its own. This
# notebook builds one from the equations: a head in loops, then in matrix form, several heads, a block, the model. Your
# attention is then trained for about a minute on lines about people, and writes lines of its own.
#
# The assignment asks you to read this code (question 2a, no points). Here you write it, because everything from 05 on
# runs on it, and because its bugs are silent: a wrong mask or scale raises no error.
#
# **Needs** no earlier notebook. **Takes** 105 minutes of yours; the machine works a minute on two CPU cores.

# %% tags=["parameters"]
profile: str = ""  # smoke, quick or full; empty: full with a GPU, quick without
data: str = ""  # a folder with wiki.txt and the question files; empty: the profile's own
seed: int = 0
runs: str = ""  # where trained models are kept; empty: runs/

# %%
{{setup}}

# %% [markdown]
# ## 1 One head
#
# Letters used from here on: $T$ length of the text, $C$ channels of a position's vector, $D$ size of a head. Each
# position $t$ has a vector $x_t$. Three matrices make of it what the position **asks** for, what it **offers** to be
# found by, and what it **hands over**:
#
# $$q_t = x_t W_q, \qquad k_t = x_t W_k, \qquad v_t = x_t W_v$$
#
# A look-up as in 01 follows, with two changes. Scores are divided by $\sqrt D$, and position $t$ reads only positions
# $s \le t$, because it is going to predict position $t+1$:
#
# $$\alpha_{ts} = \frac{e^{q_t \cdot k_s / \sqrt D}}{\sum_{r \le t} e^{q_t \cdot k_r / \sqrt D}}, \qquad y_t = \sum_{s \le t} \alpha_{ts}\, v_s$$
#
# Slowly, one number at a time:

# %%
import math

import torch


def one_head_in_loops(q, k, v):
    """Causal attention of one head: q, k, v (T, D) to (T, D)."""
    T, D = q.shape
    y = torch.zeros(T, D)
    for t in range(T):
        e = []
        for s in range(t + 1):  # s <= t: itself and what came before
            score = sum(q[t, d] * k[s, d] for d in range(D)) / math.sqrt(D)
            e.append(math.exp(score))
        for s in range(t + 1):
            y[t] += e[s] / sum(e) * v[s]
    return y


# %%
text = "Ada was born in Lyon."
T, C, D = len(text), 32, 8
generator = torch.Generator().manual_seed(0)
x = torch.randn(T, C, generator=generator)  # (T, C): a stand-in for what the model will have
W_q, W_k, W_v = torch.randn(3, C, D, generator=generator) / math.sqrt(C)  # (C, D) each
q, k, v = x @ W_q, x @ W_k, x @ W_v  # (T, D) each

y = one_head_in_loops(q, k, v)
print("q, k, v:", tuple(q.shape), " y:", tuple(y.shape))

# %% [markdown]
# ### The mask
#
# All scores at once are one product, $S = QK^\top$, of shape $(T, T)$: row $t$ belongs to the query, column $s$ to the
# key. It also holds the scores of the future. A mask says which cells count.
#
# > **Exercise 1** · 5 minutes · easy
# >
# > Return the causal mask of a text of length `T`: a `(T, T)` tensor of type bool, True where $t$ **may** look at $s$.
#
# <details><summary>Hint</summary>
#
# `torch.arange(T)` numbers the positions. Compare it with itself, once as a row and once as a column (`[:, None]`).
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# The rule is $s \le t$. Columns are numbered by $s$, rows by $t$, so compare a row of numbers with a column of
# numbers, and broadcasting makes the table. (A lower triangle of ones, turned into bool, is the same.)
#
# </details>

# %%
def causal_mask(T):
    """(T, T) bool: True where row t may look at column s."""
    ### BEGIN SOLUTION
    position = torch.arange(T)
    return position[None, :] <= position[:, None]
    ### END SOLUTION


# %%
from a5lib.classroom import check

causal_mask = check("causal_mask", causal_mask)

# %% tags=["nbval-check-output"]
print(causal_mask(5).int())

# %% [markdown]
# <details><summary>Why does the diagonal belong to it? Would a model that cannot look at itself be safer?</summary>
#
# Position $t$ is given character $t$ and predicts character $t+1$. Its own character is no secret, and mostly the
# best clue. Without the diagonal, position 0 has nothing to look at at all: its softmax is 0/0. The leak to fear is
# one cell to the *right* of the diagonal.
#
# </details>
#
# ### The matrix form
#
# > **Exercise 2** · 10 minutes · medium
# >
# > Return the weights $\alpha$: scores divided by $\sqrt D$, forbidden ones set to $-\infty$, softmax over the keys.
# > `q` and `k` may have more axes in front: $(\dots, T, D)$ to $(\dots, T, T)$.
#
# <details><summary>Hint</summary>
#
# `k.mT` swaps the last two axes, `scores.masked_fill(~mask, float("-inf"))` fills where the mask is False. Which axis
# must sum to 1: the one of the queries, or the one of the keys?
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# Multiply queries with transposed keys; divide by the root of the last axis's length. Fill the forbidden cells with
# minus infinity *before* the softmax, as $e^{-\infty} = 0$ then drops out of the denominator too. The softmax runs
# along each row, over the keys, which are the last axis.
#
# </details>

# %%
def masked_weights(q, k, mask):
    """Attention weights: q, k (..., T, D) and mask (T, T) to (..., T, T)."""
    ### BEGIN SOLUTION
    scores = q @ k.mT / math.sqrt(q.size(-1))  # (..., T, T)
    scores = scores.masked_fill(~mask, float("-inf"))
    return scores.softmax(dim=-1)
    ### END SOLUTION


# %%
masked_weights = check("masked_weights", masked_weights)

# %% tags=["nbval-check-output"]
weights = masked_weights(q, k, causal_mask(T))  # (T, T)
same = torch.allclose(weights @ v, y, atol=1e-5)  # (T, T) times (T, D)
print("equal to the loops:", same)

# %%
from a5lib.display.char_gpt import attention_map

attention_map(weights, text, "One head with random matrices")

# %% [markdown]
# Row $t$ is what position $t$ reads. Each row sums to 1; nothing is right of the diagonal. Nobody has trained these
# matrices, so who reads whom means nothing yet.
#
# ### Why √D
#
# If the entries of $q$ and $k$ are independent with mean 0 and variance 1, then $q \cdot k$ is a sum of $D$ products,
# with mean 0 and variance $D$.
#
# ### Predict
# A query looks at 20 keys, all of random numbers, with $D = 64$. Equal weights would be 0.05 each. **Without** the
# division, how large is the largest weight on average?

# %%
choices = {"a": "under 0.2", "b": "0.2 to 0.6", "c": "over 0.6"}
my_guess_without_scale = None  # "a", "b" or "c"

# %%
from a5lib.classroom.notebook import confront
from a5lib.display.char_gpt import largest_weights


def largest(D, scale, draws=2000):
    """The mean of the largest of 20 weights, over random queries and keys."""
    generator = torch.Generator().manual_seed(D)
    q = torch.randn(draws, 1, D, generator=generator)
    k = torch.randn(draws, 20, D, generator=generator)
    return (q @ k.mT / scale).softmax(dim=-1).amax(dim=-1).mean().item()


sizes = [1, 4, 16, 64, 256]
raw = [largest(D, 1.0) for D in sizes]
scaled = [largest(D, math.sqrt(D)) for D in sizes]
letter = "a" if raw[3] < 0.2 else "b" if raw[3] < 0.6 else "c"
confront(a5, "04 largest weight", my_guess_without_scale, letter, choices=choices)
largest_weights(sizes, {"q·k": raw, "q·k / √D": scaled}, n_keys=20)

# %% [markdown]
# <details><summary>Explain: what is wrong with a large weight?</summary>
#
# Nothing, if the model wants it. Here chance made it. The derivative of weight $i$ by score $j$ is
# $\alpha_i(\delta_{ij} - \alpha_j)$, which vanishes when one weight is near 1: such a head starts out deaf to
# training. Dividing by $\sqrt D$ keeps the variance of the scores at 1 for every head size, so all heads start out
# reading broadly.
#
# </details>

# %% [markdown]
# ## 2 Several heads
#
# One head gives one weighted mean, and 03 showed how much two can do that one cannot. So the $C$ channels are cut into
# $H$ heads of $D = C/H$ channels; each attends for itself. No loop over heads is needed: make the head an axis.
#
# > **Exercise 3** · 5 minutes · medium
# >
# > Cut `x` of shape $(B, T, C)$ into $(B, H, T, D)$, $B$ being the batch. Head $h$ takes the $D$ neighbouring
# > channels from $hD$ on.
#
# <details><summary>Hint</summary>
#
# Cut first: $C$ becomes $(H, D)$, in this order, by `view` or `unflatten`. Then two axes have to change places.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# Cutting only the last axis leaves each position's numbers with that position: $(B, T, H, D)$. Then axes 1 and 2 are
# swapped. A direct view to $(B, H, T, D)$ has the same shape and the same numbers in the wrong places: it would cut the
# *text* in pieces, not the channels.
#
# </details>

# %%
def split_heads(x, n_head):
    """(B, T, C) to (B, H, T, D)."""
    ### BEGIN SOLUTION
    B, T, C = x.shape
    cut = x.view(B, T, n_head, C // n_head)  # (B, T, H, D)
    return cut.transpose(1, 2)  # (B, H, T, D)
    ### END SOLUTION


# %%
split_heads = check("split_heads", split_heads)

# %% [markdown]
# > **Exercise 4** · 3 minutes · medium
# >
# > Undo it: $(B, H, T, D)$ to $(B, T, C)$.
#
# <details><summary>Hint</summary>
#
# The same two steps backwards. After a swap the numbers no longer lie in order, so `view` refuses; `flatten` and
# `reshape` copy.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# Swap heads and positions back, then run the last two axes together. That `view` refuses without the swap's copy is a
# help; `reshape` right away would run through and give nonsense.
#
# </details>

# %%
def merge_heads(y):
    """(B, H, T, D) to (B, T, C)."""
    ### BEGIN SOLUTION
    together = y.transpose(1, 2)  # (B, T, H, D)
    return together.flatten(2)  # (B, T, C)
    ### END SOLUTION


# %%
merge_heads = check("merge_heads", merge_heads)

# %% [markdown]
# <details><summary>Why cut the channels, instead of giving every head all of them?</summary>
#
# It costs nothing. Four maps from $C$ to $C$ serve any number of heads, and the scores cost $H \cdot T^2 D = T^2 C$
# multiplications, whatever $H$ is. The price is that each head compares in fewer dimensions.
#
# </details>
#
# Now the whole layer. It owns four linear maps from $C$ to $C$: `key`, `query` and `value` for all heads together,
# and `proj`, which mixes what the heads found. Two dropouts belong to it: `attn_drop` on the weights and `resid_drop`
# at the very end. An `nn.Dropout` acts in training and rests in evaluation.
#
# > **Exercise 5** · 15 minutes · medium
# >
# > Write the layer's `forward`, for `x` of shape $(B, T, C)$. `self.n_head` is $H$; `self.mask` is the mask of the
# > whole block, shape $(1, 1, \text{block}, \text{block})$, as 0.0 and 1.0 (the handout's files hold it so): cut it
# > to $T$ and turn it into bool.
#
# <details><summary>Hint</summary>
#
# Project, split, weigh, drop, sum up, merge, project, drop. Everything but the projections you have written above.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# The three projections give $(B, T, C)$ each, split into $(B, H, T, D)$. Their weights are $(B, H, T, T)$; the cut mask
# $(1, 1, T, T)$ broadcasts over batch and heads. Weights through `attn_drop`, times the values: $(B, H, T, D)$. Merged
# to $(B, T, C)$, through `proj`, through `resid_drop`.
#
# </details>

# %%
def attention_forward(self, x):
    """Multi-head causal self-attention: (B, T, C) to (B, T, C)."""
    ### BEGIN SOLUTION
    T = x.size(1)
    q = split_heads(self.query(x), self.n_head)  # (B, H, T, D)
    k = split_heads(self.key(x), self.n_head)
    v = split_heads(self.value(x), self.n_head)
    weights = masked_weights(q, k, self.mask[:, :, :T, :T].bool())  # (B, H, T, T)
    y = self.attn_drop(weights) @ v  # (B, H, T, D)
    return self.resid_drop(self.proj(merge_heads(y)))  # (B, T, C)
    ### END SOLUTION


# %%
attention_forward = check("attention_forward", attention_forward)

# %% [markdown]
# `forward` becomes a method of a class that also owns the weights. The names are the library's, which are the
# handout's, so parameters can be moved between all three.

# %%
class CausalSelfAttention(torch.nn.Module):
    """Multi-head attention of a sequence to itself: position t reads positions 0..t."""

    def __init__(self, config):
        super().__init__()
        C = config.n_embd
        self.n_head = config.n_head
        self.key, self.query, self.value, self.proj = (torch.nn.Linear(C, C) for _ in range(4))
        self.attn_drop = torch.nn.Dropout(config.dropout)
        self.resid_drop = torch.nn.Dropout(config.dropout)
        mask = causal_mask(config.block_size).float()
        self.register_buffer("mask", mask[None, None])  # (1, 1, block, block)

    forward = attention_forward


# %% [markdown]
# Is it right? Three witnesses: the library's layer with the same parameters, the library's formula `attend`, and
# torch's fused function. Dropout is off, since random zeros cannot be compared.

# %% tags=["nbval-check-output"]
from a5lib import attention
from a5lib.model import GPTConfig

config = GPTConfig(94, block_size=64, n_layer=2, n_head=4, n_embd=32, dropout=0.0)
with torch.random.fork_rng(devices=[]):
    torch.manual_seed(seed)
    mine, theirs = CausalSelfAttention(config), attention.CausalSelfAttention(config)
theirs.load_state_dict(mine.state_dict())  # strict: every name and shape must fit

x = torch.randn(2, 40, 32, generator=generator)  # (B, T, C)
difference = (mine(x) - theirs(x)).abs().max()
print("the library's layer: largest difference below 1e-6:", bool(difference < 1e-6))

# %% tags=["nbval-check-output"]
from torch.nn import functional as F

q, k, v = (split_heads(part(x), 4) for part in (mine.query, mine.key, mine.value))
ours = masked_weights(q, k, causal_mask(40)) @ v
for name, other in (
    ("a5lib.attention.attend", attention.attend(q, k, v, attention.causal_mask(40))),
    ("scaled_dot_product_attention", F.scaled_dot_product_attention(q, k, v, is_causal=True)),
):
    below = bool((ours - other).abs().max() < 1e-6)
    print(f"{name}: largest difference below 1e-6: {below}")

# %% [markdown]
# > **Why?** What would be lost without `proj`, the last matrix?
#
# <details><summary>One answer</summary>
#
# Merging puts head $h$'s finding into channels $hD$ to $(h+1)D - 1$ and nowhere else. `proj` lets each head write
# into all channels. It can be seen as a sum over heads, $\sum_h y^{(h)} W_o^{(h)}$: each head adds its own
# contribution to the stream.
#
# </details>

# %% [markdown]
# ## 3 The block
#
# Attention carries information between positions. What a position *does* with it is the work of a small network, the
# MLP: $C \to 4C \to C$ with a GELU between (a smooth ReLU), the same for every position. Both only **add** to the vector
# that passes by, the *stream*. Both read it through a layer norm, which brings a vector's numbers to mean 0 and variance
# 1, then scales and shifts each by a learned amount:
#
# $$x \leftarrow x + \text{attn}(\text{ln}_1(x)), \qquad x \leftarrow x + \text{mlp}(\text{ln}_2(x))$$

# %% tags=["figure:gpt-block"]
from a5lib.display.char_gpt import gpt_diagram

gpt_diagram(a5.model_config().n_layer)

# %% [markdown]
# > **Exercise 6** · 5 minutes · easy
# >
# > Write the block's `forward`. It owns `ln1`, `attn`, `ln2` and `mlp`.
#
# <details><summary>Hint</summary>
#
# Two lines, one for each equation. The second reads what the first has written.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# The norm is inside the function that is added; the bare stream is what is added to. That is *pre-norm*. Assign to a
# new `x` each time, since `x += …` would change the caller's tensor.
#
# </details>

# %%
def block_forward(self, x):
    """One pre-norm Transformer block: (B, T, C) to (B, T, C)."""
    ### BEGIN SOLUTION
    x = x + self.attn(self.ln1(x))
    x = x + self.mlp(self.ln2(x))
    return x
    ### END SOLUTION


# %%
block_forward = check("block_forward", block_forward)

# %%
from torch import nn


class Block(nn.Module):
    """Attention, then an MLP, each added to the stream."""

    def __init__(self, config):
        super().__init__()
        C = config.n_embd
        self.ln1, self.ln2 = nn.LayerNorm(C), nn.LayerNorm(C)
        self.attn = CausalSelfAttention(config)
        wide, narrow = nn.Linear(C, 4 * C), nn.Linear(4 * C, C)
        self.mlp = nn.Sequential(wide, nn.GELU(), narrow, nn.Dropout(config.dropout))

    forward = block_forward


# %% [markdown]
# <details><summary>Why are the norms inside the branches, and not on the stream, as in the first Transformer?</summary>
#
# Inside, the stream runs from the embeddings to the head with additions only. The gradient runs back the same way
# undiminished, so deep models train from the first step, without a careful warm-up. With the norm on the stream
# (post-norm) every layer rescales what passes, and the gradient of the lower layers with it.
#
# </details>

# %% [markdown]
# ## 4 The model
#
# Attention is blind to order: it is a weighted mean, and a mean does not care where its parts stood. So each position
# adds a learned vector of its own to the character's. Then the blocks, a last norm, and a linear map to one logit for
# each of $V$ characters.

# %%
class GPT(nn.Module):
    """Ids (B, T) to the logits (B, T, V) of each next character."""

    def __init__(self, config):
        super().__init__()
        V, C = config.vocab_size, config.n_embd
        self.tok_emb = nn.Embedding(V, C)
        self.pos_emb = nn.Parameter(torch.zeros(1, config.block_size, C))
        self.blocks = nn.Sequential(*(Block(config) for _ in range(config.n_layer)))
        self.ln_f = nn.LayerNorm(C)
        self.head = nn.Linear(C, V, bias=False)

    def forward(self, idx):
        x = self.tok_emb(idx) + self.pos_emb[:, : idx.size(1)]  # (B, T, C)
        x = self.blocks(x)  # (B, T, C)
        return self.head(self.ln_f(x))  # (B, T, V)


# %% [markdown]
# The library's model does the same, can compute a loss, and can be built **with your attention in it**: that is the
# one we train. First, that the two agree:

# %% tags=["nbval-check-output"]
from a5lib.model import Parts, build_model

config = a5.model_config()
model = build_model("vanilla", config, seed, Parts(attention=CausalSelfAttention)).eval()
own = GPT(config).eval()
own.load_state_dict(model.state_dict())
x = torch.tensor([a5.vocab.encode(text)])  # (B, T) = (1, 21)
difference = (own(x) - model(x)[0]).abs().max()
print("largest difference below 1e-6:", bool(difference < 1e-6))

# %% [markdown]
# ### Where the parameters are
#
# A `Linear` from $a$ to $b$ has $ab + b$ parameters (the head has no bias: $ab$). A layer norm on $C$ channels has
# $2C$.
#
# ### Predict
# Which part has the most?

# %%
choices = {"a": "embeddings and head", "b": "attention", "c": "MLPs"}
my_guess_for_part = None  # "a", "b" or "c"

# %% [markdown]
# > **Exercise 7** · 10 minutes · medium
# >
# > Predict the number of parameters of each part from `config.vocab_size`, `.block_size`, `.n_layer`, `.n_head`,
# > `.n_embd`. Return a dict of whole numbers with the keys `embeddings` (characters and positions), `attention`, `MLPs`,
# > `layer norms`, `head`.
#
# <details><summary>Hint</summary>
#
# Go through the three classes above, line by line. The mask is a buffer: not trained, not counted.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# One vector for each character and for each place in the block. Four square maps with bias in a layer's attention,
# however many heads. In an MLP $4C^2 + 4C$ up and $4C^2 + C$ down. Two norms a block and one at the end. The head is
# a table of its own, as large as that of the characters.
#
# </details>

# %%
def count_parameters(config):
    """The number of parameters of each part of a GPT."""
    ### BEGIN SOLUTION
    V, C, L = config.vocab_size, config.n_embd, config.n_layer
    return {
        "embeddings": V * C + config.block_size * C,
        "attention": L * 4 * (C * C + C),
        "MLPs": L * (8 * C * C + 5 * C),
        "layer norms": (2 * L + 1) * 2 * C,
        "head": V * C,
    }
    ### END SOLUTION


# %%
count_parameters = check("count_parameters", count_parameters)

# %%
from a5lib.display.char_gpt import parameter_bars


def part_of(name):
    """The part that a parameter belongs to, by its name in the state dict."""
    kinds = {"emb": "embeddings", ".attn.": "attention", ".mlp.": "MLPs", "ln": "layer norms"}
    return next((part for mark, part in kinds.items() if mark in name), "head")


predicted, counted = count_parameters(config), dict.fromkeys(count_parameters(config), 0)
for name, parameter in model.named_parameters():
    counted[part_of(name)] += parameter.numel()
ends = counted["embeddings"] + counted["head"]
by_letter = {"a": ends, "b": counted["attention"], "c": counted["MLPs"]}
most = max(by_letter, key=by_letter.get)
confront(a5, "04 largest part", my_guess_for_part, most, choices=choices)
parameter_bars(predicted, counted)

# %% [markdown]
# <details><summary>Why does the number of heads not occur in any of these numbers?</summary>
#
# The heads share the $C$ channels: $H$ maps from $C$ to $D = C/H$ have together as many weights as one from $C$ to $C$.
# Nor does the length of the text occur, but for the table of positions: the same weights are used at every place.
#
# </details>
#
# For the handout's model (256 characters, $C = 256$, 4 layers) the same count says:

# %% tags=["nbval-check-output"]
print(f"{sum(count_parameters(GPTConfig(vocab_size=256)).values()):,} parameters")

# %% [markdown]
# ### Predict
# The model is untrained. It gives a probability to each of the characters in the vocabulary. What is its loss, the
# mean of $-\ln p(\text{right character})$? (With the natural logarithm the unit is called *nat*.)

# %%
print(f"{len(a5.vocab)} characters in the vocabulary")
my_guess_for_first_loss = None

# %%
lines = [f"\n{line}\n"[: config.block_size + 1] for line in a5.corpus.documents]
sample = [torch.tensor(a5.vocab.encode(line)) for line in lines[:50]]
with torch.no_grad():
    first_loss = sum(model(row[None, :-1], row[None, 1:])[1].item() for row in sample) / 50
confront(a5, "04 first loss", my_guess_for_first_loss, first_loss, "nats a character")
print(f"ln {len(a5.vocab)} = {math.log(len(a5.vocab)):.3f}")

# %% [markdown]
# <details><summary>Explain: and the little that it is off?</summary>
#
# A model that knows nothing gives each character $1/V$, so the loss is $\ln V$. The initial weights are small, so the
# logits are nearly equal, but not quite: they differ at random, with variance $0.02^2\,C$, and by chance those of the
# frequent characters stand a little above or below the others. If a first loss is far above $\ln V$, the initialization
# is wrong; if it is far below, the target leaks into the input.
#
# </details>

# %% [markdown]
# ## 5 Does it see the future?
#
# If position $t$ saw character $t+1$, training would go splendidly, and writing would fail. So we do not trust
# the mask; we test the whole model. Replace one character and see which logits move.
#
# ### Predict
# The text has 21 characters, numbered from 0. Character 8, the `b` of `born`, is replaced. Which rows of the logits
# change?

# %%
choices = {"a": "8 only", "b": "0 to 8", "c": "8 to 20", "d": "all"}
my_guess_for_moved = None  # "a", "b", "c" or "d"

# %%
from a5lib.display.char_gpt import logit_change

x = torch.tensor([a5.vocab.encode(text)])  # (1, T)
other = torch.tensor([a5.vocab.encode(text[:8] + "w" + text[9:])])
with torch.no_grad():
    change = (model(x)[0] - model(other)[0])[0].abs().amax(dim=1)  # (T,)
moved = (change > 1e-6).nonzero().flatten().tolist()
letters = {(8, 8): "a", (0, 8): "b", (8, 20): "c", (0, 20): "d"}
letter = letters.get((moved[0], moved[-1]), "none of these")
confront(a5, "04 rows that move", my_guess_for_moved, letter, choices=choices)
logit_change(text, change.tolist(), changed=8)

# %% [markdown]
# That was one input and one replacement. The full answer is a $(T, T)$ table: does output $t$ depend on input $s$?
# Inputs are vectors here, so take the model from the embeddings on, a function from $(T, C)$ to $(T, V)$. It runs in
# float64, where rounding is about $10^{-16}$ and cannot be taken for an effect.
#
# > **Exercise 8** · 15 minutes · hard
# >
# > Write `sees(forward, x)`: a $(T, T)$ tensor of bool, True at row $t$ and column $s$ if row $t$ of `forward(x)`
# > depends on row $s$ of `x`. Perturb the inputs one by one, or take gradients. Leave `x` as it is.
#
# <details><summary>Hint</summary>
#
# Perturbing: change a *clone* at row $s$, and compare all the outputs with those of the unchanged `x`; 1e-9 is a good
# threshold. One trap: a layer norm does not notice a constant that is added to all channels.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# For each $s$ begin from `x` again, add to row $s$ numbers that differ from channel to channel, and compute the
# outputs once more. The largest change in row $t$ says whether $t$ has seen $s$; that is one column of the table. By
# gradients: for each $t$, a weighted sum of row $t$'s outputs, with weights that are not all equal (the plain sum of
# a normed vector is constant), differentiated with respect to `x`; that is one row of the table.
#
# </details>

# %%
def sees(forward, x):
    """(T, T) bool: True where output t of forward(x) depends on input s, x (T, C)."""
    ### BEGIN SOLUTION
    before = forward(x)  # (T, V)
    columns = []
    for s in range(len(x)):
        changed = x.clone()
        changed[s] += torch.linspace(-1, 2, x.size(1), dtype=x.dtype)
        columns.append((forward(changed) - before).abs().amax(dim=1) > 1e-9)  # (T,)
    return torch.stack(columns, dim=1)
    ### END SOLUTION


# %%
sees = check("sees", sees)

# %%
from copy import deepcopy


def from_embeddings(model):
    """The model without its embeddings, for one text: (T, C) to (T, V)."""
    return lambda x: model.head(model.ln_f(model.blocks(x[None])))[0]


exact = deepcopy(model).double()
x = (exact.tok_emb(x) + exact.pos_emb[:, :T])[0].detach()  # (T, C)
blind = deepcopy(exact)
for block in blind.blocks:
    block.attn.mask.fill_(1.0)  # may look everywhere
with torch.no_grad():
    table = sees(from_embeddings(exact), x)
    tables = {"with the mask": table, "mask filled with ones": sees(from_embeddings(blind), x)}

# %% tags=["figure:what-position-sees"]
from a5lib.display.char_gpt import dependence_matrices

dependence_matrices(tables)

# %% [markdown]
# Gradients say the same, and say it exactly: $\partial y_t / \partial x_s$ is not small above the diagonal, it is
# zero, since $e^{-\infty}$ is.

# %% tags=["nbval-check-output"]
x.requires_grad_()
logits = from_embeddings(exact)(x)  # (T, V)
pick = torch.linspace(-1, 2, logits.size(1), dtype=logits.dtype)  # unequal weights
rows = [torch.autograd.grad((row * pick).sum(), x, retain_graph=True)[0] for row in logits]
gradients = torch.stack(rows).abs().amax(dim=2)  # (T, T)

print("lower triangular:", torch.equal(table, torch.ones(T, T).tril().bool()))
print("gradients above the diagonal, exactly 0:", bool((gradients.triu(1) == 0).all()))
print("gradients find the same dependence:", torch.equal(gradients > 0, table))

# %% [markdown]
# > **Why?** A friend hides the diagonal too (and lets position 0 see itself). Is the table's diagonal now empty?
#
# <details><summary>One answer</summary>
#
# No. The residual stream and the MLP carry each position's own vector upward without any attention. The table is the
# same, and the test does not find this mistake; only a comparison of numbers does. A test shows what it was made to
# show.
#
# </details>

# %% [markdown]
# ## 6 Training
#
# Plain lines, each between two line breaks, and the loss of every next character. No corruption: that is 06. Lines of
# like length form a batch, so that there is little padding; a few are held out, to measure on.
#
# What the trainer wants of its data is a method `epoch(number)` that returns batches $(x, y)$, the same for the same
# number.

# %%
from torch.nn.utils.rnn import pad_sequence


class LineBatches:
    """Batches of about `tokens` characters, like lengths together, in a new order each time."""

    def __init__(self, lines, tokens, seed):
        rows = sorted((torch.tensor(a5.vocab.encode(line)) for line in lines), key=len)
        self.seed, self.batches = seed, []
        while rows:
            n = max(1, tokens // len(rows[0]))
            batch = pad_sequence(rows[:n], batch_first=True).to(a5.device)  # (B, T + 1)
            self.batches.append((batch[:, :-1], batch[:, 1:]))  # y is x, one character on
            rows = rows[n:]

    def epoch(self, number):
        generator = torch.Generator().manual_seed(1000 * self.seed + number)
        order = torch.randperm(len(self.batches), generator=generator)
        return [self.batches[i] for i in order]


# %%
held_out, train = lines[::25], [line for i, line in enumerate(lines) if i % 25]
batches = LineBatches(train, a5.recipe.batch, seed)
x, y = batches.epoch(0)[0]
print(f"{len(train):,} lines in {len(batches.batches)} batches; one: {tuple(x.shape)}")
print(repr(a5.vocab.decode(x[0])), "->", repr(a5.vocab.decode(y[0])))

# %% [markdown]
# What must the model beat? 05 asks this about answers; here it is about characters. Counting gives two yardsticks:
# how often each character occurs, and how often it follows each other one.

# %%
from collections import Counter


def loss_by_counting(lines, tests, before):
    """Loss of predicting by counts, knowing the last `before` characters (0 or 1)."""
    V, pairs, firsts = len(a5.vocab), Counter(), Counter()
    for line in lines:
        for t in range(1, len(line)):
            pairs[line[t - before : t + 1]] += 1
            firsts[line[t - before : t]] += 1
    probabilities = [
        (pairs[line[t - before : t + 1]] + 0.1) / (firsts[line[t - before : t]] + 0.1 * V)
        for line in tests
        for t in range(1, len(line))
    ]
    return -sum(map(math.log, probabilities)) / len(probabilities)


references = {"guessing": math.log(len(a5.vocab))}
references["single characters"] = loss_by_counting(train, held_out, 0)
references["pairs"] = loss_by_counting(train, held_out, 1)
print(*(f"{name}: {loss:.2f}" for name, loss in references.items()), sep="\n")

# %% [markdown]
# ### Predict
# Four passes over the lines, about a minute. What is the loss on the held-out lines at the end? (The run is a
# function of its seed: run it twice, and the same model comes out.)

# %%
my_guess_for_loss = None

# %%
from dataclasses import replace

from a5lib.display.live import LiveCurve
from a5lib.trainer import Trainer

passes = 0.5 if a5.profile.name == "smoke" else 4
curve = LiveCurve("Training with your attention")
model = build_model("vanilla", config, seed, Parts(attention=CausalSelfAttention)).to(a5.device)
Trainer(model, batches, replace(a5.recipe.pretrain, max_epochs=passes), [curve]).train()

# %% tags=["figure:char-gpt-loss"]
from a5lib.display.char_gpt import learning_figure

with torch.no_grad():
    tests = LineBatches(held_out, a5.recipe.batch, seed).batches
    counts = [(y != 0).sum().item() for x, y in tests]
    losses = [model(x, y)[1].item() for x, y in tests]
final = sum(n * loss for n, loss in zip(counts, losses)) / sum(counts)
confront(a5, "04 last loss", my_guess_for_loss, final, "nats a character")
learning_figure(curve.history.as_dicts(), references, final)

# %% [markdown]
# <details><summary>Explain: where can a loss so low come from?</summary>
#
# Our lines are written from a few sentence patterns, so most characters follow from the ones before: after `was bo`
# comes `rn in `. What is left are the forks: which name, which city, which year. There the loss is high, and there the
# facts are. The held-out lines are only a little harder: other lines about the same people were trained on.
#
# </details>

# %% [markdown]
# ## 7 Writing
#
# The model gives a distribution of the next character. Draw from it, append, repeat. Two knobs shape it. The
# temperature $\tau$ divides the logits, and **top-k** keeps only the $k$ likeliest characters:
#
# $$p_i = \frac{e^{z_i / \tau}}{\sum_{j \in \text{top } k} e^{z_j / \tau}} \text{ for } i \text{ in the top } k, \text{ else } 0$$
#
# > **Exercise 9** · 10 minutes · medium
# >
# > Write `next_distribution` for logits of shape $(\dots, V)$. With `top_k=None` nothing is cut. Leave the logits as
# > they are.
#
# <details><summary>Hint</summary>
#
# `logits.topk(k).values[..., -1:]` is the lowest logit that stays. What must the others become, for the softmax to
# give them 0?
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# As in the mask: whatever is to get probability 0 becomes minus infinity before the softmax, which then shares the
# whole among the rest. Dividing by the temperature before or after the cut is the same, for it does not change the
# order.
#
# </details>

# %%
def next_distribution(logits, temperature=1.0, top_k=None):
    """Probabilities of the next character: (..., V) to (..., V)."""
    ### BEGIN SOLUTION
    if top_k is not None:
        lowest = logits.topk(top_k).values[..., -1:]
        logits = logits.masked_fill(logits < lowest, float("-inf"))
    return (logits / temperature).softmax(dim=-1)
    ### END SOLUTION


# %%
next_distribution = check("next_distribution", next_distribution)

# %%
from a5lib.display.char_gpt import next_distribution_bars


@torch.no_grad()
def next_logits(text):
    """The logits of the character after a text, which begins a line: (V,)."""
    ids = torch.tensor([a5.vocab.encode("\n" + text)], device=a5.device)
    return model(ids)[0][0, -1].cpu()


def show_next(temperature, top_k, text="Ada was born in "):
    """The next character's distribution before and after both knobs."""
    logits = next_logits(text)
    shaped = next_distribution(logits, temperature, top_k)
    title = f"After “{text}”: temperature {temperature:g}, top {top_k}"
    return next_distribution_bars(a5.vocab.characters, logits.softmax(0), shaped, title)


show_next(0.5, 6)

# %% [markdown]
# The loop. All randomness comes from a generator of our own, so the same seed writes the same lines.

# %%
@torch.no_grad()
def write_lines(n, temperature=1.0, top_k=None, seed=0):
    """`n` lines of the model's own, drawn character by character."""
    generator = torch.Generator().manual_seed(seed)
    end = a5.vocab.index["\n"]
    ids = torch.full((n, 1), end)  # (n, 1): a line break, after which a line begins
    while ids.size(1) < config.block_size and not (ids[:, 1:] == end).any(dim=1).all():
        logits = model(ids.to(a5.device))[0][:, -1].cpu()  # (n, V)
        probabilities = next_distribution(logits, temperature, top_k)
        new = torch.multinomial(probabilities, 1, generator=generator)  # (n, 1)
        ids = torch.cat([ids, new], dim=1)
    return [a5.vocab.decode(row[1:]).split("\n")[0] for row in ids]


# %%
for temperature in (0.3, 0.7, 1.0, 1.5):
    print(f"temperature {temperature}")
    for line in write_lines(4, temperature, seed=seed):
        print(f"    {line}")

# %% [markdown]
# At a low temperature it keeps to its commonest patterns; at a high one the spelling breaks. Between the two it writes
# fluently about people. Which people?
#
# ### Predict
# Of 48 lines written at temperature 0.7, what share, in percent, names somebody whom our questions ask about?

# %%
my_guess_for_known = None

# %%
asked = [*a5.corpus.train, *a5.corpus.dev]
places = {q.text.removeprefix("Where was ").removesuffix(" born?"): q.place for q in asked}
written = write_lines(48, temperature=0.7, seed=seed + 1)
known = {line: name for line in written for name in places if name in line}
true = [line for line, name in known.items() if places[name] in line]
copied = sum(f"\n{line}\n" in lines for line in written)

confront(a5, "04 lines about people asked", my_guess_for_known, 100 * len(known) / 48, "%")
print(f"lines that stand in the corpus word for word: {copied} of 48")
print(f"lines about people asked that hold their birthplace: {len(true)} of {len(known)}")

# %%
made_up = [line for line in written if line not in known and f"\n{line}\n" not in lines]
print("about nobody in our questions, and not in the corpus:")
print(*(f"    {line}" for line in made_up[:6]), sep="\n")

# %% [markdown]
# <details><summary>Explain</summary>
#
# It has learned how names are put together and how sentences go, and draws new ones. Nothing in a line tells whether
# its person exists. And of a person who does exist it may state a birthplace that is well spelled and wrong. Whether
# such a model *knows* where somebody was born has to be asked in a way that can be counted: that is 05.
#
# </details>
#
# Move the knobs.

# %%
from a5lib.display.widgets import controls_explorer

controls_explorer(show_next, {"temperature": (0.1, 3.0, 1.0, 0.1), "top-k": (1, 30, 10, 1)})

# %% [markdown]
# > **Why?** What do temperature 0.1 and top 1 have in common, and where do they differ?
#
# <details><summary>One answer</summary>
#
# Both nearly always take the likeliest character, as decoding does from 05 on. Top 1 always does. A low temperature
# asks by how much it leads: where two characters are level, it still tosses a coin between them. At a high
# temperature the difference is larger: anything may come, the absurd included, while top-k cuts that off.
#
# </details>

# %% [markdown]
# ## 8 What the heads look at
#
# Your `masked_weights` gives the weights of each head of each layer. The stream goes through the blocks; at each one
# we stop and look. As above, the darker the larger (the shade follows the root of the weight, so that small ones show).

# %%
@torch.no_grad()
def all_weights(text):
    """Attention weights (L, H, T, T) of a text that begins a line."""
    idx = torch.tensor([a5.vocab.encode(text)], device=a5.device)  # (1, T)
    x = model.tok_emb(idx) + model.pos_emb[:, : idx.size(1)]
    mask, weights = causal_mask(idx.size(1)).to(a5.device), []
    for block in model.blocks:
        normed = block.ln1(x)
        q = split_heads(block.attn.query(normed), config.n_head)
        k = split_heads(block.attn.key(normed), config.n_head)
        weights.append(masked_weights(q, k, mask)[0])  # (H, T, T)
        x = block(x)
    return torch.stack(weights).cpu()


# %% tags=["figure:attention-maps"]
from a5lib.display.char_gpt import attention_maps

born = (line for line in held_out if " was born in " in line)
text = next(born, held_out[0])[:30].rstrip("\n")
attention_maps(all_weights(text), text)

# %% [markdown]
# Pictures invite stories. Numbers first. It is often said that some head looks at the previous character.
#
# ### Predict
# Take the head with the largest mean weight on the previous character. How large is it, in percent?

# %%
my_guess_for_previous = None

# %%
def kinds_of_keys(text):
    """(K, T, T) tables: which position t may read that is of each kind, as 1.0."""
    seen = causal_mask(len(text))
    position = torch.arange(len(text))
    blank = torch.tensor([c.isspace() for c in text])
    capital = torch.tensor([c.isupper() for c in text])
    word = blank.cumsum(0)  # the number of the word that a character is in
    same = torch.tensor([[c == d for d in text] for c in text])
    kinds = {
        "previous character": position[None] == position[:, None] - 1,
        "own word": word[None] == word[:, None],
        "blanks": blank.expand(len(text), -1),
        "capitals": capital.expand(len(text), -1),
        "same character, earlier": same & (position[None] < position[:, None]),
    }
    return list(kinds), torch.stack([(kind & seen).float() for kind in kinds.values()])


# %%
def mean_share(weights, kinds):
    """Weight on each kind, over a text's second half: (..., T, T), (K, T, T) to (..., K)."""
    half = weights.size(-1) // 2
    return (weights[..., None, :, :] * kinds).sum(dim=-1)[..., half:].mean(dim=-1)


shares, evens = [], []
for line in held_out[:60]:
    line = line.rstrip("\n")[: config.block_size]
    names, kinds = kinds_of_keys(line)
    seen = causal_mask(len(line)).float()
    shares.append(mean_share(all_weights(line), kinds))  # (L, H, K)
    evens.append(mean_share(seen / seen.sum(dim=1, keepdim=True), kinds))  # (K,)
share, even = torch.stack(shares).mean(dim=0), torch.stack(evens).mean(dim=0)
previous = 100 * share[:, :, 0].max().item()
confront(a5, "04 previous character", my_guess_for_previous, previous, "%")

# %% tags=["figure:what-heads-read"]
from a5lib.display.char_gpt import head_profile

head_profile(share, even, names)

# %% [markdown]
# <details><summary>Explain: how to read it</summary>
#
# Each cell is the share of a head's weight on one kind of character, and the colour compares it with a head that
# reads everything equally (the top row). In our run the first layer gives the word that it is in over a third of its
# weight, three times the even share, and the layers above spread out. No head lives on the previous character alone:
# after a minute of training each reads a neighbourhood. In larger models, trained for longer, such heads have been
# reported. And weights only say where a head looks, not what the look is good for. To learn that, one has to change
# them and see what the model then says.
#
# </details>
#
# Look at one head on one line.

# %%
def show_head(layer, head, line):
    """One head's weights on a line."""
    return attention_map(all_weights(line)[layer, head], line, f"layer {layer}, head {head}")


examples = [line.rstrip("\n")[:48] for line in held_out[:8]]
L, H = range(config.n_layer), range(config.n_head)
controls_explorer(show_head, {"layer": list(L), "head": list(H), "line": examples})

# %% [markdown]
# ## What you have seen
# - A Transformer makes keys, queries and values of its own, by three matrices; masks, scales and axes are where silent
#   bugs live.
# - Equality with another implementation, and a table of who depends on whom, find them.
# - Two numbers can be predicted before anything runs: the parameters, and the first loss, $\ln V$.
# - A minute of training gives a fluent writer about people, most of whom it made up. Does it know facts? **05** asks it.

# %% [markdown]
# ## Your points so far
# Of this notebook and the others. A pass stays, whatever you try afterwards; `python -m a5lib.classroom progress`
# shows the same from a shell.

# %%
from a5lib.classroom import points_so_far

points_so_far()
