"""How sure a model is of its answers, and whether that tells right ones from wrong ones.

A *signal* is one number for each answer, the larger the surer. Letters: N answers, A characters of the
longest with its closing ⁇, V vocabulary. Knows nothing about who is asked about.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from a5lib.corpus import Question
from a5lib.decoding import greedy_decode
from a5lib.errors import InputError
from a5lib.evaluation import ANSWER_LENGTH, answer_of
from a5lib.model import GPT
from a5lib.vocab import MASK, MASK_ID, PAD_ID, CharVocab

TEMPERATURES = np.exp(np.linspace(np.log(0.25), np.log(8), 101))


@dataclass(frozen=True)
class AnswerLogits:
    """What a model had to choose from while it wrote its answers.

    Attributes:
        logits: (N, A, V) before each character of the answer, its closing ⁇ included.
        written: (N, A) int64, the characters' ids; 0 behind the answer's end.
    """

    logits: Tensor
    written: Tensor

    def log_probabilities(self, temperature: float = 1.0) -> Tensor:
        """(N,): of each whole answer, with all logits divided by `temperature`."""
        log_p = (self.logits / temperature).log_softmax(dim=-1)
        chosen = log_p.gather(2, self.written[:, :, None])[:, :, 0]  # (N, A)
        return (chosen * (self.written != PAD_ID)).sum(dim=1)

    def probability(self, temperature: float = 1.0) -> np.ndarray:
        """(N,): the probability of each whole answer."""
        return self.log_probabilities(temperature).exp().numpy()

    def entropy(self) -> np.ndarray:
        """(N,): of the answer's first character, in nats; nearly all of the choice is made there."""
        log_p = self.logits[:, 0].log_softmax(dim=-1)
        return -(log_p.exp() * log_p).sum(dim=-1).numpy()

    def margin(self) -> np.ndarray:
        """(N,): by how much the likeliest character leads, at the answer's closest decision."""
        best = self.logits.softmax(dim=-1).topk(2, dim=-1).values  # (N, A, 2)
        lead = best[:, :, 0] - best[:, :, 1]
        return lead.masked_fill(self.written == PAD_ID, 1.0).amin(dim=1).numpy()


@torch.inference_mode()
def answer_logits(
    model: GPT, vocab: CharVocab, questions: Sequence[Question], answers: Sequence[str]
) -> AnswerLogits:
    """The logits from which the answers were, or could have been, written.

    Raises:
        InputError: no question; a row too long for the block, or for the latents of a perceiver_ar.
    """
    if not questions:
        raise InputError("no question to be sure of: give at least one")
    prompts = [vocab.encode(question.text + MASK) for question in questions]
    written = [vocab.encode(answer + MASK) for answer in answers]
    rows = [torch.tensor(p + w[:-1]) for p, w in zip(prompts, written, strict=True)]
    device = model.tok_emb.weight.device
    logits, _ = model(pad_sequence(rows, batch_first=True, padding_value=PAD_ID).to(device))  # (N, T, V)
    if logits.size(1) < max(map(len, rows)):
        raise InputError("a perceiver_ar has no logits for the beginning of rows longer than its latents")
    first = [len(prompt) - 1 for prompt in prompts]  # where the answer's first character is foretold
    parts = [row[f : f + len(w)] for row, f, w in zip(logits, first, written, strict=True)]
    targets = [torch.tensor(w) for w in written]
    return AnswerLogits(pad_sequence(parts, batch_first=True).cpu(), pad_sequence(targets, batch_first=True))


def agreement_of_samples(
    model: GPT,
    vocab: CharVocab,
    questions: Sequence[Question],
    answers: Sequence[str],
    seed: int,
    n: int = 10,
    temperature: float = 1.0,
) -> np.ndarray:
    """(N,): the share of `n` answers drawn at a temperature that are the same as the given one."""
    generator = torch.Generator(model.tok_emb.weight.device).manual_seed(seed)

    def draw(logits: Tensor) -> Tensor:
        return (logits / temperature).softmax(dim=-1).multinomial(1, generator=generator)[:, 0]

    prompts = [torch.tensor(vocab.encode(q.text + MASK)) for q in questions for _ in range(n)]
    drawn = greedy_decode(model, prompts, ANSWER_LENGTH, stop_id=MASK_ID, pick=draw)
    texts = np.array([answer_of(vocab.decode(ids)) for ids in drawn]).reshape(len(questions), n)
    return (texts == np.array(answers)[:, None]).mean(axis=1)


# The model is finetuned on one form of question. The same fact can be asked for in other words only as
# pretraining told it: by a sentence that breaks off before the place.
SENTENCES = (
    "{name} was born in ",
    "{name} was from ",
    "The birthplace of {name} was ",
    "{name} was a native of ",
    "{name} came into the world in ",
)


def agreement_of_sentences(
    model: GPT,
    vocab: CharVocab,
    names: Sequence[str],
    answers: Sequence[str],
    sentences: Sequence[str] = SENTENCES,
) -> np.ndarray:
    """(N,): the share of begun sentences that the model goes on with the very answer that it gave."""
    begun = [s.format(name=name) for name in names for s in sentences]
    prompts = [torch.tensor(vocab.encode(text)) for text in begun]
    longest = max((len(vocab.encode(answer)) for answer in answers), default=0)
    ends = [vocab.decode(ids) for ids in greedy_decode(model, prompts, max_new=max(1, longest))]
    wanted = [answer for answer in answers for _ in sentences]
    agree = [bool(w) and end.startswith(w) for end, w in zip(ends, wanted, strict=True)]
    return np.reshape(agree, (len(names), len(sentences))).mean(axis=1)


# Does a signal tell right from wrong?


def auroc(signal: Sequence[float], right: Sequence[bool]) -> float:
    """The chance that a right answer has a larger signal than a wrong one; equal ones count a half.

    It is the area under the ROC curve. Not a number where all answers are right, or all wrong.
    """
    return float(_wins(signal, right).mean()) if 0 < np.sum(right) < len(right) else float("nan")


def auroc_interval(signal: Sequence[float], right: Sequence[bool], z: float = 1.96) -> tuple[float, float]:
    """A 95 % interval for `auroc`, from the scatter over right and over wrong answers (DeLong 1988)."""
    if not 2 <= np.sum(right) <= len(right) - 2:
        return float("nan"), float("nan")
    wins = _wins(signal, right)  # (right ones, wrong ones)
    over_right, over_wrong = wins.mean(axis=1), wins.mean(axis=0)
    spread = z * np.sqrt(over_right.var(ddof=1) / len(over_right) + over_wrong.var(ddof=1) / len(over_wrong))
    area = wins.mean()
    return max(0.0, float(area - spread)), min(1.0, float(area + spread))


def _wins(signal: Sequence[float], right: Sequence[bool]) -> np.ndarray:
    """(right ones, wrong ones): 1 where the right answer has the larger signal, ½ where they are equal."""
    values, right = np.asarray(signal, dtype=float), np.asarray(right, dtype=bool)
    lead = values[right][:, None] - values[~right][None, :]
    return (lead > 0) + 0.5 * (lead == 0)


def roc_curve(signal: Sequence[float], right: Sequence[bool]) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the wrong and of the right answers at or above each threshold, from the highest down."""
    values, right = np.asarray(signal, dtype=float), np.asarray(right, dtype=bool)
    thresholds = [np.inf, *np.unique(values)[::-1]]
    kept = [values >= t for t in thresholds]
    wrong = [(k & ~right).sum() / max(1, (~right).sum()) for k in kept]
    return np.array(wrong), np.array([(k & right).sum() / max(1, right.sum()) for k in kept])


def risk_coverage(signal: Sequence[float], right: Sequence[bool]) -> tuple[np.ndarray, np.ndarray]:
    """Shares (answered, wrong among them), when only the surest k answers are given, k = 1 to N.

    Of answers with equal signals any may come first: the mean over all their orders.
    """
    values, wrong = np.asarray(signal, dtype=float), ~np.asarray(right, dtype=bool)
    _, group = np.unique(-values, return_inverse=True)  # 0 for the surest
    expected = np.bincount(group, wrong) / np.bincount(group)  # of one answer of the group
    k = np.arange(1, len(values) + 1)
    return k / len(k), np.cumsum(expected[np.sort(group)]) / k


# Does a confidence mean what it says?


def reliability(
    confidence: Sequence[float], right: Sequence[bool], bins: int = 10
) -> list[tuple[float, float, int]]:
    """(mean confidence, share of right answers, answers) of each of equally wide bins that holds any."""
    confidence, right = np.asarray(confidence, dtype=float), np.asarray(right, dtype=bool)
    which = np.minimum((confidence * bins).astype(int), bins - 1)  # 1.0 belongs to the last
    return [
        (float(confidence[which == b].mean()), float(right[which == b].mean()), int((which == b).sum()))
        for b in np.unique(which)
    ]


def calibration_error(confidence: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """The mean gap between confidence and share of right answers, bins weighted by their answers (ECE)."""
    rows = reliability(confidence, right, bins)
    return sum(n * abs(mean - share) for mean, share, n in rows) / len(right)


def fit_temperature(logits: AnswerLogits, right: Sequence[bool]) -> float:
    """The temperature under which the answers' probabilities best foretell which are right (Guo et al. 2017).

    Best is the smallest mean -log of the probability of what came out, right or wrong, over a grid.
    """
    right = np.asarray(right, dtype=bool)

    def loss(temperature: float) -> float:
        p = logits.probability(temperature).clip(1e-6, 1 - 1e-6)
        return -np.log(np.where(right, p, 1 - p)).mean()

    return float(min(TEMPERATURES, key=loss))
