"""The answer must not depend on how it was computed: in a batch, alone, with a cache or without."""

import pytest
import torch
from conftest import DEV_ROWS, questions, tiny_model

from a5lib import london_baseline as baseline_command
from a5lib.corpus import Question
from a5lib.decoding import greedy_decode
from a5lib.errors import InputError
from a5lib.evaluation import (
    Evaluation,
    answer_of,
    evaluate_places,
    london_baseline,
    most_frequent_place,
    wilson_interval,
)
from a5lib.model import VARIANTS, PerceiverAR
from a5lib.vocab import CharVocab


def prompts_of_all_lengths(block_size=16, vocab_size=11, each=3):
    generator = torch.Generator().manual_seed(0)
    lengths = [n for n in range(1, block_size) for _ in range(each)]
    order = torch.randperm(len(lengths), generator=generator).tolist()
    return [torch.randint(2, vocab_size, (lengths[i],), generator=generator) for i in order]


@torch.no_grad()
def plainly(model, prompt, max_new, stop_id):
    """One prompt, the whole sequence again at each step: the definition."""
    ids = prompt.tolist()
    while len(ids) < min(len(prompt) + max_new, model.config.block_size):
        # a □ that the model wrote is no padding: perceiver_ar has to be told
        known = {"lengths": torch.tensor([len(ids)])} if isinstance(model, PerceiverAR) else {}
        ids.append(int(model(torch.tensor([ids]), **known)[0][0, -1].argmax()))
        if ids[-1] == stop_id:
            break
    return ids[len(prompt) :]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize(
    ("max_new", "stop_id", "batch_size"), [(6, None, 512), (30, None, 7), (6, 1, 512), (30, 1, 4)]
)
def test_batched_equals_one_by_one(variant, use_cache, max_new, stop_id, batch_size):
    """All lengths at once, across the bottleneck of 5; rows that stop early, and rows that fill the block."""
    seed = 16 if variant == "rope" else 0  # of those whose outputs vary
    model, prompts = tiny_model(variant, std=1.0, seed=seed), prompts_of_all_lengths()
    expected = [plainly(model, prompt, max_new, stop_id) for prompt in prompts]
    assert len({tuple(ids) for ids in expected}) >= 10, "a test only if outputs vary"
    if stop_id is not None:
        assert 5 < sum(ids[-1] == stop_id for ids in expected) < len(prompts)
    model.train()
    assert greedy_decode(model, prompts, max_new, stop_id, use_cache, batch_size) == expected
    assert model.training, "left as it was"


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("shared", [1, 4, 9])
def test_what_all_prompts_begin_with_is_read_once_and_changes_nothing(variant, shared, monkeypatch):
    """Before and across the bottleneck of 5; one prompt is nothing but that beginning and a character."""
    model = tiny_model(variant, std=1.0, seed=16 if variant == "rope" else 0)
    begin = torch.randint(2, 11, (shared,), generator=torch.Generator().manual_seed(3))
    ends = prompts_of_all_lengths(block_size=14 - shared, each=2)
    prompts = [torch.cat([begin, end]) for end in ends]
    expected = [plainly(model, prompt, 6, None) for prompt in prompts]
    read, extend = [], model.extend

    def counted(idx, *more):
        read.append(tuple(idx.shape))
        return extend(idx, *more)

    monkeypatch.setattr(model, "extend", counted)
    assert greedy_decode(model, prompts, 6) == expected
    assert not read or read[0] == (1, shared), "perceiver_ar computes all again instead"


def test_pads_of_a_shorter_row_are_never_seen():
    """The same prompt beside a long one: its padding must not become part of it."""
    model = tiny_model("perceiver", std=0.5, seed=1)
    short, long = torch.tensor([4]), torch.arange(2, 11)
    assert greedy_decode(model, [short, long], 6)[0] == greedy_decode(model, [short], 6)[0]


def test_the_edges_of_decoding():
    model = tiny_model(std=0.5)
    assert greedy_decode(model, []) == []
    assert greedy_decode(model, [torch.tensor([2, 3])], max_new=0) == [[]]
    assert len(greedy_decode(model, [torch.full((15,), 2)])[0]) == 1
    for length in (0, 16):
        with pytest.raises(InputError, match=f"prompt of {length} characters"):
            greedy_decode(model, [torch.full((length,), 2)])


VOCAB = CharVocab("".join(q.text + q.place for q in questions(DEV_ROWS)))


@pytest.mark.parametrize("variant", VARIANTS)
def test_evaluation_is_the_handouts_loop(variant):
    """32 characters after `question⁇`, and of them those before the next `⁇`; exact match, in order."""
    model = tiny_model(variant, std=0.5, seed=5, vocab_size=len(VOCAB), block_size=64)
    asked = questions([*DEV_ROWS, *(("A" * n, "Oslo") for n in (1, 9, 4) if "A" in VOCAB.index)])
    expected = []
    for question in asked:
        generated = plainly(model, torch.tensor(VOCAB.encode(question.text + "⁇")), 32, stop_id=None)
        expected.append(VOCAB.decode(generated).split("⁇")[0])
    for use_cache in (True, False):
        evaluation = evaluate_places(model, VOCAB, asked, use_cache)
        assert list(evaluation.predictions) == expected
    right = Evaluation(evaluation.questions, tuple(q.place for q in asked[:-1]) + ("nowhere",))
    assert (right.correct, right.total) == (len(asked) - 1, len(asked))


@pytest.mark.parametrize(
    ("text", "says"),
    [("Where" + "e" * 58, "63 characters, too long"), ("Where was Zoe?", "'Z' at position 10")],
)
def test_questions_that_cannot_be_asked(text, says):
    model = tiny_model(vocab_size=len(VOCAB), block_size=64)
    with pytest.raises(InputError, match=says):
        evaluate_places(model, VOCAB, [Question(text)])
    evaluate_places(model, VOCAB, [Question("W" + "e" * 61)])  # the longest that can


def test_answers_and_scores():
    assert [answer_of(g) for g in ("Oslo⁇□x", "⁇Oslo", "Oslo", "")] == ["Oslo", "", "Oslo", ""]
    asked = questions(DEV_ROWS)
    assert str(london_baseline(asked)) == "Correct: 1 out of 3: 33.33%"
    assert str(london_baseline(asked[2:] * 25 + asked[:1] * 475)) == "Correct: 25 out of 500: 5.0%"
    assert Evaluation(tuple(asked), ("lima", "Oslo\n", "London")).correct == 1, "exact match"
    unknown = london_baseline([*asked, Question("Where was Nobody born?")])
    assert unknown.correct is unknown.accuracy is None and "4 predictions, no score" in str(unknown)
    tie = questions([("a", "Oslo"), ("b", "Lima"), ("c", "Oslo"), ("d", "Lima")])
    assert most_frequent_place(tie) == "Lima"


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"), [(25, 500, 3.409, 7.277), (0, 10, 0, 27.753), (10, 10, 72.247, 100)]
)
def test_wilsons_interval(correct, total, low, high):
    assert wilson_interval(correct, total) == (pytest.approx(low, abs=2e-3), pytest.approx(high, abs=2e-3))


def test_the_baseline_command_scores_dev_not_train(corpus_folder, capsys):
    baseline_command.main([])
    baseline_command.main(["birth_places_train.tsv"])
    assert capsys.readouterr().out == "Correct: 1 out of 3: 33.33%\nCorrect: 0 out of 3: 0.0%\n"
    with pytest.raises(InputError, match="row 1: 1 column"):
        baseline_command.main(["birth_test_inputs.tsv"])
