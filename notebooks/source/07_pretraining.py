# ---
# jupyter:
#   a5:
#     about: padding, the learning rate; your span corruption trains the model
#     gpu: true
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# {{badge}}

# %% [markdown]
# # 07 · Pretraining: the long job
#
# Span corruption (06) turns each line about a person into exercises. Now a GPT does them: every line, many times, each
# time cut differently. You will see what makes this fast, what the learning rate is for, how a run survives being
# killed, and what the model knows at the end, which is more than it can say.
#
# **Needs** nothing; with your `corrupt_span` from 06 it trains on that. **Takes** 40 minutes of yours; pretraining takes
# about three minutes on two CPU cores and is kept in `runs/`, so the second time it is there at once.

# %% tags=["parameters"]
profile: str = ""  # smoke, quick or full; empty: full with a GPU, quick without
data: str = ""  # a folder with wiki.txt and the question files; empty: the profile's own
seed: int = 0
runs: str = ""  # where trained models are kept; empty: runs/

# %%
{{setup}}

# %% [markdown]
# ## 1 What will be run
#
# The function that you wrote in 06, if it was kept and passes, else the library's.

# %%
from a5lib.classroom.notebook import mine

corrupt_span = mine(a5, "corrupt_span")

# %%
model = a5.fresh_model("vanilla")
recipe = a5.recipe
characters = sum(len(document) for document in a5.corpus.documents)
parameters = sum(p.numel() for p in model.parameters())
print(f"model:   {parameters:,} parameters, {model.config.n_layer} layers")
print(f"corpus:  {len(a5.corpus.documents):,} lines, {characters:,} characters")
print(f"passes:  {recipe.pretrain.max_epochs:g}, in batches of {recipe.batch:,} characters")

# %% [markdown]
# In the quick corpus each person has four lines, each telling the same birthplace in other words. So every fact is met
# four times a pass. Facts are learned slowly: one meeting moves the weights a little, and tens of them are needed.

# %% [markdown]
# ## 2 No padding to speak of
#
# 06 measured it: rows padded to 128 are mostly padding. A batch need only be as wide as its longest row. So put rows of
# **like length** into one batch.
#
# > **Exercise 1** · 10 minutes · medium
# >
# > `lengths` are row lengths in the order of a run, cut into batches of `batch_size` rows. Each batch is as wide as its
# > longest row. Return the share of all positions that are padding (0 to 1). The last batch may have fewer rows.
#
# <details><summary>Hint</summary>
#
# Positions of a batch: its widest row times its number of rows. Padding is what is left when the text is taken away.
#
# </details>

# %%
def padding_share(lengths, batch_size):
    """The share of positions that are padding."""
    ### BEGIN SOLUTION
    batches = [lengths[i : i + batch_size] for i in range(0, len(lengths), batch_size)]
    positions = sum(max(batch) * len(batch) for batch in batches)
    return 1 - sum(lengths) / positions
    ### END SOLUTION


# %%
from a5lib.classroom import check

padding_share = check("padding_share", padding_share)

# %%
import random

rng = random.Random(seed)
lines = a5.corpus.documents[:160]
rows = [len(corrupt_span(line, 128, rng, 3).rstrip("□")) for line in lines]
print(f"padded to 128: {1 - sum(rows) / (128 * len(rows)):.0%}")
print(f"in the order of the corpus: {padding_share(rows, 32):.0%}")
print(f"sorted by length: {padding_share(sorted(rows), 32):.0%}")

# %%
from a5lib.display.figures import padding_figure

padding_figure({"corpus order": rows, "sorted": sorted(rows)}, batch_size=32)

# %% [markdown]
# `CorruptionBatches` sorts by length and then visits the batches in random order. It cuts a batch by its number of
# characters, not rows, so that every step does the same amount of work.

# %%
from a5lib.batches import CorruptionBatches
from a5lib.dataset import CharCorruptionDataset

dataset = CharCorruptionDataset(a5.corpus.text, 128, corrupt_span, seed, skew=recipe.skew)
batches = CorruptionBatches(dataset, tokens=2048).epoch(0)
padding = sum((y == 0).sum().item() for x, y in batches) / sum(y.numel() for x, y in batches)
print(f"{len(batches)} batches, {padding:.1%} padding")
print("the first three:", *(tuple(x.shape) for x, y in batches[:3]))

# %% [markdown]
# ## 3 The learning rate
#
# The handout warms up over $w$ tokens, then follows a cosine down to a floor of 10 % at $f$ tokens:
#
# $$r(t) = \begin{cases} t/w & t < w \\ \max\left(0.1,\ \tfrac12\big(1 + \cos \pi\,\tfrac{t - w}{f - w}\big)\right) & \text{else}\end{cases}$$
#
# > **Exercise 2** · 10 minutes · medium · 2 points (question 2f)
# >
# > Write $r$ as `rate_factor`. Do not limit the fraction to 1: the handout does not, either.

# %%
import math


def rate_factor(tokens, warmup_tokens, final_tokens):
    """The share of the highest learning rate after `tokens` tokens."""
    ### BEGIN SOLUTION
    if tokens < warmup_tokens:
        return tokens / warmup_tokens
    fraction = (tokens - warmup_tokens) / (final_tokens - warmup_tokens)
    return max(0.1, 0.5 * (1 + math.cos(math.pi * fraction)))
    ### END SOLUTION


# %%
rate_factor = check("rate_factor", rate_factor)

# %% [markdown]
# What are $w$ and $f$? Both count tokens of the **pretraining** corpus, padding included, and the handout uses the same
# two numbers when it finetunes. Whoever counts the questions instead gets another schedule without any error.
#
# > **Exercise 3** · 3 minutes · easy
# >
# > Return $f$: 200 passes over the pretraining documents, each a row of `block_size` tokens.

# %%
def final_tokens(pretrain_documents, finetune_questions, block_size):
    """The tokens after which the cosine has come down, in both stages."""
    ### BEGIN SOLUTION
    return 200 * pretrain_documents * block_size
    ### END SOLUTION


# %%
final_tokens = check("final_tokens", final_tokens)

# %% [markdown]
# ### Predict
# The handout sets $f$ to 200 passes over the corpus and trains for 650. What is the rate at pass 400, as a share of the
# highest, in percent?

# %%
my_guess_for_pass_400 = None

# %%
from a5lib.classroom.notebook import confront
from a5lib.display.figures import rate_schedules

tokens_per_pass = 2937 * 127  # the course's corpus, rows padded to the block
passes = list(range(1, 651))
handout = [rate_factor(p * tokens_per_pass, 512 * 20, 200 * 2937 * 128) for p in passes]
confront(a5, "07 handout's rate at pass 400", my_guess_for_pass_400, 100 * handout[399], "%")
rate_schedules({"handout": (passes, handout)}, xlabel="pass over the corpus")

# %% [markdown]
# <details><summary>Explain: where does the second hill come from, and what does it do?</summary>
#
# A cosine comes back. After 200 passes the fraction exceeds 1, and the rate climbs again, at pass 403 to its full
# height. Around pass 160 to 240 it lies on the floor, and the loss with it: the *plateau* that the handout warns of.
# What was learned on the way down is shaken up on the second hill, and refined again on the next way down.
#
# </details>
#
# Ours is plainer: constant, then in a straight line to zero. High rates find, low rates settle.

# %%
from a5lib.optim import learning_rate_at

config = recipe.pretrain
share_done = [i / 200 for i in range(201)]
ours = [learning_rate_at(config, tokens=1, progress=p) for p in share_done]
percent = [100 * p for p in share_done]
rate_schedules({"fast recipe": (percent, ours)}, xlabel="share of the run (%)")

# %% [markdown]
# AdamW also pulls weights towards 0, a little in each step: *weight decay*. It is for the matrices. A layer norm's scale
# is meant to be 1, and an embedding has a row for each character, of which most get no gradient in a step.
#
# > **Exercise 4** · 10 minutes · medium
# >
# > Return the names, as in `model.named_parameters()`, of what the handout decays: the weights of all `nn.Linear`, and
# > nothing else.
#
# <details><summary>Hint</summary>
#
# `model.named_modules()` gives names and modules; a Linear called `head` has the parameter `head.weight`.
#
# </details>

# %%
from torch import nn


def decayed(model):
    """The names of the parameters that weight decay applies to."""
    ### BEGIN SOLUTION
    names = set()
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            names.add(name + ".weight")
    return names
    ### END SOLUTION


# %%
decayed = check("decayed", decayed)

# %%
sizes = {name: p.numel() for name, p in model.named_parameters()}
chosen = decayed(model)
share = sum(sizes[name] for name in chosen) / sum(sizes.values())
print(f"{len(chosen)} of {len(sizes)} tensors are decayed, {share:.0%} of the numbers")

# %% [markdown]
# ## 4 The optimizer
#
# A gradient matrix is usually dominated by a few directions. Followed as it is, the weights move in those and hardly at
# all in the rest, where the rare facts are. **Muon** replaces the step $G = U S V^\top$ by nearly $U V^\top$: all
# directions, equally far. A few matrix products do it, without a singular value decomposition:
#
# $$X \leftarrow aX + (bA + cA^2)X, \qquad A = XX^\top$$

# %%
import torch

from a5lib.optim import orthogonalize

x, y = batches[0]
model = a5.fresh_model("vanilla")
_, loss = model(x, y)
loss.backward()
gradient = model.blocks[0].mlp[0].weight.grad
step = orthogonalize(gradient[None])[0]
for name, matrix in (("gradient", gradient), ("Muon's step", step)):
    values = torch.linalg.svdvals(matrix)
    print(f"{name:12} largest over median singular value: {values[0] / values.median():.1f}")

# %% [markdown]
# The fast recipe uses Muon for the matrices inside the blocks, and AdamW for embeddings, norms, biases and head.

# %% [markdown]
# ## 5 The run
#
# ### Predict
# A model that knows nothing has a loss of $\ln(\text{vocabulary size})$, about 4.5. English-like text without facts
# costs about 1. What will the last loss be?

# %%
my_guess_for_loss = None

# %%
from a5lib.display.live import LiveCurve

pretrained = a5.pretrain("vanilla", corrupt=corrupt_span, callbacks=[LiveCurve("Pretraining")])

# %%
from a5lib.display.figures import loss_curve

last = sum(point["loss"] for point in pretrained.history[-5:]) / len(pretrained.history[-5:])
confront(a5, "07 last loss of pretraining", my_guess_for_loss, last, "nats a character")
title = f"Pretraining: {pretrained.seconds:.0f} seconds"
loss_curve({"loss": pretrained.history}, x="tokens", title=title)

# %% [markdown]
# <details><summary>Explain: two slopes</summary>
#
# The steep fall at the beginning is spelling and sentence patterns, the same for all people. Then the curve turns, and
# a long shallow slope begins. There the model learns who was born where, one person after the other. The loss says
# little about it, since only a few characters in a line depend on the person; the next section measures it.
#
# </details>

# %% [markdown]
# ## 6 A run that is killed
#
# A long job does not always reach its end: machines are taken away, laptops closed. Every two minutes a run writes
# its whole state: weights, the optimizer's memory, its place in the data. Batches and random draws are a
# function of seed, pass and step, so nothing else is needed. A run that was interrupted ends like one that was not,
# **bit for bit**. Here is the proof at small scale:

# %% tags=["nbval-check-output"]
from dataclasses import replace

from a5lib.trainer import Trainer


def new_trainer(steps):
    """A small run of the same kind that stops after `steps` steps."""
    batches = CorruptionBatches(dataset, tokens=1024, seed=seed)
    return Trainer(a5.fresh_model("vanilla"), batches, replace(config, max_steps=steps))


undisturbed, interrupted, resumed = new_trainer(6), new_trainer(3), new_trainer(6)
undisturbed.train()
interrupted.train()
resumed.load_state_dict(interrupted.state_dict())  # in earnest, through a file
resumed.train()
pairs = zip(undisturbed.model.parameters(), resumed.model.parameters())
print("every bit the same:", all(torch.equal(a, b) for a, b in pairs))

# %% [markdown]
# ## 7 What does it know?
#
# We never tell it a question. But we can begin a sentence, and have it go on.

# %%
from a5lib.batches import encode_prompts
from a5lib.decoding import greedy_decode

model = pretrained.model()


def complete(prompts, length=20):
    """What the model writes after each prompt."""
    written = greedy_decode(model, encode_prompts(a5.vocab, prompts), length)
    return [a5.vocab.decode(ids) for ids in written]


def name_in(question):
    """`Where was Ada Westby born?` -> `Ada Westby`."""
    return question.text.removeprefix("Where was ").removesuffix(" born?")


for question in a5.corpus.dev[:5]:
    prompt = f"{name_in(question)} was born in "
    print(f"{prompt}[{complete([prompt])[0]}]  true: {question.place}")

# %% [markdown]
# ### Predict
# For what share of the dev people, in percent, does it complete `… was born in ` with the right city? And how many
# does it answer when asked `Where was … born?`

# %%
my_guess_for_recall = None

# %%
from a5lib.vocab import MASK


def share_right(template):
    """How often, in percent, the completion of a sentence begins with the true place."""
    written = complete([template.format(name_in(question)) for question in a5.corpus.dev])
    right = [text.startswith(question.place) for text, question in zip(written, a5.corpus.dev)]
    return 100 * sum(right) / len(right)


statement = share_right("{} was born in ")
confront(a5, "07 recall by a statement", my_guess_for_recall, statement, "%")
print(f"asked as a question: {share_right('Where was {} born?' + MASK):.1f} %")

# %% [markdown]
# <details><summary>Explain: why is the question not answered at all?</summary>
#
# It has never seen one. The facts are in the weights, but they are reached by the words that stood around them in the
# corpus. A question mark after a name calls up nothing. What is missing is a way in, and that is small: **08** builds
# it from the questions of *other* people.
#
# </details>

# %%
from a5lib.display.figures import next_characters
from a5lib.evaluation import answer_steps


def show_completion(text):
    """How the model goes on after a text, character by character."""
    return next_characters(answer_steps(model, a5.vocab, text, after="", max_steps=9), text)


show_completion(f"{name_in(a5.corpus.dev[0])} was born in ")

# %% [markdown]
# Begin a sentence about anybody in the corpus, in words of your own.

# %%
from a5lib.display.widgets import explorer

starts = [f"{name_in(question)} was born in " for question in a5.corpus.dev[:20]]
explorer(show_completion, starts, "Text", free_text=True)

# %% [markdown]
# ## What you have seen
# - Like lengths together: less than a third of the positions to compute.
# - Rates that are high first and low last; a handout whose cosine comes back.
# - A run is a function of its seed, so it can be taken up anywhere.
# - Knowledge that is stored, but only reached by words like those that stored it.

# %% [markdown]
# ## Your points so far
# Of this notebook and the others. A pass stays, whatever you try afterwards; `python -m a5lib.classroom progress`
# shows the same from a shell.

# %%
from a5lib.classroom import points_so_far

points_so_far()
