"""How long the answers to the dev questions take: all at once with a cache, against one by one without.

The plain way is the assignment's: one question at a time, the whole sequence computed again for each of 32
characters. Both must give the same answers.
"""

import time

import torch

from a5lib.corpus import Corpus, Question
from a5lib.evaluation import ANSWER_LENGTH, answer_of, evaluate_places
from a5lib.model import GPT
from a5lib.pipeline import finetuning, new_model
from a5lib.recipes import Recipe
from a5lib.vocab import MASK
from tests.handout_style import HandoutGPT


def report(corpus: Corpus, recipe: Recipe, device: str, plain_questions: int) -> dict:
    """Time both on the dev questions, the plain way on the first `plain_questions`; print and return.

    Raises:
        AssertionError: the answers differ.
    """
    model = _some_model(corpus, recipe, device)
    evaluate_places(model, corpus.vocab, corpus.dev[:8])
    began = time.perf_counter()
    ours = evaluate_places(model, corpus.vocab, corpus.dev)
    our_seconds = time.perf_counter() - began
    asked = corpus.dev[:plain_questions]
    began = time.perf_counter()
    plain = _plain_answers(model, corpus, asked, device)
    each = (time.perf_counter() - began) / len(asked)
    assert plain == list(ours.predictions[: len(asked)]), "the two ways of decoding give different answers"
    ratio = each * ours.total / our_seconds
    print(
        f"\nAnswers to {ours.total} questions: ours {our_seconds:.2f} s, one by one {each:.3f} s a question "
        f"({len(asked)} measured), so ours is {ratio:.0f} x; the same answers"
    )
    return {"seconds": our_seconds, "plain_seconds_a_question": each, "questions": ours.total, "ratio": ratio}


def _some_model(corpus: Corpus, recipe: Recipe, device: str) -> GPT:
    """One that has seen some questions, so that its answers end, as those of a real one."""
    model = new_model("vanilla", recipe, corpus.vocab, None, seed=0)
    trainer = finetuning(model, corpus.vocab, corpus.train[:640], recipe, None, device)
    trainer.train()
    return trainer.model


@torch.inference_mode()
def _plain_answers(model: GPT, corpus: Corpus, questions: list[Question], device: str) -> list[str]:
    c = model.config
    plain = HandoutGPT(len(corpus.vocab), c.block_size, c.n_layer, c.n_head, c.n_embd).to(device).eval()
    plain.load_state_dict(model.state_dict())
    answers = []
    for question in questions:
        asked = corpus.vocab.encode(question.text + MASK)
        ids = torch.tensor([asked], device=device)
        for _ in range(ANSWER_LENGTH):
            ids = torch.cat([ids, plain(ids)[:, -1].argmax(dim=-1, keepdim=True)], dim=1)
        answers.append(answer_of(corpus.vocab.decode(ids[0, len(asked) :].tolist())))
    return answers
