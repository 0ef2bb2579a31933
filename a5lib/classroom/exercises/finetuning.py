"""Checks for notebook 08: starting from pretrained parameters, reading the answer, the error of a score."""

import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from a5lib.classroom.checks import Wrong, exercise
from a5lib.model import GPTConfig, build_model
from a5lib.vocab import MASK


def load_pretrained(model: nn.Module, path: Path) -> nn.Module:
    """The model with the parameters of a file, wherever they were trained."""
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return model


@exercise("load_pretrained", load_pretrained)
def check_load_pretrained(attempt: Callable) -> None:
    """Another model's parameters must be in the model that comes back."""
    config = GPTConfig(vocab_size=6, block_size=8, n_layer=1, n_head=1, n_embd=4)
    saved, fresh = build_model("vanilla", config, seed=1), build_model("vanilla", config, seed=2)
    before = fresh.tok_emb.weight.detach().clone()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.params"
        torch.save(saved.state_dict(), path)
        got = attempt(fresh, path)
    if not isinstance(got, nn.Module):
        raise Wrong("the model is expected back", "a module", type(got).__name__, "return model")
    after = got.state_dict()
    if torch.equal(after["tok_emb.weight"], before):
        raise Wrong(
            "the parameters are still the fresh ones: the file's were read but not put into the model"
        )
    for name, tensor in saved.state_dict().items():
        if not torch.equal(after[name], tensor):
            raise Wrong(f"{name} is not the file's", tensor, after[name])


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


def standard_error(correct: int, total: int) -> float:
    """The standard error, in percent points, of an accuracy of `correct` out of `total`."""
    p = correct / total
    return 100 * math.sqrt(p * (1 - p) / total)


@exercise("standard_error", standard_error)
def check_standard_error(attempt: Callable) -> None:
    """The binomial's standard error, in percent."""
    for correct, total in ((50, 100), (90, 100), (0, 10)):
        expected, got = standard_error(correct, total), attempt(correct, total)
        if abs(got - expected) > 1e-6:
            mistake = (
                "in percent points, not as a fraction"
                if abs(100 * got - expected) < 1e-6
                else "√(p(1 - p)/n)"
            )
            raise Wrong(f"{correct} correct out of {total}: {mistake}", f"{expected:.3f}", f"{got:.3f}")
