"""Checks for notebook 05: question-answer items, scoring, the London baseline, one training step."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from a5lib.classroom.checks import Wrong, exercise
from a5lib.classroom.exercises.comparing import as_number
from a5lib.corpus import Question
from a5lib.evaluation import london_baseline, most_frequent_place
from a5lib.vocab import MASK, PAD


def build_vocabulary(text: str) -> dict[str, int]:
    """Each character's id: the pad 0, the mask 1, then the characters of the text in sorted order."""
    return {c: i for i, c in enumerate([PAD, MASK, *sorted(set(text) - {PAD, MASK})])}


@exercise("build_vocabulary", build_vocabulary)
def check_build_vocabulary(attempt: Callable) -> None:
    """A text of many characters: the order of a set is not theirs."""
    text = "Zürich, Łódź & Oslo:\n" + "".join(map(chr, range(122, 47, -1))) + PAD
    expected, got = build_vocabulary(text), attempt(text)
    if not isinstance(got, dict):
        raise Wrong("a dict from characters to ids is expected", "{'□': 0, '⁇': 1, …}", type(got).__name__)
    if set(got) != set(expected):
        odd = sorted(set(got) ^ set(expected))
        hint = f"missing, or too many: {odd[:5]}"
        raise Wrong("not one entry for each character, □ and ⁇ included", len(expected), len(got), hint)
    if (got[PAD], got[MASK]) != (0, 1):
        raise Wrong("□ has the id 0 and ⁇ the id 1", (0, 1), (got[PAD], got[MASK]))
    if sorted(got.values()) != list(range(len(expected))):
        raise Wrong("the ids are 0, 1, 2, … without a gap, each once", range(len(expected)), got.values())
    if got != expected:
        others = [c for c in got if c not in (PAD, MASK)]
        as_met = others == [c for c in dict.fromkeys(text) if c not in (PAD, MASK)]
        what = "in the order in which they are met" if as_met else "in no fixed order, as a set has none"
        raise Wrong(f"the characters are {what}: sort them, so that a model finds its own again")


def encode_pair(question: str, place: str, block_size: int) -> tuple[str, str]:
    """`question⁇place⁇□…` as input, and as target the same shifted by one with the question padded out."""
    row = f"{question}{MASK}{place}{MASK}".ljust(block_size, PAD)
    return row[:-1], PAD * (len(question) - 1) + row[len(question) :]


@exercise("encode_pair", encode_pair)
def check_encode_pair(attempt: Callable) -> None:
    """One item written out by hand."""
    expected = ("Who?⁇Ann⁇□□□", "□□□⁇Ann⁇□□□□")
    got = attempt("Who?", "Ann", 13)
    if not (isinstance(got, tuple | list) and len(got) == 2 and all(isinstance(s, str) for s in got)):
        raise Wrong("two strings are expected, x and y", expected, got)
    got = tuple(got)
    if [len(s) for s in got] != [12, 12]:
        hint = "the row is block_size long; x drops its last character, y its first"
        raise Wrong("x and y have the wrong length", (12, 12), tuple(len(s) for s in got), hint)
    if got[0] != expected[0]:
        raise Wrong("x is not the row `question⁇place⁇□…` without its last character", expected[0], got[0])
    if got[1] == "ho?⁇Ann⁇□□□□":
        raise Wrong(
            "y asks the model to predict the question, too", expected[1], got[1], "pad the question out of y"
        )
    if got[1] == got[0] or got[1][:4] == PAD * 4:
        raise Wrong("y is not shifted: y[t] is what follows x[t]", expected[1], got[1])
    if got != expected:
        raise Wrong("y is not the row shifted by one, with the question padded out", expected[1], got[1])
    question, place = "Where was Ada born?", "New York"
    expected, again = encode_pair(question, place, 32), attempt(question, place, 32)
    if tuple(again) != expected:
        wrong = "right for a question of 4 characters and a place of 3, but not for 19 and 8"
        hint = "what is padded out goes by the length of the question"
        raise Wrong(wrong, expected, again, hint)


def count_correct(predictions: Sequence[str], questions: Sequence[Question]) -> int:
    """How many predictions equal their question's place, to the letter."""
    return sum(p == q.place for p, q in zip(predictions, questions, strict=True))


@exercise("count_correct", count_correct)
def check_count_correct(attempt: Callable) -> None:
    """Exact match: no newline, no prefix, no other case counts."""
    questions = [Question("Where was A born?", "Paris"), Question("Where was B born?", "Rome")] * 2
    cases = {
        ("Paris", "Rome", "Oslo", "Rome"): (3, "exact matches are not counted"),
        ("paris", "ROME", "", ""): (0, "small and capital letters are different characters"),
        ("Par", "Rome, Italy", "", ""): (0, "a part of a place is not the place"),
        ("Rome", "Paris", "", ""): (0, "each prediction is compared with its own question's place"),
    }
    for predictions, (expected, mistake) in cases.items():
        got = as_number(attempt(list(predictions), list(questions)))
        against = f"as in {list(predictions)} against Paris, Rome, Paris, Rome"
        if got == expected:
            continue
        if got == 0:
            mistake = "nothing matches: is a newline, or the whole question, compared with a place?"
        if got == expected / len(questions) or got == 100 * expected / len(questions):
            mistake = "this is a share: the number of matches is asked for"
        raise Wrong(f"{mistake}, {against}", expected, got)


def london_percent(train: Sequence[Question], dev: Sequence[Question]) -> float:
    """The score on dev, in percent, of always answering the most frequent place of train."""
    return london_baseline(dev, most_frequent_place(train)).accuracy


@exercise("london_percent", london_percent)
def check_london_percent(attempt: Callable) -> None:
    """A world in which the scores on train and on dev differ."""
    places = {"train": ["Lima"] * 6 + ["Oslo"] * 4, "dev": ["Oslo"] * 6 + ["Lima"] * 2}
    rows = {
        name: [Question(f"Where was {p} {i} born?", p) for i, p in enumerate(places[name])] for name in places
    }
    got = as_number(attempt(list(rows["train"]), list(rows["dev"])))
    known = {
        0.25: "a fraction: the score is wanted in percent",
        60.0: "60 % is the score on train: choose the place on train, but score it on dev",
        75.0: "75 % comes from choosing the place on dev: the answers there must not be looked at",
        0.6: "60 % is the score on train, and it is wanted in percent: choose on train, score on dev",
        2.0: "the number of matches: the share of them is wanted, in percent",
        20.0: "divided by the number of train questions: dev is what is scored",
        0.0: "nothing matched: compare with the place alone, without the newline at the end of a row; and "
        "find it on train, where here it is Lima",
    }
    if not abs(got - 25.0) < 1e-4:
        otherwise = "not the share of dev questions whose place is train's most frequent"
        named = (mistake for value, mistake in known.items() if abs(got - value) < 1e-4)
        raise Wrong(next(named, otherwise), 25.0, got, tolerance=1e-4)


def training_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor
) -> float:
    """One step of gradient descent, the gradient's norm clipped at 1; returns the loss before the step."""
    model.train()
    _, loss = model(x, y)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


class _Line(nn.Module):
    """A model to follow by hand: two weights, a loss steep enough to be clipped, and steeper in the second.

    So the gradient turns from step to step, and one that was not zeroed points elsewhere.
    """

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([3.0, -1.0]))
        self.modes: list[bool] = []

    def forward(self, idx, targets):
        self.modes.append(self.training)
        distance = (torch.tensor([1.0, 3.0]) * (self.weight - idx) ** 2).sum()
        return idx, distance + 2 * (self.weight * targets).sum()


def _weights_after(step: Callable, steps: int) -> tuple[list[float], _Line, list]:
    model = _Line().eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    x, y = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    losses = [step(model, optimizer, x, y) for _ in range(steps)]
    return model.weight.tolist(), model, losses


def _without(*, zero: bool = True, clip: bool = True, step: bool = True) -> Callable:
    """A training step with a known mistake, to recognize it by its result."""

    def wrong(model, optimizer, x, y):
        if zero:
            optimizer.zero_grad()
        loss = model(x, y)[1]
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        if step:
            optimizer.step()
        return loss.item()

    return wrong


@exercise("training_step", training_step)
def check_training_step(attempt: Callable) -> None:
    """Two steps on a model of two weights; leftovers of the first show in the second."""
    expected, _, losses = _weights_after(training_step, 2)
    got, model, returned = _weights_after(attempt, 2)
    mistakes = {
        "the gradients are not zeroed: those of the first step are added to the second's": _without(
            zero=False
        ),
        "the gradient is not clipped at norm 1": _without(clip=False),
        "the gradient is neither zeroed nor clipped": _without(zero=False, clip=False),
        "the weights do not change: optimizer.step() is missing, or comes after the zeroing": _without(
            step=False
        ),
    }
    if not torch.allclose(torch.tensor(got), torch.tensor(expected), atol=1e-5):
        for mistake, wrong in mistakes.items():
            if torch.allclose(torch.tensor(got), torch.tensor(_weights_after(wrong, 2)[0]), atol=1e-5):
                raise Wrong(mistake, torch.tensor(expected), torch.tensor(got))
        raise Wrong("the weights after two steps are others", torch.tensor(expected), torch.tensor(got))
    if not all(model.modes):
        raise Wrong("the model was in evaluation mode: dropout would be off", hint="call model.train() first")
    if not all(isinstance(loss, float) for loss in returned):
        raise Wrong(
            "the loss should be a number, so that its graph can be freed", losses, returned, "use loss.item()"
        )
    if not torch.allclose(torch.tensor(returned), torch.tensor(losses), atol=1e-5):
        raise Wrong("the losses returned are not those before each step", losses, returned)
