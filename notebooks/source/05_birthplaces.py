# ---
# jupyter:
#   a5:
#     about: question-answer rows, the London baseline, a training step, exact match
#     gpu: true
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# {{badge}}

# %% [markdown]
# # 05 · Where was she born? Teaching questions without teaching facts
#
# We ask a small Transformer `Where was Ada Westby born?` and give it no text to look the answer up in.
# In this notebook it gets some hundreds of questions with answers and nothing else. It will learn the *form* of an
# answer perfectly and the facts not at all. You will also find the score that any model has to beat.
#
# **Needs** no earlier notebook. **Takes** 40 minutes of yours; the machine works about half a minute on two CPU cores.

# %% tags=["parameters"]
profile: str = ""  # smoke, quick or full; empty: full with a GPU, quick without
data: str = ""  # a folder with wiki.txt and the question files; empty: the profile's own
seed: int = 0
runs: str = ""  # where trained models are kept; empty: runs/

# %%
{{setup}}

# %% [markdown]
# ## 1 The data
#
# Two files. `wiki.txt` has one line about one person per row. `birth_places_train.tsv` has questions, each with a
# place. The people are invented, the cities are real. This notebook uses **only the questions**; the lines come in 06.

# %%
for question in a5.corpus.train[:5]:
    print(f"{question.text:36} {question.place}")

# %% [markdown]
# The people in `train` and in `dev` are different people. That is the point: a model that has only seen the train
# questions was never told where anybody in dev was born.

# %% tags=["nbval-check-output"]
train_people = {question.text for question in a5.corpus.train}
dev_people = {question.text for question in a5.corpus.dev}
print(f"asked about in both: {len(train_people & dev_people)}")

# %% [markdown]
# ### Predict
# Which share of the people was born in the most frequent city, in percent? Put a number in the place of `None`.

# %%
my_guess_for_london = None

# %%
from a5lib.classroom.notebook import confront
from a5lib.display.figures import place_counts

places = [question.place for question in a5.corpus.dev]
share = 100 * places.count("London") / len(places)
confront(a5, "05 share of the first city", my_guess_for_london, share, "%")
place_counts(places)

# %% [markdown]
# One city stands out. So there is a way to answer without knowing anybody: always say *London*. This is the
# **London baseline**, and a model that scores no higher has shown no knowledge of people.

# %% [markdown]
# ## 2 The London baseline
#
# > **Exercise 1** · 5 minutes · easy · 1 point (question 2d)
# >
# > Find the most frequent place among the *train* answers, and return the share of *dev* questions, in percent, that
# > it answers. Each element of `train` and `dev` has a `.text` and a `.place`.
#
# <details><summary>Hint</summary>
#
# `collections.Counter(places).most_common(1)` counts for you. Choosing the place on dev would be looking at the answers.
#
# </details>

# %%
from collections import Counter


def london_percent(train, dev):
    """The score on dev of always giving train's most frequent place, in percent."""
    ### BEGIN SOLUTION
    place = Counter(question.place for question in train).most_common(1)[0][0]
    return 100 * sum(question.place == place for question in dev) / len(dev)
    ### END SOLUTION


# %%
from a5lib.classroom import check

london_percent = check("london_percent", london_percent)

# %% tags=["nbval-check-output"]
print(f"London baseline: {london_percent(a5.corpus.train, a5.corpus.dev):.1f} %")
a5.record("london", london_percent(a5.corpus.train, a5.corpus.dev))

# %% [markdown]
# <details><summary>Why is it measured on dev and not on train?</summary>
#
# Every score here is a score on dev, so the baseline is, too. On the course's own data the two differ: 4.55 % on
# train, 5.0 % on dev. A reader who compares across sets compares nothing.
#
# </details>

# %% [markdown]
# ## 3 A question as a row of characters
#
# The model reads characters, and predicts each next one. A question and its answer become one row,
#
# $$\texttt{question}\;⁇\;\texttt{place}\;⁇\;□□□\dots$$
#
# where ⁇ marks where the answer begins and ends, and □ fills the row up to the block size. The input $x$ is the row
# without its last character; the target $y$ is the row without its first, so $y_t = x_{t+1}$. The question is *given*,
# so we do not want to pay for predicting it: its targets become □, where the loss does not look.
#
# > **Exercise 2** · 10 minutes · medium
# >
# > Write `encode_pair`. It returns the strings `x` and `y`, both `block_size - 1` long. The first character that counts
# > in `y` is the first ⁇.
#
# <details><summary>Hint</summary>
#
# For the row `Who?⁇Ann⁇□□` the target without padding out is `ho?⁇Ann⁇□□`. The three characters `ho?` must go.
#
# </details>

# %%
MASK, PAD = "⁇", "□"


def encode_pair(question, place, block_size):
    """The row `question⁇place⁇□…` as (x, y), with the question padded out of y."""
    ### BEGIN SOLUTION
    row = question + MASK + place + MASK
    row = row + PAD * (block_size - len(row))
    y = PAD * (len(question) - 1) + row[len(question) :]
    return row[:-1], y
    ### END SOLUTION


# %%
encode_pair = check("encode_pair", encode_pair)

# %%
from a5lib.display.figures import pair_figure

x, y = encode_pair("Where was Ada Westby born?", "Zürich", 42)
pair_figure(x, y)

# %% [markdown]
# Only the orange boxes count in the loss. The library's `NameDataset` makes the same rows, as numbers:

# %% tags=["nbval-check-output"]
from a5lib.dataset import NameDataset

dataset = NameDataset(a5.vocab, a5.corpus.train, block_size=128)
question = a5.corpus.train[0]
x, y = encode_pair(question.text, question.place, 128)
assert (a5.vocab.decode(dataset[0][0]), a5.vocab.decode(dataset[0][1])) == (x, y)
print("the same, character for character")

# %% [markdown]
# Which number is which character? A model's rows of weights are numbered, so the same character must have the same
# number tomorrow, on every machine.
#
# > **Exercise 3** · 5 minutes · easy
# >
# > Return a dict from characters to numbers: □ is 0, ⁇ is 1, then come the characters of the text, each once, sorted.
#
# <details><summary>Hint</summary>
#
# `set(text)` has each character once, in no order that you can rely on: Python shuffles it anew in each run.
#
# </details>

# %%
def build_vocabulary(text):
    """A number for each character: □ 0, ⁇ 1, then those of the text in sorted order."""
    ### BEGIN SOLUTION
    characters = sorted(set(text) - {PAD, MASK})
    return {c: i for i, c in enumerate([PAD, MASK] + characters)}
    ### END SOLUTION


# %%
build_vocabulary = check("build_vocabulary", build_vocabulary)

# %% tags=["nbval-check-output"]
ids = build_vocabulary(a5.corpus.text)
row = "Where was Ada Westby born?"
print("as the library's:", a5.vocab.encode(row) == [ids[c] for c in row])

# %% [markdown]
# ## 4 One step of training
#
# A step is five lines: loss, zero the old gradients, new gradients, clip, move. Clipping rescales the gradient
# $g$ where it is too long, $g \leftarrow g \cdot \min(1, 1/\lVert g \rVert)$, so that one odd batch cannot throw the
# weights away.
#
# > **Exercise 4** · 10 minutes · medium · 2 points (question 2d)
# >
# > Write `training_step`. `model(x, y)` returns `(logits, loss)`. Leave the model in training mode, clip the norm of all
# > gradients at 1, return the loss as a plain number.
#
# <details><summary>Hint</summary>
#
# `torch.nn.utils.clip_grad_norm_` belongs between `loss.backward()` and `optimizer.step()`. Gradients *add up* until
# somebody zeroes them.
#
# </details>

# %%
import torch


def training_step(model, optimizer, x, y):
    """One step of gradient descent with clipping at norm 1; returns the loss before it."""
    ### BEGIN SOLUTION
    model.train()
    _, loss = model(x, y)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()
    ### END SOLUTION


# %%
training_step = check("training_step", training_step)

# %% [markdown]
# Your step trains a real model: a fresh GPT, forty batches of 32 questions.

# %%
from a5lib.batches import QuestionBatches

model = a5.fresh_model("vanilla")
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
shuffled = QuestionBatches(dataset, batch_size=32)
batches = [batch for epoch in range(4) for batch in shuffled.epoch(epoch)][:40]
losses = [training_step(model, optimizer, x, y) for x, y in batches]
print(f"loss {losses[0]:.2f} -> {losses[-1]:.2f} in {len(losses)} steps")

# %% [markdown]
# The loss falls quickly. From what? It cannot know the places, so it must be learning something else: that after a
# question comes ⁇, then a capital letter, then letters that spell a city, then ⁇.

# %% [markdown]
# ## 5 Finetune from scratch
#
# Now the whole of it: all the train questions, many passes, by the library's `Trainer`. It takes the same step as
# yours, with a schedule for the learning rate.
#
# ### Predict
# What share of the *dev* questions will the trained model answer right, in percent?

# %%
my_guess_for_scratch = None

# %%
from a5lib.display.live import LiveCurve

scratch = a5.finetune(None, callbacks=[LiveCurve("Finetuning from scratch")])

# %%
from a5lib.display.figures import loss_curve

loss_curve({"loss": scratch.history}, title="From scratch: loss on the training questions")

# %% [markdown]
# To measure it we let it write. After `question⁇` it appends its most likely character, reads the longer row, appends
# the next, up to 32 times. What stands before its next ⁇ is its answer. It counts if it is the place, to the letter.
#
# > **Exercise 5** · 5 minutes · easy
# >
# > Write `count_correct`: how many predictions equal their question's `.place` exactly.

# %%
def count_correct(predictions, questions):
    """The number of exact matches."""
    ### BEGIN SOLUTION
    return sum(p == question.place for p, question in zip(predictions, questions))
    ### END SOLUTION


# %%
count_correct = check("count_correct", count_correct)

# %%
on_train = a5.evaluate(scratch, a5.corpus.train)
on_dev = a5.evaluate(scratch)
right = count_correct(on_dev.predictions, a5.corpus.dev)
print(f"train: {on_train}\ndev:   {on_dev} ({right} by your count)")
confront(a5, "05 dev accuracy without pretraining", my_guess_for_scratch, on_dev.accuracy, "%")
a5.record("nopretrain.dev", on_dev.accuracy)

# %%
from a5lib.display.figures import accuracy_bars

london = a5.london()
scores = {"London": london, "from scratch, dev": on_dev, "from scratch, train": on_train}
accuracy_bars(scores, title="Accuracy without pretraining", baseline="London")

# %% [markdown]
# <details><summary>Explain: how can it be good on train and no better than London on dev?</summary>
#
# The train answers were in its training data, and its weights have room for far more answers than that: it
# *remembers* them. About the people in dev it was never told anything. There is nothing to generalize: from `Ada
# Westby → Zürich` nothing follows about Boris Radovský. More passes, or a larger model, would not help. What is
# missing is not skill. It is the facts.
#
# </details>

# %%
from a5lib.display.figures import answer_table

answer_table(on_dev)

# %% [markdown]
# Look at the wrong answers. They are real cities, spelled correctly, in the right place after the question. Nothing in
# their look tells you that they were made up. Keep that in mind until notebook 10.

# %% [markdown]
# ## 6 Watch it answer
#
# For each character that it writes, these are the model's four likeliest candidates. The first letter is the decision;
# the rest is spelling.

# %%
from a5lib.display.figures import next_characters
from a5lib.evaluation import answer_steps

model = scratch.model()


def show_answer(question):
    """The answer to a question, character by character."""
    return next_characters(answer_steps(model, a5.vocab, question), question)


show_answer(a5.corpus.dev[0].text)

# %% [markdown]
# > **Why?** The first letter is uncertain, the later ones hardly are. What does that say about what the questions
# > have taught?
#
# <details><summary>One answer</summary>
#
# The places themselves: how the sixty cities are spelled, and roughly how frequent each is. After the first letter or
# two only one city fits. That part of the task needs no knowledge of people, and it has been learned.
#
# </details>
#
# Choose a question, or type one about anybody, yourself included.

# %%
from a5lib.display.widgets import explorer

suggestions = [question.text for question in a5.corpus.dev[:20]]
explorer(show_answer, suggestions, "Question", free_text=True)

# %% [markdown]
# ## What you have seen
# - A baseline that knows nobody: the most frequent answer.
# - Finetuning on questions teaches the *form* of answers, and memorizes the ones that it was shown.
# - Facts about other people must come from somewhere else. In **06** you build the objective that stores them.

# %% [markdown]
# ## Your points so far
# Of this notebook and the others. A pass stays, whatever you try afterwards; `python -m a5lib.classroom progress`
# shows the same from a shell.

# %%
from a5lib.classroom import points_so_far

points_so_far()
