"""Checks for notebook 08: starting from pretrained parameters, reading and counting answers, the error.

What a parameter file may be: written on a GPU, by a wrapped model, or by somebody who wants code to run.
"""

import contextlib
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from a5lib.classroom.checks import Wrong, exercise
from a5lib.classroom.exercises.comparing import as_number
from a5lib.corpus import Question
from a5lib.model import GPTConfig, build_model
from a5lib.vocab import MASK


def load_pretrained(model: nn.Module, path: Path) -> nn.Module:
    """The model with the parameters of a file, wherever they were trained."""
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return model


def _small(seed: int) -> nn.Module:
    return build_model("vanilla", GPTConfig(vocab_size=6, block_size=8, n_layer=1, n_head=1, n_embd=4), seed)


@exercise("load_pretrained", load_pretrained)
def check_load_pretrained(attempt: Callable) -> None:
    """Another model's parameters are in the model that comes back, from a GPU's file too; no code runs."""
    saved = _small(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.params"
        torch.save(saved.state_dict(), path)
        _check_loaded(attempt, saved, path)
        _save_as_on_a_gpu(saved, path)
        if not torch.cuda.is_available():
            _check_loaded_without_a_gpu(attempt, saved, path)
        torch.save({"tok_emb.weight": _Trap()}, path)
        _trap_sprung.clear()
        with contextlib.suppress(Exception):  # a refusal is right, whatever it raises
            attempt(_small(2), path)
        if _trap_sprung:
            hint = "torch.load(…, weights_only=True)"
            raise Wrong("code in the file was run: a file from others may do anything", hint=hint)


_trap_sprung: list[bool] = []


def _spring() -> None:
    _trap_sprung.append(True)


class _Trap:
    """An object that runs a function when it is unpickled."""

    def __reduce__(self):
        return _spring, ()


def _save_as_on_a_gpu(model: nn.Module, path: Path) -> None:
    """A file whose tensors say that they lay on `cuda:0`; the bytes are the same."""
    before = torch.serialization.location_tag
    torch.serialization.location_tag = lambda storage: "cuda:0"
    try:
        torch.save(model.state_dict(), path)
    finally:
        torch.serialization.location_tag = before


def _check_loaded_without_a_gpu(attempt: Callable, saved: nn.Module, path: Path) -> None:
    try:
        _check_loaded(attempt, saved, path)
    except RuntimeError as error:
        if "CUDA" not in str(error) and "cuda" not in str(error):
            raise
        hint = "torch.load takes map_location"
        raise Wrong("a file that was written on a GPU cannot be read here", hint=hint) from None


def _check_loaded(attempt: Callable, saved: nn.Module, path: Path) -> None:
    fresh = _small(2)
    before = fresh.tok_emb.weight.detach().clone()
    got = attempt(fresh, path)
    if not isinstance(got, nn.Module):
        raise Wrong("the model is expected back", "a module", type(got).__name__, "return model")
    after = got.state_dict()
    if after.keys() != saved.state_dict().keys():
        raise Wrong("another kind of model comes back than the one that was handed in")
    if torch.equal(after["tok_emb.weight"], before):
        raise Wrong(
            "the parameters are still the fresh ones: the file's were read but not put into the model"
        )
    for name, tensor in saved.state_dict().items():
        if not torch.equal(after[name], tensor):
            raise Wrong(f"{name} is not the file's", tensor, after[name])


def clean_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict without the `module.` that a wrapped model puts before every name."""
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


@exercise("clean_names", clean_names)
def check_clean_names(attempt: Callable) -> None:
    """Prefixed names, plain ones, and a name with `module.` inside; what is handed in stays as it is."""
    names = ["head.weight", "encoder.module.weight", "pos_emb"]
    for prefix in ("module.", ""):
        state = {prefix + name: torch.full((2,), float(i)) for i, name in enumerate(names)}
        given = dict(state)
        got = attempt(given)
        if given.keys() != state.keys():
            wrong = "the state dict that was handed in is changed: make a new one"
            raise Wrong(wrong, list(state), list(given))
        if not isinstance(got, Mapping):
            raise Wrong("a dict is expected", names, got)
        if list(got) == list(state) and prefix:
            raise Wrong("the names still begin with `module.`", names, list(got))
        if "encoder.weight" in got:
            raise Wrong("`module.` inside a name is a part of it: only the beginning goes", names, list(got))
        if sorted(got) != sorted(names):
            plain = "" if prefix else " where nothing has the prefix"
            raise Wrong(f"not the names without `module.`{plain}", names, list(got))
        for i, name in enumerate(names):
            if not torch.equal(torch.as_tensor(got[name]), torch.full((2,), float(i))):
                raise Wrong(f"{name} has another's values", float(i), got[name])


def answer_of(generated: str) -> str:
    """The answer in `question⁇answer⁇…`: between the first mask and the second, or the end."""
    return generated.split(MASK)[1]


@exercise("answer_of", answer_of)
def check_answer_of(attempt: Callable) -> None:
    """What comes after the second mask is no part of the answer; there need not be one."""
    cases = {
        "Where was Ann born?⁇Oslo⁇⁇Oslo⁇": ("Oslo", "the answer ends at the second mask"),
        "Where was Ann born?⁇New York": (
            "New York",
            "where the model wrote no second mask, all that follows counts",
        ),
        "Where was Ann born?⁇⁇": ("", "the answer may be empty"),
    }
    for generated, (expected, mistake) in cases.items():
        got = attempt(generated)
        if got != expected:
            raise Wrong(f"{mistake}: {generated}", repr(expected), repr(got))


def dev_accuracy(model: nn.Module, write: Callable, questions: Sequence[Question]) -> float:
    """The percentage of questions that the model answers to the letter; the model's mode is left as found."""
    was_training = model.training
    model.eval()
    with torch.no_grad():
        answers = [answer_of(write(model, question.text + MASK)) for question in questions]
    model.train(was_training)
    return 100 * sum(a == q.place for a, q in zip(answers, questions, strict=True)) / len(questions)


class _Moody(nn.Module):
    """A model that answers well in evaluation mode only, and remembers how it was asked."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.modes: list[bool] = []
        self.gradients: list[bool] = []

    def write(self, prompt: str) -> str:
        self.modes.append(self.training)
        self.gradients.append(torch.is_grad_enabled())
        known = {"Ann": "Oslo", "Bob": "Rome", "Cid": "New York"}
        place = next((place for name, place in known.items() if name in prompt), "Lima")
        return f"{prompt}{'Os' if self.training else place}{MASK}{place}"


def _written(model: nn.Module, prompt: str) -> str:
    if not prompt.endswith(MASK):
        raise Wrong("the prompt is the question and a mask: the model writes on from there", "…⁇", prompt)
    return model.write(prompt)


@exercise("dev_accuracy", dev_accuracy)
def check_dev_accuracy(attempt: Callable) -> None:
    """Five questions, three answered right in evaluation mode, and a model that comes in training mode."""
    rows = (("Ann", "Oslo"), ("Bob", "Rome"), ("Cid", "New York"), ("Dee", "Lim"), ("Eva", "lima"))
    questions = [Question(f"Where was {name} born?", place) for name, place in rows]
    model = _Moody().train()
    got = as_number(attempt(model, _written, list(questions)))
    if not model.modes:
        raise Wrong("the model was never asked: call write(model, prompt) for each question")
    if any(model.modes):
        raise Wrong("the model is left in training mode: dropout changes its answers", hint="model.eval()")
    known = {
        0.6: "a fraction: the score is wanted in percent",
        3.0: "the number of right answers: the share of them is wanted, in percent",
        0.0: "nothing matches: cut the answer out with answer_of, and compare without a newline",
        80.0: "a part of a place counts, or small letters do: compare to the letter",
        100.0: "a part of a place counts, or small letters do: compare to the letter",
    }
    if not abs(got - 60.0) < 1e-4:
        named = (mistake for value, mistake in known.items() if abs(got - value) < 1e-4)
        raise Wrong(next(named, "not the share of exact matches"), 60.0, got, tolerance=1e-4)
    if any(model.gradients):
        hint = "with torch.no_grad(): … saves the memory of all activations"
        raise Wrong("gradients are kept while the model answers", "none", "all", hint)
    if not model.training:
        hint = "remember model.training, and give it back with model.train(…)"
        raise Wrong("the model came in training mode and is left in evaluation mode", hint=hint)


def standard_error(correct: int, total: int) -> float:
    """The standard error, in percent points, of an accuracy of `correct` out of `total`."""
    p = correct / total
    return 100 * math.sqrt(p * (1 - p) / total)


@exercise("standard_error", standard_error)
def check_standard_error(attempt: Callable) -> None:
    """The binomial's standard error, in percent."""
    for correct, total in ((50, 100), (90, 100), (0, 10)):
        case = f"{correct} correct out of {total}"
        expected, got = standard_error(correct, total), as_number(attempt(correct, total), case)
        if abs(got - expected) < 1e-4:
            continue
        known = {
            "in percent points, not as a fraction": expected / 100,
            "that is the variance: take its root": expected**2 / 100,
            "the error of one answer: divide by the number of questions under the root": expected
            * math.sqrt(total),
        }
        named = (mistake for mistake, value in known.items() if abs(got - value) < 1e-4)
        mistake = next(named, "not √(p(1 - p)/n), in percent points")
        raise Wrong(f"{case}: {mistake}", f"{expected:.3f}", f"{got:.3f}", tolerance=1e-4)
