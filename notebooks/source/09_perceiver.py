# ---
# jupyter:
#   a5:
#     about: the down- and the up-projection, what the mask hides, what a bottleneck costs and saves
#     gpu: true
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# {{badge}}

# %% [markdown]
# # 09 · Perceiver: a bottleneck, and what it hides
#
# Every layer of our model works on every character. The Perceiver squeezes the text into a few *latents*, works on
# those, and spreads the result out again. You build the two layers that do it. Then three questions that a saving
# should always be asked: what can the model no longer see, what can it no longer learn, and how much is saved really?
#
# **Needs** the models of 07 and 08, or makes them. **Takes** 100 minutes of yours. Two pretrainings take about three
# minutes each on two CPU cores, the rest of the machine's work about a minute.

# %% tags=["parameters"]
profile: str = ""  # smoke, quick or full; empty: full with a GPU, quick without
data: str = ""  # a folder with wiki.txt and the question files; empty: the profile's own
seed: int = 0
runs: str = ""  # where trained models are kept; empty: runs/

# %%
{{setup}}

# %% [markdown]
# ## 1 Fewer vectors in the middle
#
# A text has $\ell$ characters, a model has $L$ layers of width $d$. In *vanilla* each layer turns $\ell$ vectors into
# $\ell$ vectors, and its attention compares all with all: $\ell^2$ scores. Here the first layer makes $m < \ell$
# latents of them, the $L - 2$ layers in the middle work on $m$ vectors, and the last one goes back to $\ell$. This is
# a simplified Perceiver AR (Hawthorne et al., 2022), as the assignment has it.

# %% tags=["figure:perceiver-bottleneck"]
from a5lib.display.perceiver import bottleneck_diagram

bottleneck_diagram()

# %% [markdown]
# Both outer layers are attention with queries from one sequence, and keys and values from another: *cross*-attention.
# Down: a learned *basis* $C$ of $m$ vectors asks, and the text $X$ answers. Up: the text asks, and the latents $Y$
# answer. For one head (the assignment's equations 5 and 6):
#
# $$\mathrm{softmax}\!\left(\frac{(CQ)(XK)^\top}{\sqrt{d/h}}\right) XV \qquad\qquad
# \mathrm{softmax}\!\left(\frac{(XQ)(YK)^\top}{\sqrt{d/h}}\right) YV$$
#
# The first has $m$ rows, the second $\ell$: there are as many outputs as queries.
#
# ### Predict
# The assignment's vanilla model has 3.3 million parameters. With $m = \ell/2$, by how many percent does their number
# change? (Fewer: a negative number.)

# %%
my_guess_for_parameters = None

# %%
import torch

from a5lib.classroom.notebook import confront
from a5lib.model import GPTConfig, build_model

handout = GPTConfig(vocab_size=256, bottleneck_dim=64)  # 4 layers, 8 heads, d = 256, block 128


def parameters(variant):
    """How many parameters a variant has at the assignment's shape."""
    with torch.device("meta"):  # shapes without numbers
        return sum(p.numel() for p in build_model(variant, handout).parameters())


change = 100 * (parameters("perceiver") / parameters("vanilla") - 1)
print(f"vanilla {parameters('vanilla'):,}, perceiver {parameters('perceiver'):,}")
confront(a5, "09 change of parameters", my_guess_for_parameters, change, "%")

# %% [markdown]
# <details><summary>Explain: why not fewer?</summary>
#
# A layer's matrices are $d \times d$ or $d \times 4d$. They are applied to each vector alone, so their size does not
# depend on how many there are. The basis is new: $64 \times 256$ numbers. A bottleneck saves *work*, not weights.
#
# </details>

# %% [markdown]
# ## 2 The two projections
#
# Around the attention stands what stands in every block: a layer norm before it, a sum behind it, then an MLP in the
# same way.
#
# $$Z = C + \mathrm{attn}\big(\text{queries } \mathrm{ln}_1(C),\ \text{keys and values } X\big) \qquad
# Y = Z + \mathrm{mlp}(\mathrm{ln}_2(Z))$$
#
# > **Exercise 1** · 25 minutes · medium · 3 points (question 2g-i)
# >
# > Write `DownProjectBlock`. The constructor reads `config.bottleneck_dim` ($m$) and `config.n_embd` ($d$), changes
# > nothing in it, and makes `C`, `ln1`, `ln2`, `attn` and `mlp`; files of parameters have these names. `C` is a
# > learned parameter of shape $(1, m, d)$, Xavier uniform. `forward` takes $X$, (B, ℓ, d), and returns $Y$, (B, m,
# > d). `CausalCrossAttention(config)` is called as `attn(x_kv, x_q)`.
#
# A text may be shorter than $m$. Then the latents past its end see no more than the last one before. You may compute
# them or, to save time, use only the first ℓ rows of `C`; both are right, and the library does the second.
#
# <details><summary>Hint</summary>
#
# `nn.Parameter(torch.empty(1, m, d))`, then `nn.init.xavier_uniform_`. Nothing behind the parameter: no
# `.to(device)`, which gives a plain tensor where the device is another one. Which of the two sequences is as long as
# the result? That one asks, and is added.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# Take the first ℓ rows of the basis. Norm them for the queries; the inputs are read as they are. Add what attention
# gives to the rows *before* the norm. The second half is that of any block: norm, MLP, add.
#
# </details>

# %%
from torch import nn

from a5lib.attention import CausalCrossAttention
from a5lib.model import mlp


# %%
class DownProjectBlock(nn.Module):
    """ℓ inputs to m latents: a learned basis asks, the inputs answer."""

    def __init__(self, config):
        super().__init__()
        ### BEGIN SOLUTION
        self.C = nn.Parameter(torch.empty(1, config.bottleneck_dim, config.n_embd))
        nn.init.xavier_uniform_(self.C[0])
        self.ln1 = nn.LayerNorm(config.n_embd)
        self.ln2 = nn.LayerNorm(config.n_embd)
        self.attn = CausalCrossAttention(config)
        self.mlp = mlp(config)
        ### END SOLUTION

    def forward(self, x_input):
        ### BEGIN SOLUTION
        basis = self.C[:, : x_input.size(1)]
        x = basis + self.attn(x_input, self.ln1(basis))
        return x + self.mlp(self.ln2(x))
        ### END SOLUTION


# %%
from a5lib.classroom import check

DownProjectBlock = check("DownProjectBlock", DownProjectBlock)

# %% [markdown]
# <details><summary>Why? Xavier's bound for an m × d matrix is √(6 / (m + d)). Is it that, whichever way you call it?</summary>
#
# No. Given all three axes (1, m, d), torch takes the first two for numbers of outputs and inputs and the third for
# the width of a convolution's kernel, and finds $\sqrt{6/(md + d)}$, which is seven times as small at the
# assignment's shape. Given the matrix `C[0]` it finds the one of the paper. The check lets both pass. `ln1` undoes
# the difference in the queries; in the sum it stays: how large the latents are before anything has been read.
#
# </details>

# %% [markdown]
# Up is the mirror image. Now the inputs ask and are added, the latents answer:
#
# $$Z = X + \mathrm{attn}\big(\text{queries } X,\ \text{keys and values } \mathrm{ln}_1(Y)\big) \qquad
# \mathrm{out} = Z + \mathrm{mlp}(\mathrm{ln}_2(Z))$$
#
# > **Exercise 2** · 15 minutes · medium · 2 points (question 2g-i)
# >
# > Write `UpProjectBlock`, with `ln1`, `ln2`, `attn` and `mlp`. `forward` takes the latents $Y$, (B, m, d), and the
# > model's inputs $X$, (B, ℓ, d), and returns (B, ℓ, d).
#
# <details><summary>Hint</summary>
#
# The norm stands on the other side this time: before what has been worked on, the latents.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# Norm the latents and read them with the raw inputs as queries. Add the result to the inputs, since those are as many
# as the outputs. Then norm, MLP, add.
#
# </details>

# %%
class UpProjectBlock(nn.Module):
    """m latents back to ℓ outputs: the inputs ask, the latents answer."""

    def __init__(self, config):
        super().__init__()
        ### BEGIN SOLUTION
        self.ln1 = nn.LayerNorm(config.n_embd)
        self.ln2 = nn.LayerNorm(config.n_embd)
        self.attn = CausalCrossAttention(config)
        self.mlp = mlp(config)
        ### END SOLUTION

    def forward(self, y, x_input):
        ### BEGIN SOLUTION
        x = x_input + self.attn(self.ln1(y), x_input)
        return x + self.mlp(self.ln2(x))
        ### END SOLUTION


# %%
UpProjectBlock = check("UpProjectBlock", UpProjectBlock)

# %% [markdown]
# Each block against the library's, with the same weights, on random inputs:

# %% tags=["nbval-check-output"]
from a5lib import model as library

small = GPTConfig(90, block_size=32, n_head=2, n_embd=16, bottleneck_dim=8, dropout=0.0)
x, y = torch.randn(3, 20, 16), torch.randn(3, 8, 16)  # inputs and latents
for own, theirs, arguments in (
    (DownProjectBlock(small), library.DownProjectBlock(small), (x,)),
    (UpProjectBlock(small), library.UpProjectBlock(small), (y, x)),
):
    own.load_state_dict(theirs.state_dict())
    got, wanted = own(*arguments), theirs(*arguments)
    print(tuple(got.shape), "equal:", torch.allclose(got, wanted, atol=1e-6))

# %% [markdown]
# And both in a whole model. `Parts` puts your classes in the place of the library's; the layers between them are the
# blocks of 04, made with a block size of $m$. Texts shorter than $m$, as long, longer, and as long as the block:

# %% tags=["nbval-check-output"]
from a5lib.model import Parts

parts = Parts(down_block=DownProjectBlock, up_block=UpProjectBlock)
own = build_model("perceiver", small, seed, parts)
theirs = build_model("perceiver", small, seed)
own.load_state_dict(theirs.state_dict())
for length in (5, 8, 9, 32):
    ids = torch.randint(2, 90, (4, length))
    same = torch.allclose(own(ids)[0], theirs(ids)[0], atol=1e-6)
    print(f"{length:2} characters: logits {tuple(own(ids)[0].shape)}, equal: {same}")

# %% [markdown]
# ## 3 What the mask hides
#
# A language model must not look ahead. The mask is the corner of the triangle that you know: query $i$ may look at
# key $j$ if $j \le i$, whatever the two sequences are. Here for $\ell = 20$ and $m = 8$:

# %%
from a5lib.attention import causal_mask
from a5lib.display.perceiver import mask_panels

masks = {"down": causal_mask(8, 20), "inner": causal_mask(8), "up": causal_mask(20, 8)}
mask_panels(masks, [("latent", "input"), ("latent", "latent"), ("output", "latent")])

# %% [markdown]
# ### Predict
# Follow the three masks from right to left. Which inputs can change output 15, the guess of character 16?

# %%
choices_sees = {
    "a": "0 to 15, as in vanilla",
    "b": "8 to 15: the last 8",
    "c": "0 to 7, and 15",
    "d": "0 to 7",
}
my_guess_for_sees = None  # "a", "b", "c" or "d"

# %% [markdown]
# Masks are plans; gradients are facts. In 04 you changed one input at a time and looked for what moved. A gradient
# answers for all inputs at once and needs no threshold: where no path leads from an input to an output, it is exactly
# 0.
#
# > **Exercise 3** · 10 minutes · medium
# >
# > Write `dependencies`. `x` are a model's embeddings, (1, T, d), `logits` what came of them, (1, R, V), with the
# > graph between them. Return an (R, T) tensor of truth values: does row $r$ of the logits depend on row $t$ of `x`?
#
# <details><summary>Hint</summary>
#
# `torch.autograd.grad(number, x, retain_graph=True)` returns a tuple with one gradient, of the shape of `x`. The
# number may be any function of one row of logits that depends on all of it.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# For each row of logits: make one number of it, such as its sum of squares, take that number's gradient for the
# embeddings, and ask at each position whether any of its $d$ entries differs from zero. Stack these answers.
#
# </details>

# %%
def dependencies(x, logits):
    """(R, T) bool: whether a row of logits depends on a row of x."""
    ### BEGIN SOLUTION
    rows = []
    for row in logits[0]:
        (gradient,) = torch.autograd.grad(row.square().sum(), x, retain_graph=True)
        rows.append((gradient[0] != 0).any(dim=-1))
    return torch.stack(rows)
    ### END SOLUTION


# %%
dependencies = check("dependencies", dependencies)

# %%
def what_it_sees(variant, T=20):
    """Which of T inputs each row of logits depends on, in a fresh model with m = 8."""
    model, seen = build_model(variant, small, seed).double(), []
    model.tok_emb.register_forward_hook(lambda layer, ids, x: seen.append(x))
    logits, _ = model(torch.randint(2, 90, (1, T)))
    return dependencies(seen[0], logits)


matrix = what_it_sees("perceiver")
inputs = matrix[15].nonzero().flatten().tolist()
print("output 15 depends on the inputs", inputs)
offers = {"a": range(16), "b": range(8, 16), "c": [*range(8), 15], "d": range(8)}
letter = next(name for name, offer in offers.items() if list(offer) == inputs)
confront(a5, "09 what output 15 sees", my_guess_for_sees, letter, choices=choices_sees)

# %% tags=["figure:what-the-mask-hides"]
from a5lib.display.perceiver import dependence

dependence({"vanilla": what_it_sees("vanilla"), "perceiver, m = 8": matrix}, horizon=8)

# %% [markdown]
# <details><summary>Explain: where do the two halves of the picture come from?</summary>
#
# Latent $i$ reads inputs 0 to $i$. There are latents 0 to $m-1$, so **no latent ever reads input $m$ or a later
# one**. Up to output $m - 1$ that makes no difference. From output $m$ on all latents are visible, and all of them
# together know the inputs 0 to $m-1$. The diagonal is the model's own input $x_t$, which asks in the up-projection
# and is added there. Everything between $m$ and $t$ is lost. The model does not look ahead. It is *blind*, as if it
# read a book's first page and the last letter.
#
# </details>

# %% tags=["nbval-check-output"]
for variant in ("vanilla", "perceiver"):
    seen = what_it_sees(variant)
    print(f"{variant:9} looks ahead: {bool(seen.triu(1).any())}; of the {20 * 21 // 2} pairs"
          f" (output, earlier input) it has {int(seen.sum())}")

# %% [markdown]
# How bad is that? In span corruption the answer stands at the *end* of a row, just where the model is blind if the
# row is longer than $m$. So count.
#
# > **Exercise 4** · 5 minutes · easy
# >
# > `lengths` are rows' numbers of characters. All their positions count in the loss. Return the share of all
# > positions, over all rows, that stand at $m$ or later (0 to 1).
#
# <details><summary>Hint</summary>
#
# A row of 10 characters has the positions 0 to 9. With $m = 4$, how many of them are at least 4? And in a row of 2?
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# A row has its length minus $m$ such positions, or none if that is negative. Add them up over the rows, and divide by
# all characters.
#
# </details>

# %%
def share_past(lengths, m):
    """The share of positions at m or later, of all positions in rows of these lengths."""
    ### BEGIN SOLUTION
    past = sum(max(0, length - m) for length in lengths)
    return past / sum(lengths)
    ### END SOLUTION


# %%
share_past = check("share_past", share_past)

# %% [markdown]
# ### Predict
# In our corpus a row has about 46 characters. With $m = 32$, what share of the positions in pretraining lies past the
# horizon, in percent?

# %%
my_guess_for_share = None

# %%
import random

from a5lib.classroom.notebook import mine

corrupt_span = mine(a5, "corrupt_span")
rng = random.Random(seed)
rows = [corrupt_span(line, 128, rng, a5.recipe.skew) for line in a5.corpus.documents]
lengths = [len(row.rstrip("□")) - 1 for row in rows]  # x is one shorter than its row
confront(a5, "09 past the horizon", my_guess_for_share, 100 * share_past(lengths, 32), "%")

# %%
from a5lib.display.perceiver import share_curve

latents = [8, 16, 24, 32, 48, 64]
shares = {"this corpus": [share_past(lengths, m) for m in latents]}
share_curve(latents, shares, {"the course's corpus, m = 64": (64, 0.176)})

# %% [markdown]
# The course's own lines are longer, half of them more than 131 characters. With $m = 64$, 45 % of its corrupted rows
# are cut by the horizon, and 17.6 % of all positions lie past it: training signal for a model that cannot see what it
# is asked about. Yet people get 6 to 12 % right there, and not 0. A question is short:

# %%
sizes = [len(question.text) + 1 for question in a5.corpus.dev]
past = sum(n > 64 for n in sizes)
print(f"questions with their ⁇: {min(sizes)} to {max(sizes)} characters; past 64: {past}")

# %% [markdown]
# > **Why?** A question of 70 characters is asked with $m = 64$: `Where was … born?⁇`. What does the model see when it writes the answer's first letter?
#
# <details><summary>One answer</summary>
#
# The first 64 characters, thus most of the name, and the `⁇`. Perhaps that is enough. At the second letter it sees
# the 64 and the first letter, at the third the 64 and the second letter: of its own answer it never sees more than
# one. It may have the knowledge and lose the spelling. In the course's data 2 of 500 dev questions are that long.
#
# </details>

# %% [markdown]
# ## 4 Why it learns late
#
# There is a second loss, and the dependency picture does not show it. In vanilla position $t$ *begins* as a copy of
# character $t$ and adds to it. Latent $i$ begins as $C_i$, the same for every text. All it knows of the text comes
# through attention, and a fresh model draws its weights at random and very small. So its scores are all nearly 0.
#
# ### Predict
# A fresh perceiver reads a line. What share of its attention does latent 20 pay to input 20, in percent?

# %%
my_guess_for_own_share = None

# %%
from a5lib.attention import attend
from a5lib.batches import encode_prompts


def down_weights(model, text):
    """(H, M, T): how much each latent reads each input of a text, head by head."""
    ids = encode_prompts(a5.vocab, [text])[0]
    block, x = model.down_block, model.embed(ids[None])
    basis = block.ln1(block.C[:, : len(text)])
    q, k = block.attn.heads(block.attn.query(basis)), block.attn.heads(block.attn.key(x))
    v = torch.eye(len(text))  # input j says the j-th unit vector, so the sums are the weights
    return attend(q, k, v, causal_mask(q.size(2), len(text)))[0].detach()


text = max(a5.corpus.documents, key=len)[:32]
started = build_model("perceiver", a5.model_config("perceiver"), seed).eval()
fresh = down_weights(started, text)
own_share = 100 * fresh[:, 20, 20].mean().item()
confront(a5, "09 own share of latent 20", my_guess_for_own_share, own_share, "%")

# %% [markdown]
# One part in 21. Latent 20 is the *mean* of inputs 0 to 20, a bag of characters in which `Oslo` and `solo` are the
# same. The output still has its own $x_t$. So the model starts as one that knows the last character and a blur of all
# before. Until it has found out where to look, it cannot learn a single fact.
#
# Nothing forbids to tell it. And a basis has something that inputs do not: each latent has a query of its own, so it
# can point at a *place*, whatever stands there. `start_on_diagonals` sets the first weights such that head $h$ of
# latent $i$ looks at input $i - h$. A latent then begins with its own character and the few before it. On the way up,
# half of the heads of position $t$ look at latent $t$. All of it is trained from there.

# %% tags=["figure:two-starts"]
from a5lib.display.perceiver import attention_maps
from a5lib.perceiver_start import start_on_diagonals

start_on_diagonals(started, seed)
placed = down_weights(started, text)
maps = {"fresh, the mean of all heads": fresh.mean(dim=0)}
attention_maps(maps | {f"on chosen places: head {h}": placed[h] for h in (0, 2)}, text)

# %% [markdown]
# ### Predict
# Two perceivers are pretrained for equally long, finetuned, and asked. One starts fresh, one on chosen places. What
# becomes of the fresh one?

# %%
choices_start = {
    "a": "it catches up: within 5 points of the other",
    "b": "it stays behind, but knows more than twice what London scores",
    "c": "it stays near London",
}
my_guess_for_start = None  # "a", "b" or "c"

# %%
from a5lib.experiments import ROOT
from a5lib.files import read_json


def experiment(name):
    """The rows of figures/NAME.json, or none, and how to make them."""
    path = ROOT / "figures" / f"{name}.json"
    if path.is_file():
        return read_json(path)["rows"]
    print(f"figures/{name}.json is missing. This makes it: python -m a5lib.experiments {name}")
    return []


def percent_right(runs):
    """How much several runs answer right, together."""
    return 100 * sum(run["correct"] for run in runs) / sum(run["total"] for run in runs)


# %%
starts, london = experiment("start"), a5.london()
if starts:
    by_start = [[run for run in starts if run["diagonals"] == d] for d in (False, True)]
    alone, helped = map(percent_right, by_start)
    letter = "a" if alone > helped - 5 else "b" if alone > 2 * london.accuracy else "c"
    confront(a5, "09 two starts", my_guess_for_start, letter, choices=choices_start)

# %% tags=["figure:perceiver-two-starts"]
from a5lib.display.perceiver import start_curves

starting = {False: "fresh, as in the handout", True: "heads on chosen places"}
start_curves(starts, starting) if starts else None

# %% [markdown]
# <details><summary>Explain: what does that have to do with the handout's thresholds?</summary>
#
# It asks for 10 % of vanilla and for only 6 % of the perceiver. The horizon takes part of that: a sixth of the
# positions. The rest is time. A good part of the training goes by before the latents read in order, and facts can
# only be stored after that. Room in the weights is not what is scarce.
#
# </details>

# %% [markdown]
# ## 5 Train yours
#
# The same data and rates as for vanilla in 07 and 08, with the two classes that you wrote and the start of section 4.
# And more of it, a third more passes in pretraining and twice the finetuning: facts come late here, and even once they
# are there, 330 questions asked five times do not bring them out. (The experiments of sections 4 and 8 give all models
# the same.)

# %%
from a5lib.display.live import LiveCurve

vanilla = a5.pretrain("vanilla", corrupt=corrupt_span, callbacks=[LiveCurve("Vanilla")])
vanilla_tuned = a5.finetune(vanilla, callbacks=[LiveCurve("Vanilla, finetuning")])

# %% [markdown]
# ### Predict
# What share of the dev people will your perceiver answer right, in percent?

# %%
my_guess_for_perceiver = None

# %%
live = [LiveCurve("Pretraining the perceiver")]
perceiver = a5.pretrain("perceiver", corrupt=corrupt_span, parts=parts, callbacks=live)
perceiver_tuned = a5.finetune(perceiver, callbacks=[LiveCurve("Finetuning")])

# %%
scores = {"London": london, "vanilla": a5.evaluate(vanilla_tuned)}
scores["perceiver"] = a5.evaluate(perceiver_tuned)
a5.record("perceiver.dev", scores["perceiver"].accuracy)
right = scores["perceiver"].accuracy
confront(a5, "09 dev accuracy of the perceiver", my_guess_for_perceiver, right, "%")

# %%
from a5lib.display.figures import accuracy_bars

accuracy_bars(scores, baseline="London")

# %%
from a5lib.display.figures import loss_curve

loss_curve({"vanilla": vanilla.history, "perceiver": perceiver.history}, title="Pretraining")

# %% [markdown]
# <details><summary>Explain: why is it not the same, though hardly a line is longer than m?</summary>
#
# With $m = 64$ and lines of 46 characters the horizon plays no part here, and nothing is saved either: a text of 46
# characters has 46 latents. What is left is what the two outer layers cannot do. On the way down a latent's queries
# are the same for every text: it can ask for a *place*, never for *whatever follows the name that I have just read*.
# On the way up the queries are bare characters. So of four layers two are left that can look for something because of
# what they have read. In vanilla all but the first can.
#
# </details>

# %% [markdown]
# From a shell, question 2g-i's three commands:
#
# ```
# python -m a5lib.run pretrain perceiver wiki.txt --bottleneck_dim 64 \
#        --pretrain_lr 6e-3 --writing_params_path perceiver.pretrain.params
# python -m a5lib.run finetune perceiver wiki.txt --bottleneck_dim 64 \
#        --reading_params_path perceiver.pretrain.params --writing_params_path perceiver.finetune.params \
#        --finetune_corpus_path birth_places_train.tsv
# python -m a5lib.run evaluate perceiver wiki.txt --bottleneck_dim 64 \
#        --reading_params_path perceiver.finetune.params --eval_corpus_path birth_dev.tsv \
#        --outputs_path perceiver.pretrain.dev.predictions
# ```

# %% [markdown]
# ## 6 Without a horizon: Perceiver AR
#
# Both losses have one cause: the latents are anonymous. In the paper they are not. There **the latents are the last
# $m$ positions themselves**. Each begins as its own character, and reads *all* inputs up to itself. There is no basis
# and no way up; logits exist for those $m$ positions only.
#
# $$Z = X_{\text{last } m} + \mathrm{attn}\big(\text{queries } \mathrm{ln}_1(X_{\text{last } m}),\ \text{keys and values } \mathrm{ln}_1(X)\big)$$
#
# *Last* means last real, not last padded. Rows in a batch have different lengths, so each has its own latents.
#
# > **Exercise 5** · 10 minutes · medium
# >
# > `lengths` is a tensor (B,) of how many real characters each row has. Return a tensor (B, m): the positions of its
# > last $m$ characters, going up. A row shorter than $m$ begins at 0 (what lies behind its end is padding and hurts
# > nobody).
#
# <details><summary>Hint</summary>
#
# Where does the first latent of a row of 9 stand, if $m = 4$? And of a row of 2? The others follow it, one by one.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# The first latent stands $m$ before the end, but not before 0: one number for each row. Add 0 to $m-1$ along a second
# axis.
#
# </details>

# %%
def last_positions(lengths, m):
    """(B, m): the positions of the last m characters of rows of these lengths."""
    ### BEGIN SOLUTION
    start = (lengths - m).clamp(min=0)
    return start[:, None] + torch.arange(m)
    ### END SOLUTION


# %%
last_positions = check("last_positions", last_positions)

# %% tags=["nbval-check-output"]
print(last_positions(torch.tensor([9, 2, 4]), 4))

# %% tags=["figure:no-horizon"]
variants = ("vanilla", "perceiver", "perceiver_ar")
dependence({variant: what_it_sees(variant) for variant in variants}, horizon=8)

# %% [markdown]
# The horizon is gone. Each output sees all that came before it, and nothing else. The picture took gradients; here is
# the plain test, by changing one character after the other in all three:

# %% tags=["nbval-check-output"]
def looks_ahead(variant, T=20):
    """Whether a change of any input moves the logits of an earlier position."""
    model, ids = build_model(variant, small, seed).eval(), torch.randint(2, 80, (1, T))
    before = model(ids)[0][0]
    first = T - len(before)  # the position of the first row of logits
    for t in range(first + 1, T):
        changed = ids.clone()
        changed[0, t] += 1
        if not torch.equal(model(changed)[0][0, : t - first], before[: t - first]):
            return True
    return False


print({variant: looks_ahead(variant) for variant in variants})

# %% [markdown]
# The price is in the upper half of the picture: positions without an output give no training signal. How many? The
# first $\ell - m$ of every row, and you have counted them already. It is `share_past`: **where the perceiver is
# blind, perceiver_ar is silent**, the same number of positions at the other end of the row.

# %%
for m in (8, 16, 32, 64):
    speaking = 100 * (1 - share_past(lengths, m))
    print(f"m = {m:2}: {speaking:5.1f} % of the positions give a signal")

# %% [markdown]
# And as long as $\ell \le m$, all positions are latents. What is it then?

# %% tags=["nbval-check-output"]
plain, ar = build_model("vanilla", small, seed), build_model("perceiver_ar", small, seed + 1)
ar.load_state_dict({**ar.state_dict(), **dict(plain.named_parameters())})
for length in (4, 8, 9):
    ids = torch.randint(2, 90, (2, length))
    same = torch.equal(ar(ids)[0], plain(ids)[0][:, -8:])
    print(f"m = 8, {length} characters: vanilla's logits, to the last bit: {same}")

# %% [markdown]
# ### Predict
# Now train it, with the profile's $m$ and the data of section 5. How many points will its dev accuracy be away from
# vanilla's?

# %%
my_guess_for_distance = None

# %%
live = [LiveCurve("Pretraining perceiver_ar")]
ar_pretrained = a5.pretrain("perceiver_ar", corrupt=corrupt_span, callbacks=live)
ar_tuned = a5.finetune(ar_pretrained, callbacks=[LiveCurve("Finetuning")])
scores["perceiver_ar"] = a5.evaluate(ar_tuned)
a5.record("perceiver_ar.dev", scores["perceiver_ar"].accuracy)

# %%
distance = abs(scores["perceiver_ar"].accuracy - scores["vanilla"].accuracy)
confront(a5, "09 perceiver_ar and vanilla", my_guess_for_distance, distance, "points")
accuracy_bars(scores, baseline="London")

# %% [markdown]
# <details><summary>Explain: what should it be, and why is it not exactly that?</summary>
#
# Zero, if no row were longer than $m$: the same weights at the start, the same sums in every step, so the same model
# at the end, bit for bit. With $m = 64$ about two rows of a pass are longer. In the batch with the first of them the
# two lose sight of each other, and then training magnifies the difference, as it does any rounding. What is left is
# chance: as much as between two seeds. Where lines are longer than $m$, as in the course's data or with a smaller
# $m$, the two differ in earnest; section 8 has the sweep.
#
# </details>

# %% [markdown]
# ## 7 What it saves, three ways
#
# ### As an expression
# An attention layer compares each query with each key. With $L$ layers, $\ell$ characters and $m$ latents, how many
# comparisons does a whole perceiver make?
#
# > **Exercise 6** · 10 minutes · medium · 2 points (question 2g-ii)
# >
# > Write that as a function of `L`, `length` (ℓ) and `m`. It is checked by how it grows: constant factors do not
# > matter, and you may take `d` as a fourth argument. Linear layers and MLPs are left out for now.
#
# <details><summary>Hint</summary>
#
# Three kinds of layers, three shapes of masks: the picture of section 3 has them all. How often does each occur?
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# The way down has $m$ queries and $\ell$ keys, the way up $\ell$ queries and $m$ keys: the same number of pairs,
# twice. Each of the $L - 2$ layers between compares the latents with each other.
#
# </details>

# %%
def attention_cost(L, length, m):
    """How often a perceiver compares a query with a key, up to a factor for each term."""
    ### BEGIN SOLUTION
    down_and_up = 2 * length * m
    inner = (L - 2) * m * m
    return down_and_up + inner
    ### END SOLUTION


# %%
attention_cost = check("attention_cost", attention_cost)

# %% [markdown]
# > **In writing** · 10 minutes (question 2g-ii)
# >
# > Give the time complexity of vanilla and of the perceiver in $\ell$, $m$, $L$ and $d$. Say where it is attention that
# > you count, and where everything. The cell below holds the counts against your expressions. Write it in the cell below,
# > in at most 250 words.

# %% [markdown] tags=["written:2g-ii"]
# ### BEGIN SOLUTION
# *Answer to 2g-ii.* A comparison is a product of two vectors over all heads, $d$ multiply-adds; weighing a value
# takes $d$ more. Vanilla compares $\ell$ with $\ell$ in each of $L$ layers, the perceiver $m$ with $\ell$ on its way
# down, $\ell$ with $m$ on its way up, and $m$ with $m$ in between:
#
# $$\text{vanilla } O(L\,\ell^2 d), \qquad \text{perceiver } O\big((\ell m + (L-2)\,m^2)\,d\big).$$
#
# That is attention alone. The projections take $2d^2$ for each vector that asks and $2d^2$ for each that answers, an
# MLP $8d^2$. So the whole model adds $O(L\,\ell d^2)$ to the first and $O((\ell + (L-1)\,m)\,d^2)$ to the second. For
# fixed $m$ the perceiver is linear in $\ell$; for $m$ in proportion to $\ell$ it is quadratic like vanilla, with a
# smaller factor. Up to about $\ell = 6d$ the linear layers dominate in both.
# ### END SOLUTION

# %% tags=["nbval-check-output"]
from dataclasses import replace

from a5lib.complexity import count_flops

for L, T, m, d in ((4, 128, 64, 256), (6, 512, 128, 64)):  # T is ℓ
    shape = replace(handout, n_layer=L, block_size=T, bottleneck_dim=m, n_embd=d)
    scores_and_sums = 2 * L * T * T * d, 2 * (2 * T * m + (L - 2) * m * m) * d
    linear = 12 * L * T * d * d, 12 * (T + (L - 1) * m) * d * d
    for i, variant in enumerate(("vanilla", "perceiver")):
        closed = scores_and_sums[i] + linear[i] + T * d * shape.vocab_size  # and the head
        counted = count_flops(shape, variant, T)["matrix products"] // 2
        print(f"{variant:9} {counted:13,} multiply-adds, as derived: {counted == closed}")

# %% [markdown]
# `count_flops` runs the model on tensors without numbers and writes down what each operation costs. It refuses any
# operation that it has no price for, so nothing goes missing.
#
# ### Counted
# The assignment's model, $\ell = 128$, $m = 64$.
#
# ### Predict
# What share of vanilla's multiply-adds does the perceiver save, in percent: in comparing and weighing alone, and in
# the whole model?

# %%
my_guess_for_attention_saved = None
my_guess_for_model_saved = None

# %%
from a5lib.complexity import saved_by_bottleneck

alone, whole = (100 * saved for saved in saved_by_bottleneck(handout, "perceiver", 128))
confront(a5, "09 attention saved", my_guess_for_attention_saved, alone, "%")
confront(a5, "09 model saved", my_guess_for_model_saved, whole, "%")

# %% tags=["figure:where-the-work-goes"]
from a5lib.complexity import multiply_adds
from a5lib.display.complexity import where_multiply_adds_go

accounts = {variant: multiply_adds(handout, variant, 128) for variant in variants}
where_multiply_adds_go(accounts, "The assignment's model reads 128 characters, m = 64")

# %% [markdown]
# Matrix products are not all. Softmax, norms, biases, GELUs and sums, too, all of them counted:

# %% tags=["nbval-check-output"]
from a5lib.complexity import flops

for variant in variants:
    counted = count_flops(handout, variant, 128)
    other = 1 - counted["matrix products"] / sum(counted.values())
    same = counted == flops(handout, variant, 128)
    print(f"{variant:12} {sum(counted.values()):11,} FLOPs, {other:.1%} of them outside of"
          f" matrix products; as in closed form: {same}")

# %% [markdown]
# So where does the handout's 75 % come from? Half as many vectors make a quarter of the pairs. True, of attention, in
# a layer where queries *and* keys are halved. For $m = \ell/2$:

# %% tags=["figure:where-75-percent-is-true"]
from a5lib.complexity import saved_by_halving
from a5lib.display.perceiver import saved_lines

lengths_drawn = [2**n for n in range(5, 18)]
halves = [replace(handout, block_size=T, bottleneck_dim=T // 2) for T in lengths_drawn]
both = [saved_by_bottleneck(c, "perceiver", c.block_size) for c in halves]
saved = {
    "comparisons of an inner layer": [0.75 for _ in lengths_drawn],
    "all of vanilla, on half the length": [saved_by_halving(handout, T) for T in lengths_drawn],
    "comparisons of all four layers": [alone for alone, _ in both],
    "all of the perceiver": [whole for _, whole in both],
}
saved_lines(lengths_drawn, saved, at=(128, "the assignment's ℓ"))

# %% [markdown]
# <details><summary>Explain: why so much less at 128?</summary>
#
# Two reasons. The first and the last layer have one long side each, so they save half of their comparisons and not
# three quarters. And at $\ell = 128$ comparisons are only 8 % of the work: the rest are products with matrices, which
# grow with $\ell$ and not with $\ell^2$. Half the vectors are half of that, and the outer layers do not even save the
# half. 75 % is the limit for infinitely long texts, in the layers between. At the assignment's length the truth is 39
# %.
#
# </details>

# %% [markdown]
# ### Measured
# Counting assumes that all operations take equally long. So measure: seconds forward and backward, and bytes at the
# peak. Attention alone is written out as in 04, with all its $\ell^2$ scores. The whole model runs as it trains, with
# torch's fused kernel, which never holds all the scores at once.
#
# ### Predict
# By which power of $\ell$ does the *whole* vanilla model's time grow from 1,024 to 4,096 characters? (1: linear, 2:
# quadratic.)

# %%
my_guess_for_power = None

# %%
from a5lib.complexity import Point, along, sweep

longest = 1024 if a5.profile.name == "smoke" else 4096
lengths_run = [2**n for n in range(5, 13) if 2**n <= longest]
points = [Point(name, T, 64) for T in lengths_run for name in ("vanilla", "perceiver")]
shape, how = a5.model_config("perceiver"), {"rounds": 3, "seconds": 20, "device": a5.device}
attention = sweep(shape, [point for point in points if point.length >= 128], "attention", **how)
model = sweep(shape, points, "model", fused=True, **how)

# %%
from a5lib.display.complexity import time_against

by_variant = {name: along(attention, name) for name in ("vanilla", "perceiver")}
time_against(by_variant, "Attention alone, forward and backward, m = 64")

# %% tags=["figure:time-against-length"]
from a5lib.complexity import slope

by_variant = {name: along(model, name) for name in ("vanilla", "perceiver")}
work = {T: [sum(multiply_adds(shape, "vanilla", T).values())] for T in by_variant["vanilla"]}
power = slope(by_variant["vanilla"], octaves=2).value
print(f"the power of vanilla's multiply-adds: {slope(work, octaves=2).value:.2f}")
confront(a5, "09 power of the whole model", my_guess_for_power, power)
time_against(by_variant, "The whole model, forward and backward, m = 64")

# %% [markdown]
# <details><summary>Explain: quadratic, linear, or what?</summary>
#
# Attention alone is as the expression says: slope 2 against slope 1. In the whole model the linear layers stand in
# front. Where comparisons are a share $s$ of the work, the slope is $1 + s$, and $s = \ell / (\ell + 6d + V/2L)$: one
# half at $\ell \approx 6d$, which is 768 at $d = 128$ and 1,536 at $d = 256$. So at the lengths of our lines a
# Transformer is linear, and whoever says *quadratic* speaks of texts tens of times as long. The measured power is
# lower than the counted one: the fused kernel skips most of what the causal mask hides, nearly half of vanilla's
# comparisons. The perceiver's slope comes near 1 from below: its inner layers do not grow at all.
#
# The slopes are those of the last two doublings. Their intervals take all scatter about the line as chance, its bend
# included.
#
# </details>

# %%
from a5lib.display.complexity import memory_against

at_peak = {
    f"{what}, {name}": along(costs, name, "training_bytes")
    for what, costs in (("attention", attention), ("model", model))
    for name in ("vanilla", "perceiver")
}
memory_against(at_peak, "Memory of a training step on one sequence, m = 64")

# %% [markdown]
# Written out, one vanilla layer of attention alone holds more, from about 1,000 characters on, than the whole model
# that uses the fused kernel: the scores, again for the softmax, again for the gradients. Fused, even vanilla's
# *memory* is linear in $\ell$; the bottleneck saves a factor there, not a power.
#
# And over $m$, with $\ell$ fixed, the two terms of your expression: slope 1 where $2\ell m$ is the larger, and more
# as $(L-2)\,m^2$ grows. With four layers they are equal only at $m = \ell$. The whole model has a floor: up and down,
# each of the $\ell$ characters meets matrices, however few latents there are.

# %%
T = longest // 4
at_length = [Point("perceiver", T, m) for m in lengths_run if m < T]
over_m = {
    "attention alone": sweep(shape, at_length, "attention", **how),
    "the whole model": sweep(shape, at_length, "model", fused=True, **how),
}
by_latents = {name: along(c, "perceiver", letter="latents") for name, c in over_m.items()}
time_against(by_latents, f"A perceiver's time over m, at ℓ = {T:,}", "latents m")

# %% [markdown]
# ### From where does it pay?
# Counted, a perceiver is cheaper as soon as there is something to leave out, at $\ell = m + 1$. Measured:

# %%
from statistics import median

from a5lib.complexity import crossing, pays_from

print(f"counted: from ℓ = {pays_from(replace(shape, bottleneck_dim=64), 'perceiver')}")
few, all_of_it = by_variant["perceiver"], by_variant["vanilla"]
found = crossing({T: few[T] for T in few if T >= 64}, all_of_it)
print(f"measured: from about ℓ = {found:.0f}" if found else "measured: nowhere up to here")
for T in sorted(few.keys() & all_of_it.keys()):
    _, saved = saved_by_bottleneck(replace(shape, bottleneck_dim=64), "perceiver", T)
    ratio = median(few[T]) / median(all_of_it[T])
    print(f"ℓ = {T:5,}: {ratio:.2f} of vanilla's time, {1 - saved:.2f} of its multiply-adds")

# %% [markdown]
# ## 8 All in one table
#
# ### Predict
# With $m = 64$, lines of 46 characters, and all other things equal: how much shorter was a step of the perceiver's
# pretraining in section 5 than one of vanilla's, in percent?

# %%
my_guess_for_time_saved = None

# %%
stages = {"vanilla": vanilla, "perceiver": perceiver, "perceiver_ar": ar_pretrained}
a_step = {name: stage.seconds / stage.history[-1]["step"] for name, stage in stages.items()}
saved_time = 100 * (1 - a_step["perceiver"] / a_step["vanilla"])
confront(a5, "09 pretraining time saved", my_guess_for_time_saved, saved_time, "%")

# %% [markdown]
# Beside it what one text costs, in millions of multiply-adds forward, and what a training step holds in memory, on a
# batch as it is trained on: for texts of 46 characters, like ours, and of 128.

# %% tags=["figure:three-variants"]
from a5lib.complexity import ModelShape
from a5lib.display.perceiver import table


def step_memory(variant, length):
    """Megabytes of one training step on a batch of the recipe, rows of `length` characters."""
    run = ModelShape(a5.model_config(variant), variant, length, fused=True)
    return run.run(a5.recipe.batch // length, a5.device).training_bytes(a5.device) / 1e6


def row_of(variant):
    """What a variant cost, and what it knows."""
    config = a5.model_config(variant)
    work = [sum(multiply_adds(config, variant, T).values()) / 1e6 for T in (46, 128)]
    memory = [step_memory(variant, T) for T in (46, 128)]
    numbers = [f"{n:,.0f} M" for n in work] + [f"{n:,.0f} MB" for n in memory]
    right, took = scores[variant].accuracy, stages[variant].seconds
    return [variant, f"{right:.1f} %", f"{took:.0f} s", *numbers]


heads = ["", "right\non dev", "pre-\ntraining"]
heads += [f"{what}\nℓ = {T}" for what in ("work", "memory") for T in (46, 128)]
table(heads, [row_of(variant) for variant in stages])

# %% [markdown]
# <details><summary>Explain: nothing saved?</summary>
#
# The bottleneck is as wide as the lines are long: at 46 characters there are 46 latents, and down and up are two
# layers like the others. The numbers for $\ell = 128$ show what it would be with texts of that length. The assignment
# pads every row to 128 characters and so pays for 128, whatever the line; there the perceiver does save its 39 %.
# Over half of those positions are padding, though: sorting rows by length, as in 07, saves more than that and hides
# nothing.
#
# </details>

# %% [markdown]
# What if the bottleneck is narrower, so that it does bite? Here are trainings with $m$ from 16 to 64, made beforehand
# by `python -m a5lib.experiments bottleneck`.
#
# ### Predict
# With $m = 16$, two thirds of the positions in pretraining lie past the perceiver's horizon, and just as many give
# `perceiver_ar` no signal. Questions have about 30 characters. Which of the two knows more about people?

# %%
choices_sweep = {"a": "the perceiver", "b": "perceiver_ar", "c": "neither by 5 points or more"}
my_guess_for_sweep = None  # "a", "b" or "c"

# %%
sizes_tried = experiment("bottleneck")
if sizes_tried:
    at_16 = [
        percent_right([run for run in sizes_tried if (run["variant"], run["m"]) == (name, 16)])
        for name in ("perceiver", "perceiver_ar")
    ]
    letter = "c" if abs(at_16[0] - at_16[1]) < 5 else "a" if at_16[0] > at_16[1] else "b"
    confront(a5, "09 m = 16", my_guess_for_sweep, letter, choices=choices_sweep)

# %% tags=["figure:bottleneck-sweep"]
from a5lib.display.perceiver import bottleneck_sweep

bottleneck_sweep(sizes_tried, london.accuracy) if sizes_tried else None

# %% [markdown]
# <details><summary>Explain: what does a narrow bottleneck break?</summary>
#
# In the perceiver, everything that comes after its horizon, questions included: a question of 30 characters, asked
# with $m = 16$, is `Where was Ada We`, and then the last letter. No name, no answer. In `perceiver_ar` the question
# is always seen, whole. What it lacks is practice: only the last $m$ characters of each line are trained on. But in a
# corrupted row these are the span, the very thing that is asked for. So the two fail differently with the same number
# of latents: one cannot read the question, the other has had fewer lessons.
#
# </details>

# %% [markdown]
# ## 9 Play with the numbers
#
# Where the multiply-adds go, for any length, bottleneck and depth, at the profile's width. First at the lengths of a
# long article:

# %%
def show_cost(length, m, L):
    """Multiply-adds of the three variants, part by part, and the cheapest."""
    config = replace(shape, n_layer=L, block_size=max(length, m + 1), bottleneck_dim=m)
    accounts = {variant: multiply_adds(config, variant, length) for variant in variants}
    totals = {variant: sum(parts.values()) for variant, parts in accounts.items()}
    best = min(totals, key=totals.get)
    share = totals[best] / totals["vanilla"]
    title = f"{best} needs {share:.0%} of vanilla's work" if share < 1 else "all alike"
    return where_multiply_adds_go(accounts, f"ℓ = {length:,}, m = {m}, L = {L}: {title}")


show_cost(2048, 64, 4)

# %%
from a5lib.display.widgets import controls_explorer

controls = {"length ℓ": (32, 8192, 2048, 32), "latents m": (8, 1024, 64, 8)}
controls_explorer(show_cost, controls | {"layers L": (2, 16, 4, 1)})

# %% [markdown]
# > **Why?** Make $m$ half of $\ell$ and let $L$ grow. Where does the perceiver's share go, and why does `perceiver_ar` stay below it?
#
# <details><summary>One answer</summary>
#
# Towards one half at short lengths and one quarter at very long ones: with many layers the two ends no longer count.
# The perceiver has two layers that touch all of $\ell$, and its last one has $\ell$ queries, MLP and head included.
# `perceiver_ar` has one, and that with $m$ queries. It computes less, because it says less: nothing about the first
# $\ell - m$ positions.
#
# </details>

# %% [markdown]
# ## What you have seen
# - Two cross-attentions make a bottleneck: a learned basis asks the text, the text asks the latents.
# - The mask is causal and hides everything between position $m$ and the last character. Gradients prove it, exactly.
# - A latent is nobody's copy. It must find its own position before it can learn a fact; a start on chosen places
#   spares it that.
# - Latents that are the last positions see everything, and say nothing about the rest.
# - 75 % is attention in the inner layers. The assignment's model saves 39 %, and a text shorter than $m$ saves nothing.

# %% [markdown]
# ## Your points so far
# Of this notebook and the others. A pass stays, whatever you try afterwards; `python -m a5lib.classroom progress`
# shows the same from a shell.

# %%
from a5lib.classroom import points_so_far

points_so_far()
