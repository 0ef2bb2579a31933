"""Ask a model where people were born, and count how often it is right.

Knows nothing about training. Accuracies are in percent, as the course reports them.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from a5lib.corpus import Question
from a5lib.decoding import greedy_decode
from a5lib.errors import InputError, located
from a5lib.model import GPT
from a5lib.vocab import MASK, MASK_ID, CharVocab

ANSWER_LENGTH = 32  # characters decoded after `question⁇`, as in the handout


@dataclass(frozen=True)
class Evaluation:
    """A model's answers to some questions; `correct` and `accuracy` are None where no places are known."""

    questions: tuple[Question, ...]
    predictions: tuple[str, ...]

    @property
    def total(self) -> int:
        return len(self.predictions)

    @property
    def correct(self) -> int | None:
        if any(question.place is None for question in self.questions):
            return None
        return sum(q.place == p for q, p in zip(self.questions, self.predictions, strict=True))

    @property
    def accuracy(self) -> float | None:
        return None if self.correct is None else 100 * self.correct / self.total

    def __str__(self) -> str:
        """The handout's line, `Correct: 25 out of 500: 5.0%`."""
        if self.correct is None:
            return f"No places in the file to compare with: {self.total} predictions, no score"
        return f"Correct: {self.correct} out of {self.total}: {round(self.accuracy, 2)}%"


def answer_of(generated: str) -> str:
    """The answer in what a model wrote after `question⁇`: everything up to the next `⁇`."""
    return generated.split(MASK)[0]


def evaluate_places(
    model: GPT, vocab: CharVocab, questions: Sequence[Question], use_cache: bool = True
) -> Evaluation:
    """The model's greedy answer to each question, decoded in batches; exact match counts.

    Raises:
        InputError: a question with an unknown character, or too long for the model's block.
    """
    prompts = [_prompt(model, vocab, question) for question in questions]
    generated = greedy_decode(model, prompts, ANSWER_LENGTH, stop_id=MASK_ID, use_cache=use_cache)
    return Evaluation(tuple(questions), tuple(answer_of(vocab.decode(ids)) for ids in generated))


def _prompt(model: GPT, vocab: CharVocab, question: Question) -> Tensor:
    with located(question.where):
        if len(question.text) + 2 > model.config.block_size:
            raise InputError(
                f"{question.text[:60]!r}…: {len(question.text)} characters, too long for the model's block "
                f"of {model.config.block_size}; shorten the question"
            )
        return torch.tensor(vocab.encode(question.text + MASK))


@torch.inference_mode()
def answer_steps(
    model: GPT, vocab: CharVocab, text: str, after: str = MASK, most: int = 4, max_steps: int = 12
) -> list[tuple[str, dict[str, float]]]:
    """How a greedy answer to `text` + `after` comes about, one pair for each character written.

    Returns:
        (character, the `most` likeliest candidates with their probabilities), up to the first mask.

    Raises:
        InputError: a character that the model does not know, or no text at all.
    """
    ids, steps = vocab.encode(text + after), []
    if not ids:
        raise InputError("nothing to go on from: give a text")
    for _ in range(min(max_steps, model.config.block_size - len(ids))):
        idx = torch.tensor([ids], device=model.tok_emb.weight.device)
        logits = model.next_logits(idx, torch.tensor([len(ids)], device=idx.device))
        top = logits[0].softmax(dim=-1).topk(most)
        ids.append(int(top.indices[0]))
        candidates = {vocab.decode([i]): float(p) for i, p in zip(top.indices, top.values, strict=True)}
        steps.append((vocab.decode([ids[-1]]), candidates))
        if ids[-1] == MASK_ID:
            break
    return steps


def most_frequent_place(train: Sequence[Question]) -> str:
    """The place that answers most training questions; ties go to the first in the alphabet."""
    counts = Counter(question.place for question in train)
    return min(counts, key=lambda place: (-counts[place], place))


def london_baseline(questions: Sequence[Question], place: str = "London") -> Evaluation:
    """The score of one and the same answer to every question."""
    return Evaluation(tuple(questions), (place,) * len(questions))


def wilson_interval(correct: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """A 95 % interval, in percent, for an accuracy of `correct` out of `total` (Wilson 1927).

    Unlike the plain ±z·√(p(1-p)/n), it stays between 0 and 100 and holds for few answers too.
    """
    p = correct / total
    centre = p + z * z / (2 * total)
    spread = z * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    scale = 100 / (1 + z * z / total)
    return max(0.0, (centre - spread) * scale), min(100.0, (centre + spread) * scale)
