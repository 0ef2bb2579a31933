"""The nine files of a submission: their names, their rows, and whether predictions come from the parameters.

Shared by the command that hands in and the one that grades. Knows nothing about zip archives or points.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from a5lib.checkpoint import info_path, load_model
from a5lib.corpus import Question
from a5lib.errors import InputError
from a5lib.evaluation import evaluate_places
from a5lib.vocab import CharVocab

SPLITS = ("dev", "test")
SAME_ENOUGH = 0.95  # GPU and CPU may break a tie differently


@dataclass(frozen=True)
class HandedIn:
    """One trained model of a submission: its parameters, and its answers to dev and test."""

    params: str
    variant: str
    label: str

    @property
    def name(self) -> str:
        return f"{self.variant}.{self.label}"

    def predictions(self, split: str) -> str:
        """The name of the file with the answers to a split."""
        return f"{self.name}.{split}.predictions"


MODELS = (
    HandedIn("vanilla.model.params", "vanilla", "nopretrain"),
    HandedIn("vanilla.finetune.params", "vanilla", "pretrain"),
    HandedIn("perceiver.finetune.params", "perceiver", "pretrain"),
)
NINE = tuple(name for m in MODELS for name in (m.params, *map(m.predictions, SPLITS)))
SIDECARS = tuple(info_path(m.params).name for m in MODELS)  # shape and heads; the handout's runs have none


def read_predictions(path: Path, expected: int) -> list[str]:
    """The answers in a file, one a row.

    Raises:
        InputError: unreadable, not UTF-8, or not `expected` rows.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(
            f"{path.name}: not UTF-8; write it again with python -m a5lib.run evaluate"
        ) from None
    except OSError as error:
        raise InputError(f"{path.name}: cannot be read ({error.strerror})") from None
    rows = text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []
    if len(rows) != expected:
        raise InputError(
            f"{path.name}: {len(rows)} rows, but {expected} questions were asked; evaluate again"
        )
    return rows


@dataclass(frozen=True)
class Rerun:
    """What the parameters really answer, beside what was handed in, for some rows of a split."""

    rows: tuple[int, ...]
    answers: tuple[str, ...]
    handed_in: tuple[str, ...]

    @property
    def agreement(self) -> float:
        """The share of rows (0 to 1) in which both are the same."""
        same = sum(a == b for a, b in zip(self.answers, self.handed_in, strict=True))
        return same / max(1, len(self.rows))

    @property
    def genuine(self) -> bool:
        return self.agreement >= SAME_ENOUGH


def rerun(
    folder: Path,
    model: HandedIn,
    vocab: CharVocab,
    questions: Mapping[str, Sequence[Question]],
    sample: int | None = None,
    seed: int = 0,
) -> dict[str, Rerun | InputError]:
    """Answer the questions of each split anew with a model's parameters: all, or a random sample.

    An `InputError` stands in the place of a split whose file is unusable.

    Raises:
        InputError: the parameters cannot be used.
    """
    if not (folder / model.params).is_file():
        raise InputError(f"{model.params}: is missing")
    try:
        network = load_model(model.variant, folder / model.params, vocab)
    except InputError as error:
        raise InputError(str(error).replace(f"{folder}/", "")) from None
    found: dict[str, Rerun | InputError] = {}
    for split, asked in questions.items():
        try:
            handed_in = read_predictions(folder / model.predictions(split), len(asked))
        except InputError as error:
            found[split] = error
            handed_in = [""] * len(asked)
        rows = range(len(asked))
        if sample is not None and sample < len(asked):
            rows = sorted(random.Random(seed).sample(rows, sample))
        if split in found and sample is not None:  # the sample is for comparing only
            continue
        answers = evaluate_places(network, vocab, [asked[i] for i in rows]).predictions
        answers = tuple(answer.replace("\n", " ") for answer in answers)
        if split not in found:
            found[split] = Rerun(tuple(rows), answers, tuple(handed_in[i] for i in rows))
    return found
