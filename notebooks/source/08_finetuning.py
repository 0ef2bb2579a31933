# ---
# jupyter:
#   a5:
#     about: loading parameters, reading answers, the error of a score
#     gpu: true
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# {{badge}}

# %% [markdown]
# # 08 · Finetuning: a question is a key
#
# In 05 a model learned the form of an answer and had no facts. In 07 another stored the facts and could not be asked.
# Here the two meet: the pretrained model sees the same few questions as the one in 05, about *other* people than those
# in the exam. Then it answers for people about whom it was never asked.
#
# **Needs** the models of 05 and 07; where there are none they are trained first (about three minutes on two CPU cores).
# **Takes** 40 minutes of yours; the machine works about a minute.

# %% tags=["parameters"]
profile: str = ""  # smoke, quick or full; empty: full with a GPU, quick without
data: str = ""  # a folder with wiki.txt and the question files; empty: the profile's own
seed: int = 0
runs: str = ""  # where trained models are kept; empty: runs/

# %%
{{setup}}

# %% [markdown]
# ## 1 Start from the pretrained parameters
#
# The pretrained model is found in `runs/`, or made now.

# %%
from a5lib.classroom.notebook import mine
from a5lib.display.live import LiveCurve

corrupt_span = mine(a5, "corrupt_span")
pretrained = a5.pretrain("vanilla", corrupt=corrupt_span, callbacks=[LiveCurve("Pretraining")])
print(f"pretraining took {pretrained.seconds:.0f} s")

# %% [markdown]
# A file of parameters is a *state dict*: names and tensors, nothing else.

# %%
import torch

state = torch.load(pretrained.path, weights_only=True)
for name, tensor in list(state.items())[:5]:
    print(f"{name:28} {tuple(tensor.shape)}")

# %% [markdown]
# > **Exercise 1** · 10 minutes · easy · 2 points (question 2f)
# >
# > Put a file's parameters into a model and return it. The file may have been written on a GPU. Files come from others:
# > load tensors only, never code.
#
# <details><summary>Hint</summary>
#
# `torch.load` takes `map_location` and `weights_only`. It gives you the state dict; the model does not have it yet.
#
# </details>

# %%
def load_pretrained(model, path):
    """The model, with the parameters of the file at `path`."""
    ### BEGIN SOLUTION
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return model
    ### END SOLUTION


# %%
from a5lib.classroom import check

load_pretrained = check("load_pretrained", load_pretrained)

# %%
model = load_pretrained(a5.fresh_model("vanilla"), pretrained.path)
print(f"{sum(p.numel() for p in model.parameters()):,} parameters, as in the file")

# %% [markdown]
# A model that was trained on several GPUs at once is wrapped, and its file has `module.` before every name. `GPT` knows
# no such names and refuses them.
#
# > **Exercise 2** · 5 minutes · easy
# >
# > Return the state dict with plain names. Leave the one that you are given as it is, and a `module.` inside a name, too.

# %%
def clean_names(state):
    """A state dict without `module.` at the beginning of the names."""
    ### BEGIN SOLUTION
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}
    ### END SOLUTION


# %%
clean_names = check("clean_names", clean_names)

# %% tags=["nbval-check-output"]
wrapped = torch.nn.DataParallel(a5.fresh_model("vanilla")).state_dict()
print(next(iter(wrapped)), "->", next(iter(clean_names(wrapped))))

# %% [markdown]
# ## 2 Finetune
#
# The same questions as in 05, the same loss, a few passes at a lower rate.
#
# ### Predict
# What share of the dev people will it answer right, in percent? London stands at about 6.5.

# %%
my_guess_for_dev = None

# %%
finetuned = a5.finetune(pretrained, callbacks=[LiveCurve("Finetuning")])
scratch = a5.finetune(None)  # the model of 05, to compare

# %%
from a5lib.display.figures import loss_curve

curves = {"pretrained": finetuned.history, "from scratch": scratch.history}
loss_curve(curves, title="Loss in finetuning")

# %% [markdown]
# The loss falls in both cases; the one from scratch ends even lower. (The other counts lines of the corpus, too: section
# 5 tells why.) A loss on the *training* questions does not tell the two apart. What they know about other people does,
# and for that they have to answer.

# %% [markdown]
# ## 3 Read the answer
#
# > **Exercise 3** · 5 minutes · easy · 1 point (question 2f)
# >
# > `generated` is the question and all that the model wrote: `question⁇answer⁇…`. Return the answer. The second ⁇ may
# > be missing.

# %%
def answer_of(generated):
    """What stands between the first mask and the second, or the end."""
    ### BEGIN SOLUTION
    return generated.split("⁇")[1]
    ### END SOLUTION


# %%
answer_of = check("answer_of", answer_of)

# %% [markdown]
# All questions are decoded at once, each at its own length. Keys and values of what was read are kept, so each new
# character costs one position and not a whole row.

# %%
from a5lib.batches import encode_prompts
from a5lib.decoding import greedy_decode

questions = a5.corpus.dev
prompts = encode_prompts(a5.vocab, [question.text + "⁇" for question in questions])
ids = greedy_decode(finetuned.model(), prompts, max_new=32)
written = [a5.vocab.decode(row) for row in ids]
answers = [answer_of(question.text + "⁇" + text) for question, text in zip(questions, written)]
for question, answer in list(zip(questions, answers))[:4]:
    print(f"{question.text:36} {answer}")

# %% [markdown]
# A score is more than a comparison: the model has to be in the right mode when it answers.
#
# > **Exercise 4** · 10 minutes · medium
# >
# > `write(model, prompt)` returns the prompt and what the model writes behind it; a prompt is a question's `.text` and ⁇.
# > Return the percentage of questions that are answered with their `.place`, to the letter. Dropout must be off and no
# > gradients kept meanwhile, and the model must be left in the mode in which it came.
#
# <details><summary>Hint</summary>
#
# `model.training` tells the mode, `model.eval()` and `model.train(mode)` set it; `torch.no_grad()` is for the gradients.
#
# </details>

# %%
def dev_accuracy(model, write, questions):
    """The percentage of questions that the model answers right."""
    ### BEGIN SOLUTION
    before = model.training
    model.eval()
    with torch.no_grad():
        answers = [answer_of(write(model, question.text + "⁇")) for question in questions]
    model.train(before)
    right = sum(answer == question.place for answer, question in zip(answers, questions))
    return 100 * right / len(questions)
    ### END SOLUTION


# %%
dev_accuracy = check("dev_accuracy", dev_accuracy)

# %%
from a5lib.classroom.notebook import confront

on_dev = a5.evaluate(finetuned)
assert list(on_dev.predictions) == answers  # the library decodes and reads the same
confront(a5, "08 dev accuracy after pretraining", my_guess_for_dev, on_dev.accuracy, "%")
a5.record("vanilla.dev", on_dev.accuracy)

# %%
from a5lib.display.figures import accuracy_bars

scores = {"London": a5.london(), "from scratch": a5.evaluate(scratch), "pretrained": on_dev}
accuracy_bars(scores, baseline="London")

# %% [markdown]
# <details><summary>Explain: what did the questions teach, and what did they not?</summary>
#
# They taught nothing about the people in dev: those are asked for here for the first time. They taught a use: when a
# row reads `Where was` … `born?⁇`, do what you do after `… was born in `. One such rule serves all people whose facts
# are stored. That is why some hundreds of questions are enough for it, and why no number of them is enough without
# pretraining. **This is the answer to question 3a.**
#
# </details>

# %% [markdown]
# ## 4 Is the difference real?
#
# A score on $n$ questions is a sample. If the true rate is $p$, the score scatters around it with the standard error
# $\sqrt{p(1-p)/n}$.
#
# > **Exercise 5** · 5 minutes · easy
# >
# > Write it, in percent points, for `correct` out of `total`.

# %%
import math


def standard_error(correct, total):
    """The standard error of an accuracy, in percent points."""
    ### BEGIN SOLUTION
    p = correct / total
    return 100 * math.sqrt(p * (1 - p) / total)
    ### END SOLUTION


# %%
standard_error = check("standard_error", standard_error)

# %%
for name, score in scores.items():
    error = standard_error(score.correct, score.total)
    print(f"{name:14} {score.accuracy:5.1f} ± {error:.1f} %")

# %% [markdown]
# > **Why?** Somebody reports 62 % on 150 questions, and 66 % after a change. What would you ask?
#
# <details><summary>One answer</summary>
#
# Each score has a standard error of about 4 points, so the difference has about 5.5 and may well be chance. Ask for
# more questions, or for several seeds; or compare the two models question by question, where both make the same easy
# answers and the chance of the draw cancels.
#
# </details>

# %% [markdown]
# ## 5 Learning by heart
#
# A train question can be answered in two ways: by looking the person up in what pretraining stored, or by learning this
# one answer by heart. Both lower the loss. Only the first carries over to other people.
#
# So the recipe finetunes at a twentieth of pretraining's rates, and sets a batch of corrupted lines beside each batch of
# questions, a **replay** of pretraining.
#
# ### Predict
# Without the replay, and at the higher rates that 05 used from scratch: does the score on *dev* end higher, the same or
# lower?

# %%
my_guess_for_no_replay = None  # "higher", "the same" or "lower"

# %%
from dataclasses import replace

from a5lib.evaluation import evaluate_places
from a5lib.pipeline import finetuning


def accuracy_after_each_pass(recipe):
    """Finetune by a recipe; accuracy (%) on dev and on some of train after each pass."""
    model, corpus = pretrained.model(), a5.corpus
    trainer = finetuning(model, a5.vocab, corpus.train, recipe, corpus.text, a5.device)
    passes = {"train": [], "dev": []}

    def measure(trainer):
        if trainer.position == trainer.batches_in_epoch:
            for name, rows in (("train", corpus.train[:150]), ("dev", questions)):
                passes[name].append(evaluate_places(model, a5.vocab, rows).accuracy)

    trainer.callbacks = [measure]
    trainer.train()
    return passes


# %%
by_heart = replace(a5.recipe.scratch, max_epochs=6)
passes = accuracy_after_each_pass(replace(a5.recipe, finetune=by_heart, replay=0))

# %%
from a5lib.display.figures import accuracy_by_pass

difference = passes["dev"][-1] - on_dev.accuracy
outcome = "the same" if abs(difference) < 4 else "higher" if difference > 0 else "lower"
confront(a5, "08 without replay, at high rates", my_guess_for_no_replay, outcome)
accuracy_by_pass(passes, on_dev.accuracy)

# %% [markdown]
# <details><summary>Explain: where have the facts gone?</summary>
#
# *Train* climbs to 100 %, *dev* falls towards London. At high rates the shortest way down is to learn each answer by
# heart, and the weights that held other people's facts are overwritten for it. Nothing in the loss objects: nobody asks
# for those people. The replay does, all the time, and small steps find the rule that serves all.
#
# </details>

# %% [markdown]
# ## 6 Hand in, and look
#
# The assignment wants predictions on dev and on test, one a line. From a shell:
#
# ```
# python -m a5lib.run evaluate vanilla wiki.txt --reading_params_path vanilla.finetune.params \
#        --eval_corpus_path birth_test_inputs.tsv --outputs_path vanilla.pretrain.test.predictions
# ```
#
# And some answers as they are. Which of the wrong ones would you have believed?

# %%
from a5lib.display.figures import answer_table

answer_table(on_dev)

# %%
from a5lib.display.figures import next_characters
from a5lib.evaluation import answer_steps

model = finetuned.model()


def show_answer(question):
    """The answer to a question, character by character."""
    return next_characters(answer_steps(model, a5.vocab, question), question)


show_answer(a5.corpus.dev[0].text)

# %% [markdown]
# Compare the first letter here with the one in 05: there it was a spread of capitals, here it is often one. Ask about
# anybody; then about somebody who stands in no line.

# %%
from a5lib.display.widgets import explorer

suggestions = [question.text for question in a5.corpus.dev[:20]]
explorer(show_answer, suggestions, "Question", free_text=True)

# %% [markdown]
# ## What you have seen
# - Pretraining stores, finetuning opens: accuracy far above London on people never asked about.
# - The loss on the training questions says nothing about that.
# - Without care, finetuning learns answers by heart and overwrites what it should look up.
# - A person in no line gets an answer, too, as fluent as all others. **10** asks what that means.

# %% [markdown]
# ## Your points so far
# Of this notebook and the others. A pass stays, whatever you try afterwards; `python -m a5lib.classroom progress`
# shows the same from a shell.

# %%
from a5lib.classroom import points_so_far

points_so_far()
