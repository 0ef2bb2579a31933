"""Checks for notebook 07: the learning rate's schedule, what decays, and what padding costs."""

import math
from collections.abc import Callable, Sequence

from torch import nn

from a5lib.classroom.checks import Wrong, exercise
from a5lib.classroom.exercises.comparing import CLOSE, as_number
from a5lib.model import GPTConfig, build_model
from a5lib.optim import learning_rate_at
from a5lib.trainer import TrainConfig


def rate_factor(tokens: int, warmup_tokens: int, final_tokens: int) -> float:
    """Linear warm-up, then a cosine down to `final_tokens`, never under 10 %, as the handout has it."""
    config = TrainConfig(1, 1.0, schedule="cosine", warmup_tokens=warmup_tokens, final_tokens=final_tokens)
    return learning_rate_at(config, tokens, progress=0)


@exercise("rate_factor", rate_factor)
def check_rate_factor(attempt: Callable) -> None:
    """Warm-up, the cosine's middle, its floor, and what happens behind its end."""
    cases = {
        50: "half of the warm-up",
        100: "the end of the warm-up: the full rate",
        600: "half of the cosine",
        1100: "the end of the cosine: the floor, not 0",
        1600: "behind the end: the handout's cosine is not clamped, it rises again",
        2100: "twice the length: back at the full rate",
    }
    for tokens, what in cases.items():
        case = f"{what} ({tokens} tokens, warm-up 100, final 1100)"
        expected, got = rate_factor(tokens, 100, 1100), as_number(attempt(tokens, 100, 1100), case)
        if abs(got - expected) > CLOSE:
            raise Wrong(case, f"{expected:.4f}", got, _wrong_rate(tokens, got), CLOSE)


def _wrong_rate(tokens: int, got: float) -> str:
    """What is known to give this rate in the place of the right one."""
    past, span = max(0, tokens - 100), 1000
    cosine = 0.5 * (1 + math.cos(math.pi * past / span))
    known = {
        "the floor of 10 % is missing": cosine,
        "the fraction begins at the end of the warm-up: (t - w) / (f - w)": max(
            0.1, 0.5 * (1 + math.cos(math.pi * tokens / 1100))
        ),
        "the handout does not clamp the fraction at 1": 0.1,
        "a half is missing before the bracket": 2 * cosine,
        "the warm-up is missing": 1.0,
    }
    return next((why for why, value in known.items() if abs(got - value) <= CLOSE), "")


PASSES = 200  # over the pretraining corpus, at the end of the handout's cosine


def final_tokens(pretrain_documents: int, finetune_questions: int, block_size: int) -> int:
    """The f of the handout's schedule, which is that of pretraining in both stages."""
    return PASSES * pretrain_documents * block_size


@exercise("final_tokens", final_tokens)
def check_final_tokens(attempt: Callable) -> None:
    """The course's numbers, and others."""
    for documents, questions, block in ((2937, 2000, 128), (10, 7, 4)):
        case = f"{documents} documents, {questions} questions, block {block}"
        expected = final_tokens(documents, questions, block)
        got = as_number(attempt(documents, questions, block), case)
        known = {
            "that goes by the questions: f belongs to the pretraining corpus, in finetuning too": PASSES
            * questions
            * block,
            "documents are counted: each is block_size tokens": PASSES * documents,
            "that is one pass: the handout's cosine takes 200": documents * block,
            "650 passes are trained for; the cosine ends after 200": 650 * documents * block,
            "both data sets are added: only the pretraining corpus counts": PASSES
            * (documents + questions)
            * block,
        }
        if got != expected:
            mistake = next((why for why, value in known.items() if got == value), "not 200 passes in tokens")
            raise Wrong(f"{case}: {mistake}", expected, got)


def decayed(model: nn.Module) -> set[str]:
    """The names of the parameters that weight decay applies to: the weights of the Linears."""
    return {
        f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Linear)
    }  # fmt: skip


@exercise("decayed", decayed)
def check_decayed(attempt: Callable) -> None:
    """A GPT and a Perceiver, whose basis C is a table and no matrix of a Linear."""
    for variant, M in (("vanilla", None), ("perceiver", 4)):
        config = GPTConfig(vocab_size=6, block_size=8, n_layer=3, n_head=1, n_embd=4, bottleneck_dim=M)
        model = build_model(variant, config, seed=0)
        got = attempt(model)
        if not isinstance(got, set | frozenset | list | tuple) or not all(isinstance(n, str) for n in got):
            raise Wrong("the names of parameters are expected, as a set", sorted(decayed(model))[:2], got)
        _compare_names(set(got), decayed(model), model)


def _compare_names(got: set[str], expected: set[str], model: nn.Module) -> None:
    unknown = got - dict(model.named_parameters()).keys()
    if unknown:
        raise Wrong("no parameter has this name", "names of named_parameters()", sorted(unknown)[0])
    kinds = (
        (nn.LayerNorm, "a LayerNorm's parameters are decayed: pulled to 0, they would silence its outputs"),
        (nn.Embedding, "an embedding is decayed: it is a table of vectors, of which a step uses few"),
    )
    for kind, mistake in kinds:
        names = {
            f"{name}.{part}"
            for name, module in model.named_modules() if isinstance(module, kind)
            for part, _ in module.named_parameters()
        }  # fmt: skip
        if got & names:
            raise Wrong(mistake, "not among them", sorted(got & names)[0])
    odd = sorted(got - expected)
    if odd:
        why = "a bias is decayed: it has one number for each output" if odd[0].endswith("bias") else ""
        raise Wrong(why or "a parameter that is no Linear's weight is decayed", "not among them", odd[0])
    if expected - got:
        raise Wrong("a Linear's weight is not decayed", sorted(expected - got)[0], "missing")


def padding_share(lengths: Sequence[int], batch_size: int) -> float:
    """The share of a run's positions that are padding, if each batch is as wide as its longest row."""
    batches = [lengths[i : i + batch_size] for i in range(0, len(lengths), batch_size)]
    positions = sum(max(batch) * len(batch) for batch in batches)
    return 1 - sum(lengths) / positions


@exercise("padding_share", padding_share)
def check_padding_share(attempt: Callable) -> None:
    """Small batches counted by hand; the last one may be short."""
    cases = {((4, 4, 4, 4), 2): 0.0, ((2, 4, 2, 4), 2): 0.25, ((2, 2, 4, 4), 2): 0.0, ((1, 3, 2), 2): 0.25}
    for (lengths, batch_size), expected in cases.items():
        case = f"lengths {list(lengths)} in batches of {batch_size}"
        got = as_number(attempt(list(lengths), batch_size), case)
        if abs(got - expected) > CLOSE:
            hint = "the last batch may have fewer rows" if len(lengths) % batch_size else ""
            if abs(got - 100 * expected) < 1e-4:
                hint = "a share is from 0 to 1, not in percent"
            raise Wrong(case, expected, got, hint, CLOSE)
