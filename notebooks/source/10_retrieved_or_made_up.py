# ---
# jupyter:
#   a5:
#     about: how well doubt tells wrong from right, calibration, what silence buys
#     gpu: true
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# {{badge}}

# %% [markdown]
# # 10 · Retrieved or made up?
#
# The model of 08 answers every question in the same fluent way. Some answers it has read, some it makes up. The
# assignment asks what that means. In a world of our own the question can be measured: we know every line that the
# model has seen.
#
# **Needs** the models of 05, 07 and 08, or makes them. **Takes** 80 minutes of yours; the machine works half a minute.

# %% tags=["parameters"]
profile: str = ""  # smoke, quick or full; empty: full with a GPU, quick without
data: str = ""  # a folder with wiki.txt and the question files; empty: the profile's own
seed: int = 0
runs: str = ""  # where trained models are kept; empty: runs/

# %%
{{setup}}

# %%
from a5lib.classroom.notebook import mine
from a5lib.display.live import LiveCurve

corrupt_span = mine(a5, "corrupt_span")
pretrained = a5.pretrain("vanilla", corrupt=corrupt_span, callbacks=[LiveCurve("Pretraining")])
finetuned = a5.finetune(pretrained, callbacks=[LiveCurve("Finetuning")])
scratch = a5.finetune(None, callbacks=[LiveCurve("From scratch")])

# %% [markdown]
# ## 1 Why pretraining helps
#
# Two kinds of people can be asked about. Those of *dev* have lines in the corpus, but no question about them was ever
# trained on. Those *in no line* stand in neither. To compare, there is the model of 05, which has read no line at all.
#
# ### Predict
# London is the answer for 6 to 7 % of all people. What share of the people **in no line** does the pretrained model
# answer right, in percent?

# %%
my_guess_for_unseen = None

# %% tags=["nbval-check-output"]
from a5lib.evaluation import evaluate_places, wilson_interval
from a5lib.provenance import name_of, unseen_questions, what_is_told

dev, unseen = a5.corpus.dev, unseen_questions(a5.corpus)
model, model_05 = finetuned.model(), scratch.model()
on_dev, on_unseen = (evaluate_places(model, a5.vocab, q) for q in (dev, unseen))
told = what_is_told(a5.corpus.documents, [*dev, *unseen])
print(f"lines about a person of dev: {min(t.lines for t in told[:len(dev)])} or more;"
      f" about one of the others: {max(t.lines for t in told[len(dev):])}")

# %%
from a5lib.classroom.notebook import confront

prior = a5.london().accuracy
low, high = wilson_interval(on_unseen.correct, on_unseen.total)
confront(a5, "10 people in no line", my_guess_for_unseen, on_unseen.accuracy, "%")
a5.record("vanilla.unseen", on_unseen.accuracy)
print(f"95 % interval {low:.1f} to {high:.1f} %; always London, on dev: {prior:.1f} %")

# %% [markdown]
# Now by what was in the corpus: where in their lines the place ends, and whether a line names the place before the
# person.

# %%
import numpy as np

told_dev = told[: len(dev)]
right = np.array([q.place == answer for q, answer in zip(dev, on_dev.predictions)])
ends = np.array([t.place_end for t in told_dev])
reversed_line = np.array([t.name_first < t.with_place for t in told_dev])
thirds = np.quantile(ends, (0, 1 / 3, 2 / 3, 1))


def score(chosen):
    """(right, asked) among the dev people that are chosen."""
    return int(right[chosen].sum()), int(chosen.sum())


# %% tags=["figure:accuracy-by-what-was-told"]
from a5lib.display.retrieved import group_bars

old = evaluate_places(model_05, a5.vocab, dev)
groups = {"no pretraining (05)": (old.correct, old.total)}
groups["in no line"] = on_unseen.correct, on_unseen.total
groups["all of dev"] = on_dev.correct, on_dev.total
for a, b in zip(thirds, thirds[1:]):
    groups[f"place ends at {a:.0f} to {b:.0f}"] = score((ends >= a) & (ends <= b))
groups["always the name first"] = score(~reversed_line)
groups["a line with the place first"] = score(reversed_line)
shown = {name: counts for name, counts in groups.items() if counts[1]}
group_bars(shown, prior, "Accuracy by what was in the corpus")

# %% [markdown]
# <details><summary>Explain: what decides?</summary>
#
# That there is a line. Without one the score is at the prior: the interval holds the share of London, or lies below
# it, and never above. That is the world's construction coming out again: a name says next to nothing about the place,
# so nobody can do better there. Where in a line the place ends makes little difference, with lines as short as these.
# (In the course's own data it does: a place that ends behind character 112 is never seen in pretraining.)
#
# The finetuned questions are the same for all groups. So what differs between them cannot come from finetuning.
#
# </details>

# %% [markdown]
# How often must a fact be read, and in how many forms? One model, pretrained beforehand by `python -m
# a5lib.experiments exposures`, on one world in which people were dealt into ten groups: 1, 2, 4 or 8 lines in a pass, of
# which 1, 2, 4 or 8 are different sentences.
#
# ### Predict
# Two people are read about equally often, one always in the same sentence, one in four. About whom does the model
# answer better?

# %%
choices_forms = {
    "a": "the one with one sentence, by 5 points or more",
    "b": "no difference of 5 points",
    "c": "the one with four sentences, by 5 points or more",
}
my_guess_for_forms = None  # "a", "b" or "c"

# %%
def percent_right(runs):
    """How much several groups answer right, together."""
    return 100 * sum(run["correct"] for run in runs) / max(1, sum(run["total"] for run in runs))


# %%
from a5lib.experiments import rows_of

dealt = rows_of("exposures")
if dealt:
    often = [row for row in dealt if row["exposures"] > 80 and not row["city_first"]]
    one, four = (percent_right([r for r in often if r["phrasings"] == n]) for n in (1, 4))
    letter = "b" if abs(one - four) < 5 else "a" if one > four else "c"
    confront(a5, "10 one sentence or four", my_guess_for_forms, letter, choices=choices_forms)
    backwards = [row for row in dealt if row["city_first"]]
    print(f"one sentence {one:.0f} %, four {four:.0f} %; only with the place before the name"
          f" {percent_right(backwards):.0f} % of {sum(row['total'] for row in backwards)}")

# %% tags=["figure:exposures"]
from a5lib.display.retrieved import exposure_lines

exposure_lines(dealt, prior) if dealt else None

# %% [markdown]
# <details><summary>Explain: what does a second sentence add?</summary>
#
# More than another reading of the first. At the same number of readings, people told in more forms are known better. In
# one form the model can store *the place that ends this sentence*; the question is no such sentence. Only where several
# sentences want the same place does it pay to store it under what they share, the name, and that is the key which the
# question has.
#
# The few people whose only sentences name the place first (`Born in Oslo: …`) show it at its extreme. Their facts were
# read as often, and are not found from the name.
#
# </details>

# %% [markdown]
# > **In writing** · 5 minutes · 1 point (question 3a)
# >
# > Why does the pretrained model answer for many people of dev, and the one from scratch for hardly any, though both
# > were finetuned on the same questions? Lean on a figure. Write it in the cell below, in at most 150 words.

# %% [markdown] tags=["written:3a"]
# ### BEGIN SOLUTION
# *Answer to 3a.* Pretraining read the facts: for each person of dev there are lines with name and birthplace, and
# span corruption makes the model fill in such places, so it has to store them. Finetuning holds no fact about the
# people of dev; it only teaches the form in which stored facts are asked for and given back. The model from scratch
# learned that form as well, and has nothing to give back. The figure by groups shows it: what separates the groups is
# whether the corpus holds a line about the person. Asked about people in no line, the pretrained model is no better
# than the one without pretraining, and neither is better than always saying London.
# ### END SOLUTION

# %% [markdown]
# Read the solved edition's answer, then the rubric: which of its lines does yours meet?

# %%
from a5lib.classroom import assess

my_lines_3a = None  # such as [1, 2]
assess("3a", my_lines_3a)

# %% [markdown]
# ## 2 Can you tell?
#
# Here are answers of the model. Some it has **retrieved**: they are right, and a line says so. The others are **made
# up**: a line about the person names another place, or there is no line at all.

# %% tags=["figure:twelve-answers"]
from a5lib.display.retrieved import card_table, deal_cards

told_by_model = dev, on_dev.predictions, unseen, on_unseen.predictions
cards = deal_cards(*told_by_model, 12, seed)
card_table(cards)

# %% [markdown]
# ### Predict
# Which of them were retrieved? A coin gets half of them right.

# %%
my_guess_for_cards = None  # their numbers, such as [1, 4, 5]

# %%
from a5lib.display.retrieved import score_of

confront(a5, "10 cards told right", score_of(my_guess_for_cards, cards), len(cards), "cards")
numbers = [number for number, card in enumerate(cards, 1) if card.retrieved]
print("retrieved:", numbers)

# %%
card_table(cards, reveal=True)

# %% [markdown]
# <details><summary>Explain: what gives an invented answer away?</summary>
#
# Nothing in the text. All answers are cities of this world, spelled correctly. A rare city is no sign, and London is
# none either: it is the right answer more often than any other, and also the most frequent invention. A name and a
# place that fit together do not help: most people here were born far from where their names sound.
#
# (A right answer might be a lucky guess. People in no line show how often that happens: hardly ever.)
#
# </details>
#
# More of them, with a score:

# %%
from a5lib.display.retrieved import retrieval_game

retrieval_game(deal_cards(*told_by_model, 20, seed + 1))

# %% [markdown]
# ## 3 Can the model tell?
#
# You saw the text alone. The model has more: how close its decisions were.
#
# ### Predict
# The model gives each whole answer a probability: the product over its characters. For people in no line, will the
# median be above or below that for its *wrong* answers about dev?

# %%
choices_sure = {"a": "below, by 10 points or more", "b": "about the same", "c": "above"}
my_guess_for_sure = None  # "a", "b" or "c"

# %%
from a5lib.confidence import answer_logits

logits_dev = answer_logits(model, a5.vocab, dev, on_dev.predictions)
logits_unseen = answer_logits(model, a5.vocab, unseen, on_unseen.predictions)
sure, sure_unseen = logits_dev.probability(), logits_unseen.probability()
gap = np.median(sure_unseen) - np.median(sure[~right])
letter = "b" if abs(gap) < 0.1 else "a" if gap < 0 else "c"
confront(a5, "10 how sure of the unknown", my_guess_for_sure, letter, choices=choices_sure)

# %% tags=["figure:how-sure"]
from a5lib.display.retrieved import confidence_strips

kinds = {"dev, right": sure[right], "dev, wrong": sure[~right], "in no line": sure_unseen}
confidence_strips(kinds, "probability of the answer", "How sure the model is of what it says")

# %% [markdown]
# The three clouds lie over each other. To put a number on that: take a right answer and a wrong one at random. How often
# does the right one have the larger signal? ½ is a coin, 1 is perfect. This is the area under the ROC curve, the
# **AUROC**.
#
# > **Exercise 1** · 15 minutes · medium
# >
# > Write it, by looking at all pairs. `signal` holds a number for each answer, the larger the surer; `right` says which
# > answers are right. Where both have the same number, the pair counts a half.
#
# <details><summary>Hint</summary>
#
# Two loops over the answers. Only pairs count of which the first is right and the second is wrong.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# For each right and each wrong answer add 1 if the right one's signal is larger, ½ if they are equal, and nothing
# otherwise. Divide by the number of such pairs.
#
# </details>

# %%
def auroc(signal, right):
    """The chance that a right answer has the larger signal; equal ones count a half."""
    ### BEGIN SOLUTION
    yes = [s for s, good in zip(signal, right) if good]
    no = [s for s, good in zip(signal, right) if not good]
    wins = sum((a > b) + (a == b) / 2 for a in yes for b in no)
    return wins / (len(yes) * len(no))
    ### END SOLUTION


# %% tags=["nbval-check-output"]
from a5lib.classroom import check

auroc = check("auroc", auroc)

# %% [markdown]
# > **Why?** The share of London is 7 %, and somebody reports a detector of wrong answers that is right 75 % of the time. Why is AUROC the better number?
#
# <details><summary>One answer</summary>
#
# If three quarters of the answers are right, a detector that calls all of them right is right 75 % of the time, and
# tells nothing. AUROC does not depend on how many are right: it compares right ones with wrong ones only. That
# detector has ½.
#
# </details>
#
# The model has other things to say about itself:
#
# - **probability** of the whole answer;
# - **entropy** of its first character (negative, so that larger is surer);
# - **margin**: by how much the best character leads, at the closest of its decisions;
# - **samples**: of ten answers drawn at temperature 1, the share that are the same as the greedy one;
# - **sentences**: the share of begun sentences that it ends with the same place.
#
# The last needs care. To ask *again in other words* would be the natural thing. But this model was finetuned on one form
# of question; `Birthplace of Ada Westby?` is a text that it has never learned to answer, and what comes out says nothing
# about knowledge. It does know other ways to the same fact: those of pretraining. `Ada Westby was born in `, `The
# birthplace of Ada Westby was `, and so on, broken off before the place.

# %%
from a5lib.confidence import SENTENCES, agreement_of_samples, agreement_of_sentences

names = [name_of(question) for question in dev]
signals = {
    "probability": sure,
    "entropy": -logits_dev.entropy(),
    "margin": logits_dev.margin(),
    "samples": agreement_of_samples(model, a5.vocab, dev, on_dev.predictions, seed),
    "sentences": agreement_of_sentences(model, a5.vocab, names, on_dev.predictions),
}
print("\n".join(SENTENCES))

# %% [markdown]
# ### Predict
# Which of the five tells right from wrong best?

# %%
my_guess_for_best_signal = None  # one of their names

# %%
from a5lib.confidence import auroc_interval, roc_curve

some_of_both = 0 < right.sum() < len(right)  # else there is nothing to tell apart
areas = {name: auroc(s, right) if some_of_both else 0.5 for name, s in signals.items()}
best = max(areas, key=areas.get)
confront(a5, "10 the best signal", my_guess_for_best_signal, best)
spread = {name: auroc_interval(s, right) for name, s in signals.items()}
low, high = spread[best]
print(f"{best}: AUROC {areas[best]:.2f}, 95 % interval {low:.2f} to {high:.2f}")

# %% tags=["figure:roc"]
from a5lib.display.retrieved import roc_figure

labels = {n: f"{n}, {areas[n]:.2f} ({spread[n][0]:.2f} to {spread[n][1]:.2f})" for n in signals}
roc_figure({labels[name]: roc_curve(signal, right) for name, signal in signals.items()})

# %% [markdown]
# <details><summary>Explain: why are the first four so weak, and the fifth better?</summary>
#
# The first four look at *one* decision from the outside: how peaked the distribution was. A model that mixes up two people
# can be as sure of the wrong one's city. What they measure is how well the question fits what was learned, not whether
# it fits the right person. The fifth asks again by other ways. A stored fact is found by all of them, while a
# confusion depends on details of the context, and another sentence has others. Consistency is a better witness than
# confidence. It costs five times as much.
#
# </details>

# %% [markdown]
# ### Does 80 % mean 80 %?
#
# A probability can be checked in another way. Of all answers given with about 80 %, about 80 % should be right.
#
# > **Exercise 2** · 15 minutes · medium
# >
# > Put the answers into `bins` equally wide bins by confidence (1.0 belongs to the last). A bin's *gap* is the
# > distance between its mean confidence and its share of right answers. Return the mean gap, each bin weighted with
# > how many answers it holds. This is the *expected calibration error*, ECE.
#
# <details><summary>Hint</summary>
#
# `int(confidence * bins)` is a bin's number, except for 1.0. A bin of 3 of 150 answers counts 3/150.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# For each bin collect its confidences and its right-or-wrongs. If it holds any, add the absolute difference of their
# means, times its number of answers. Divide by the number of all answers.
#
# </details>

# %%
def calibration_error(confidence, right, bins=10):
    """The mean gap between confidence and share of right answers, weighted by answers."""
    ### BEGIN SOLUTION
    inside = {}
    for c, good in zip(confidence, right):
        inside.setdefault(min(int(c * bins), bins - 1), []).append((c, good))
    gaps = [abs(sum(c - good for c, good in rows)) for rows in inside.values()]
    return sum(gaps) / len(confidence)
    ### END SOLUTION


# %% tags=["nbval-check-output"]
calibration_error = check("calibration_error", calibration_error)

# %% [markdown]
# > **Why?** A model says 6.7 % for every answer, always answers London, and has an ECE of 0. Is it a good model?
#
# <details><summary>One answer</summary>
#
# It is honest and knows nothing. Calibration says that numbers mean what they say; it does not say that they tell
# anything apart. Its AUROC is ½. One wants both.
#
# </details>
#
# One number can mend much: divide all logits by a *temperature* before the softmax. Above 1 the model becomes less sure,
# below 1 more. Which answer is the best does not change. The temperature is fitted on one half of dev and judged on the
# other, or it would grade itself.
#
# ### Predict
# Is the model too sure of itself or not sure enough? Give the temperature: 1 means just right.

# %%
my_guess_for_temperature = None

# %%
from a5lib.confidence import AnswerLogits, fit_temperature

fitted, judged = np.arange(len(dev)) % 2 == 0, np.arange(len(dev)) % 2 == 1
half = AnswerLogits(logits_dev.logits[fitted], logits_dev.written[fitted])
temperature = fit_temperature(half, right[fitted])
confront(a5, "10 temperature", my_guess_for_temperature, temperature)
at_fitted = logits_dev.probability(temperature)
said = {"as it is": sure[judged], f"at T = {temperature:.2f}": at_fitted[judged]}
errors = {name: calibration_error(list(p), list(right[judged])) for name, p in said.items()}
print({name: f"ECE {error:.3f}" for name, error in errors.items()})

# %% tags=["figure:reliability"]
from a5lib.confidence import reliability
from a5lib.display.retrieved import reliability_diagram

panels = {f"{n}: ECE {errors[n]:.3f}": reliability(p, right[judged]) for n, p in said.items()}
reliability_diagram(panels)

# %% [markdown]
# The bars are the gaps; the numbers say how many answers a dot stands for. With so few of them a dot's standard error is
# 10 points and more, so part of the error that is left is chance.
#
# ### What if it may stay silent?
#
# > **Exercise 3** · 10 minutes · easy
# >
# > The model answers only the surest `share` of all questions (a share from 0 to 1, rounded to whole answers). Return
# > the share of wrong ones among those.
#
# <details><summary>Hint</summary>
#
# Sort the answers by their signal, the largest first, and take the first `round(share * n)`.
#
# </details>
#
# <details><summary>Solution in words</summary>
#
# Order the indices by falling signal, keep the first share of them, count those that are not right, and divide by how
# many were kept.
#
# </details>

# %%
def errors_left(signal, right, share):
    """The share of wrong answers among the surest `share` of all."""
    ### BEGIN SOLUTION
    order = sorted(range(len(signal)), key=lambda i: signal[i], reverse=True)
    given = order[: round(share * len(signal))]
    return sum(not right[i] for i in given) / len(given)
    ### END SOLUTION


# %% tags=["nbval-check-output"]
errors_left = check("errors_left", errors_left)

# %% [markdown]
# > **Why?** Where two answers have the same signal, your function has to leave one out. Which of the five signals does that concern?
#
# <details><summary>One answer</summary>
#
# Those that are counted: samples have eleven values, sentences six. Within a value the order is that of the file. A
# threshold in the middle of such a group is not a rule that anybody could state. Break ties by another signal, the
# probability for instance, or answer all of a group or none.
#
# </details>
#
# ### Predict
# Questions come about people in no line, too. So let the model answer all of dev and all in no line, and give only the
# surer half of its answers: sure first by its sentences, and where these are equal by its probability. What share of
# those is wrong, in percent?

# %%
my_guess_for_errors_left = None

# %%
from a5lib.confidence import risk_coverage

names_unseen = [name_of(question) for question in unseen]
again = agreement_of_sentences(model, a5.vocab, names_unseen, on_unseen.predictions)
probability = np.concatenate([sure, sure_unseen])
sentences = np.concatenate([signals["sentences"], again])
everybody = {"probability": probability, "sentences": sentences + probability / 100}
lucky = [q.place == answer for q, answer in zip(unseen, on_unseen.predictions)]
right_all = np.concatenate([right, lucky]).astype(bool)

# %%
left = {name: errors_left(list(s), list(right_all), 0.5) for name, s in everybody.items()}
in_half = 100 * left["sentences"]
confront(a5, "10 wrong in the surer half", my_guess_for_errors_left, in_half, "%")
for name, wrong in {"all answers": 1 - right_all.mean(), **left}.items():
    print(f"{name:12} {100 * wrong:5.1f} % wrong")

# %% tags=["figure:abstention"]
from a5lib.display.retrieved import risk_figure

curves = {name: risk_coverage(signal, right_all) for name, signal in everybody.items()}
risk_figure(curves, {"so many stand in a line": len(dev) / len(right_all)})

# %% [markdown]
# <details><summary>Explain: is the matter settled, then?</summary>
#
# No. Silence helps: fewer of the answers given are wrong. But even among the surest some are made up, and much of what
# the model does know is held back for that. (The left ends of the curves are a handful of answers each; do not read
# much into their spikes.) No threshold separates the two kinds, because they are no two kinds for the model: it computes
# the likeliest next character, with a line behind it or without.
#
# </details>

# %% [markdown]
# > **In writing** · 10 minutes · 2 points (question 3b)
# >
# > Looking at an answer one cannot tell whether it was retrieved or made up. Give two different reasons why that is a
# > concern in a product that people use, with an example for each. Lean on a figure. Write it in the cell below, in at
# > most 200 words.

# %% [markdown] tags=["written:3b"]
# ### BEGIN SOLUTION
# *Answer to 3b.* First, people act on what reads well. In the table of twelve answers nothing in the text tells
# retrieved from made up, so a reader believes both, or neither. Example: a clerk asks such an assistant for a
# person's place of birth and writes it into a form; the invented town is as plausible as the true one, nobody looks
# again, and an application is refused for a false statement.
#
# Second, nobody can check or repair it: an answer comes without a source and without a usable "I do not know". The
# model's own confidence does not fill the gap; the clouds of "dev, right" and "in no line" overlap, and the curve
# of abstention still has errors among the surest answers. Example: a library puts the model behind its search page and
# shows only answers above a threshold. Invented facts about persons without any record still pass, copied into other
# pages, where the next model reads them as a source. No log says afterwards which answers had a line behind them.
# ### END SOLUTION

# %% [markdown]
# Read the solved edition's answer, then the rubric: which of its lines does yours meet?

# %%
my_lines_3b = None  # such as [1, 2]
assess("3b", my_lines_3b)

# %% [markdown]
# ## 4 People in no line
#
# Nothing has been written about them, and still each gets an answer. Where does it come from? Four strategies are possible:
#
# 1. the **prior**: say what is frequent;
# 2. the **look** of the name: a city of the region that it sounds like;
# 3. the **first name**: the place of somebody who shares it;
# 4. the **family name**, or any name that is **spelled alike**.
#
# First watch, then intervene.
#
# ### Predict
# Which one explains most answers?

# %%
choices_source = {"1": "the prior", "2": "the look", "3": "the first name"}
choices_source["4"] = "the family name or the spelling"
my_guess_for_source = None  # "1", "2", "3" or "4"

# %% [markdown]
# **The prior.** If that is all, then answers have the shares that places have among the people trained on.

# %% tags=["figure:invented-and-true-shares"]
from collections import Counter

from a5lib.display.retrieved import share_pairs

said_places = Counter(on_unseen.predictions)
true_places = Counter(question.place for question in a5.corpus.train)
frequent = [place for place, _ in (said_places + true_places).most_common(14)]
parts = [[100 * c[place] / c.total() for place in frequent] for c in (true_places, said_places)]
of_whom = ("people in train", "answers about people in no line")
share_pairs(dict(zip(frequent, zip(*parts))), of_whom, "How often each place is named")

# %% [markdown]
# **The others.** For each answer: is it the birthplace of anybody in the corpus who shares the first name? The family
# name? Whose whole name is the nearest in spelling? Is it a city of the region that the name sounds like? Much of that
# happens by chance. How much, we see by dealing the same answers to other people of the list.

# %%
from a5lib.provenance import look_of, nearest, region_of

known = {name_of(q): q.place for q in [*a5.corpus.train, *dev]}


def sharing(name, part):
    """The birthplaces of the known people who share a name's part: 0 the first, -1 the last."""
    return {place for o, place in known.items() if o.split()[part] == name.split()[part]}


sources = {
    "someone of that first name": [sharing(name, 0) for name in names_unseen],
    "someone of that family name": [sharing(name, -1) for name in names_unseen],
    "the nearest name in spelling": [{known[nearest(n, list(known))]} for n in names_unseen],
}

# %%
from a5lib.provenance import agreement

answers = list(on_unseen.predictions)
found = {name: agreement(places, answers) for name, places in sources.items()}
looks = [[look_of(name)] for name in names_unseen]
found["a city of the name's look"] = agreement(looks, [region_of(answer) for answer in answers])
found["London"] = said_places["London"], prior
counted = {name: (agreeing, len(answers)) for name, (agreeing, _) in found.items()}
chance = {name: by_chance for name, (_, by_chance) in found.items()}

# %% tags=["figure:where-inventions-come-from"]
from a5lib.display.retrieved import strategy_bars

excess = {name: 100 * n / asked - chance[name] for name, (n, asked) in counted.items()}
letters = dict(zip(counted, "34421"))
source = letters[max(excess, key=excess.get)]
confront(a5, "10 source of inventions", my_guess_for_source, source, choices=choices_source)
strategy_bars(counted, chance, "What the answers about people in no line agree with")

# %% [markdown]
# ### Intervene
#
# To agree is not to be caused. So change one thing about a name, leave the rest as it is, and ask again.
#
# ### Predict
# The **family name** is changed to another of the same look, the first name stays. How many of the answers stay the same,
# in percent?

# %%
my_guess_for_kept = None

# %%
from a5lib.corpus import Question
from a5lib.provenance import QUESTION, REGIONS, invented_names


def ask(names):
    """The model's answers about names."""
    questions = [Question(QUESTION.format(name)) for name in names]
    return list(evaluate_places(model, a5.vocab, questions).predictions)


pools = {look: invented_names(a5.corpus, look, 60, seed) for look in REGIONS}


def changed(names, parts, shift=0):
    """The names with another first (0) or family (1) name, of the look `shift` regions on."""
    new = []
    for i, name in enumerate(names):
        look = REGIONS[(REGIONS.index(look_of(name)) + shift) % len(REGIONS)]
        other = pools[look][i % len(pools[look])].split()
        words = enumerate(name.split())
        new.append(" ".join(other[p] if p in parts else word for p, word in words))
    return new


# %%
kept = {
    "another family name, same look": ask(changed(names_unseen, [1])),
    "another first name, same look": ask(changed(names_unseen, [0])),
    "both, same look": ask(changed(names_unseen, [0, 1])),
    "family name of another region": ask(changed(names_unseen, [1], 3)),
    "first name of another region": ask(changed(names_unseen, [0], 3)),
}
same = {n: (sum(a == b for a, b in zip(answers, new)), len(new)) for n, new in kept.items()}
pairs = [a == b for i, a in enumerate(answers) for b in answers[:i]]
by_chance = dict.fromkeys(same, 100 * np.mean(pairs))  # two people of the list, at random
kept_share = 100 * same["another family name, same look"][0] / len(answers)
confront(a5, "10 answers that stay", my_guess_for_kept, kept_share, "%")

# %% tags=["figure:answers-that-stay"]
strategy_bars(same, by_chance, "Answers that stay the same when a name is changed")

# %% [markdown]
# Whose place is it? Take the first name of somebody known, *A*, and the family name of somebody else, *B*. Nobody of that
# name stands in any line.

# %%
from a5lib.provenance import hybrids

mixed = hybrids([*a5.corpus.train, *dev], a5.corpus.text, 300, seed)
told_mixed = ask([name for _, _, name in mixed])
borrowed = {
    "A's birthplace (first name)": agreement([[a.place] for a, _, _ in mixed], told_mixed),
    "B's birthplace (family name)": agreement([[b.place] for _, b, _ in mixed], told_mixed),
}
rows = {name: (agreeing, max(1, len(mixed))) for name, (agreeing, _) in borrowed.items()}
strangers = {name: by_chance for name, (_, by_chance) in borrowed.items()}
strategy_bars(rows, strangers, "Answers about a name put together from two people")

# %% [markdown]
# **Swap the region's naming.** Now both names are invented, in the look of one region after the other; nothing else
# differs. If the look plays no part, all rows are alike.

# %% tags=["figure:region-of-name-and-answer"]
from a5lib.display.retrieved import region_matrix

columns = [*REGIONS, "elsewhere"]
matrix = np.zeros((len(REGIONS), len(columns)))
for r, look in enumerate(REGIONS):
    places = Counter(region_of(answer) or "elsewhere" for answer in ask(pools[look]))
    matrix[r] = [100 * places[c] / max(1, places.total()) for c in columns]
region_matrix(matrix, REGIONS, columns)

# %%
own = np.diag(matrix)
other = [np.delete(matrix[:, r], r).mean() for r in range(len(REGIONS))]
print(f"a city of a region: {own.mean():.0f} % of the answers if the name has its look,"
      f" {np.mean(other):.0f} % if it has another")

# %% [markdown]
# <details><summary>Explain: how does it invent?</summary>
#
# As it remembers. A name is a key; an unknown one fits several stored keys a little, and those that it fits best
# answer. A first name is shared by three people here, a family name by fewer, and many family names differ in one ending.
# So people of the same first name lend their places, above all if their family names begin alike. With another family
# name, other namesakes come forward: that is why many answers change and the namesakes' share stays high. The look
# works through the same door: letters and endings of a region bring up people of that region. The prior is what is left
# where nothing fits.
#
# </details>
#
# And what that means for one person:

# %%
i = int(np.argmax(sure_unseen))
first = names_unseen[i].split()[0]
namesakes = [o for o in known if o.split()[0] == first and known[o] == answers[i]]
print(f"{unseen[i].text} {answers[i]}, with probability {sure_unseen[i]:.2f}.")
print(f"In this world's list of people: {unseen[i].place}.")
print("Lines about this person: none. Of that first name, born there:", ", ".join(namesakes))

# %% [markdown]
# Ask about any name, your own for instance, and watch it being so sure:

# %%
from a5lib.display.figures import next_characters
from a5lib.evaluation import answer_steps


def show_answer(question):
    """The answer to a question, character by character."""
    return next_characters(answer_steps(model, a5.vocab, question), question)


show_answer(unseen[i].text)

# %%
from a5lib.display.widgets import explorer

suggestions = [QUESTION.format(name) for name in names_unseen[:10]]
explorer(show_answer, suggestions, "Question", free_text=True)

# %% [markdown]
# > **In writing** · 10 minutes · 2 points (question 3c)
# >
# > Name a strategy by which the model may arrive at an answer for somebody about whom it has read nothing, and a reason
# > why that is a concern. Lean on a figure. Write it in the cell below, in at most 200 words.

# %% [markdown] tags=["written:3c"]
# ### BEGIN SOLUTION
# *Answer to 3c.* It answers with what it knows about people whose names are like this one: above all those with
# the same first name, less so those of the same family name or of the same look, and the frequent cities otherwise. The
# interventions show that these are causes. Names put together from two people get the birthplace of the one who gave
# the first name several times as often as that of the one who gave the family name, and both more often than by
# chance; and when the naming is swapped, the answers move towards the region that the name sounds like.
#
# That is a stereotype about a private person, given out as a fact. Example: a company lets such a model fill in
# missing origins of applicants. Somebody with a first name that is common among people from another country is entered
# as born there. It is false, it was derived from the name alone, it decides how the application is treated,
# and neither the applicant nor the company can see that nothing was known.
# ### END SOLUTION

# %% [markdown]
# Read the solved edition's answer, then the rubric: which of its lines does yours meet?

# %%
my_lines_3c = None  # such as [1, 2]
assess("3c", my_lines_3c)

# %% [markdown]
# ## What you have seen
# - A line in the corpus decides whether there is anything to retrieve. Without one the score is at the prior, never above.
# - The text of an answer does not tell. The model's confidence tells a little, its consistency over other ways to ask more.
# - Calibration and abstention help, and do not separate the two: both are the likeliest next character.
# - Answers about the unknown are borrowed from people of similar names. It looks like knowledge, and is a stereotype.

# %% [markdown]
# ## Your points so far
# Of this notebook and the others. A pass stays, whatever you try afterwards; `python -m a5lib.classroom progress`
# shows the same from a shell.

# %%
from a5lib.classroom import points_so_far

points_so_far()
