"""Notebook 10: its measures by hand, the world's construction, its checks, its figures and its game."""

import io
import math

import numpy as np
import pytest
import torch
from conftest import tiny_model
from hypothesis import given
from hypothesis import strategies as st

from a5lib.classroom.checks import EXERCISES, NOT_ATTEMPTED, PASSED, run_check
from a5lib.classroom.exercises import retrieved as reference
from a5lib.confidence import (
    AnswerLogits,
    agreement_of_samples,
    agreement_of_sentences,
    answer_logits,
    auroc,
    auroc_interval,
    calibration_error,
    fit_temperature,
    reliability,
    risk_coverage,
    roc_curve,
)
from a5lib.corpus import Corpus, Question, project_data
from a5lib.decoding import greedy_decode
from a5lib.display import retrieved as figures
from a5lib.errors import InputError
from a5lib.evaluation import evaluate_places, wilson_interval
from a5lib.provenance import (
    CITIES,
    QUESTION,
    Told,
    agreement,
    edits,
    hybrids,
    invented_names,
    lines_about,
    look_of,
    name_of,
    nearest,
    region_of,
    unseen_questions,
    what_is_told,
)
from a5lib.vocab import MASK_ID, CharVocab

QUICK = Corpus(project_data() / "quick")

# Signals.

ASKED = [Question("ab", "c"), Question("abc", "ba"), Question("a", "")]
VOCAB = CharVocab("abcdefghi")


def test_an_answers_probability_is_the_product_of_its_characters_and_the_mask():
    """By the definition, one character after the other, without padding or batches."""
    model, answers = tiny_model(std=0.7), ["c", "ba", ""]
    logits = answer_logits(model, VOCAB, ASKED, answers)
    for i, (question, answer) in enumerate(zip(ASKED, answers, strict=True)):
        ids, p = VOCAB.encode(question.text) + [MASK_ID], 1.0
        margins = []
        for written in [*VOCAB.encode(answer), MASK_ID]:
            distribution = model(torch.tensor([ids]))[0][0, -1].softmax(dim=-1)
            p *= distribution[written].item()
            first, second = distribution.topk(2).values.tolist()
            margins.append(first - second)
            if len(margins) == 1:
                entropy = -(distribution * distribution.log()).sum().item()
            ids.append(written)
        assert logits.probability()[i] == pytest.approx(p, rel=1e-4)
        assert logits.margin()[i] == pytest.approx(min(margins), rel=1e-4)
        assert logits.entropy()[i] == pytest.approx(entropy, rel=1e-4)
    assert logits.probability(1e6) == pytest.approx([11**-2, 11**-3, 11**-1], rel=1e-3)


def test_signals_that_cannot_be_had_are_refused():
    with pytest.raises(InputError, match="no question"):
        answer_logits(tiny_model(), VOCAB, [], [])
    model = tiny_model("perceiver_ar")
    assert answer_logits(model, VOCAB, [Question("ab")], ["c"]).logits.shape == (1, 2, 11)
    with pytest.raises(InputError, match="perceiver_ar"):
        answer_logits(model, VOCAB, [Question("abcdefg")], ["c"])


def test_cold_samples_agree_with_the_greedy_answer_and_hot_ones_do_not():
    model = tiny_model(std=0.7, vocab_size=len(VOCAB), block_size=64)
    asked = [Question("ab"), Question("abcd")]
    answers = evaluate_places(model, VOCAB, asked).predictions
    state = torch.get_rng_state()
    assert agreement_of_samples(model, VOCAB, asked, answers, 0, temperature=1e-4).tolist() == [1, 1]
    hot = agreement_of_samples(model, VOCAB, asked, answers, 0, n=20, temperature=100)
    assert hot.max() < 0.5
    assert (hot == agreement_of_samples(model, VOCAB, asked, answers, 0, n=20, temperature=100)).all()
    assert torch.equal(torch.get_rng_state(), state), "torch's own generator is left alone"


def test_sentences_agree_where_the_model_goes_on_with_the_answer():
    model = tiny_model(std=0.7, vocab_size=len(VOCAB), block_size=64)
    sentences, names = ("{name}b", "a{name}", "ch{name}"), ["d", "ef"]

    def goes_on(text):
        return VOCAB.decode(greedy_decode(model, [torch.tensor(VOCAB.encode(text))], 2)[0])

    written = [[goes_on(sentence.format(name=name)) for sentence in sentences] for name in names]
    answers = [written[0][0], written[1][2][:1]]
    shares = [np.mean([w.startswith(answers[i]) for w in written[i]]) for i in (0, 1)]
    assert agreement_of_sentences(model, VOCAB, names, answers, sentences) == pytest.approx(shares)
    assert agreement_of_sentences(model, VOCAB, ["d"], [""], sentences) == [0], "empty agrees with none"


# Measures, by hand.

SIGNAL, RIGHT = [0.9, 0.7, 0.7, 0.4, 0.2], [True, True, False, False, True]


def test_auroc_by_hand():
    """Six pairs: three won, one tie, two lost."""
    assert auroc(SIGNAL, RIGHT) == pytest.approx(3.5 / 6)
    assert auroc([1, 2, 3], [False, True, True]) == 1 and auroc([1, 1], [True, False]) == 0.5
    assert math.isnan(auroc([1, 2], [True, True])) and math.isnan(auroc([], []))


def test_delongs_interval_by_hand():
    """Right ones win 1, 3/4 and 0 of theirs; wrong ones lose 1/2 and 2/3 (placements, DeLong 1988)."""
    over_right, over_wrong = np.array([1, 0.75, 0]), np.array([0.5, 2 / 3])
    spread = 1.96 * math.sqrt(over_right.var(ddof=1) / 3 + over_wrong.var(ddof=1) / 2)
    low, high = auroc_interval(SIGNAL, RIGHT)
    assert (low, high) == (0.0, 1.0) and 3.5 / 6 - spread < 0  # so few tell nothing
    many = auroc_interval(SIGNAL * 40, RIGHT * 40)
    assert many[0] < 3.5 / 6 < many[1] and many[1] - many[0] < 0.2
    assert all(math.isnan(bound) for bound in auroc_interval([1, 2], [True, False]))


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_auroc_is_the_area_under_its_curve(rows):
    signal, right = zip(*rows, strict=True)
    if 0 < sum(right) < len(right):
        wrong, found = roc_curve(signal, right)
        assert (wrong[0], found[0], wrong[-1], found[-1]) == (0, 0, 1, 1)
        assert auroc(signal, right) == pytest.approx(np.trapezoid(found, wrong))
        assert auroc(signal, right) == pytest.approx(reference.auroc(signal, right))


def test_calibration_by_hand():
    """Bins 0, 5 and 9 with 1, 2 and 3 answers; 1.0 belongs to the last."""
    confidence, right = [0.05, 0.55, 0.58, 0.95, 0.97, 1.0], [False, True, False, True, True, False]
    rows = reliability(confidence, right)
    assert [n for _, _, n in rows] == [1, 2, 3]
    assert [share for _, share, _ in rows] == pytest.approx([0, 0.5, 2 / 3])
    expected = (1 * 0.05 + 2 * 0.065 + 3 * (2.92 / 3 - 2 / 3)) / 6
    assert calibration_error(confidence, right) == pytest.approx(expected)
    assert calibration_error([0.25] * 4, [True, False, False, False]) == 0


def test_temperature_scaling_finds_the_temperature():
    """Answers drawn from a model's own distribution are calibrated; the same logits times 3 want T = 3."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4000, 1, 5, generator=generator)
    written = logits[:, 0].softmax(-1).argmax(-1)[:, None]
    drawn = logits[:, 0].softmax(-1).multinomial(1, generator=generator)
    right = (drawn == written)[:, 0].numpy()
    pad = torch.full((4000, 1, 1), -99.0)
    too_sure = AnswerLogits(torch.cat((pad, 3 * logits), dim=2), written + 1)
    temperature = fit_temperature(too_sure, right)
    assert temperature == pytest.approx(3, rel=0.15)
    before, after = (calibration_error(too_sure.probability(t), right) for t in (1.0, temperature))
    assert before > 0.2 and after < 0.05


def test_risk_and_coverage_by_hand():
    """Equal signals are taken in all orders: the two at 0.7 have one error between them."""
    coverage, risk = risk_coverage(SIGNAL, RIGHT)
    assert coverage.tolist() == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert risk == pytest.approx([0, 0.5 / 2, 1 / 3, 2 / 4, 2 / 5])


# What the corpus tells.


def test_what_is_told_by_hand():
    lines = ["Ann Lee was born in Oslo.", "Born in Oslo: Ann Lee."]
    lines += ["Ann Leeman was from Rome.", "Ann Lee kept bees."]
    asked = [Question("Where was Ann Lee born?", "Oslo"), Question("Where was Bo Fry born?", "Rome")]
    assert what_is_told(lines, asked) == [Told(3, 2, 1, (24 + 12) / 2), Told()]
    assert lines_about(lines, "Ann Leeman") == [lines[2]]
    with pytest.raises(InputError, match="another form"):
        name_of("Who was Ann Lee?")


def test_groups_are_as_the_world_was_built():
    """Everybody asked about is told of four times, with the place; the others in no line, in other names."""
    told = what_is_told(QUICK.documents, [*QUICK.train, *QUICK.dev])
    assert {(t.lines, t.with_place) for t in told} == {(4, 4)} and {t.name_first for t in told} == {3, 4}
    unseen = unseen_questions(QUICK)
    assert len(unseen) == 60 and not any(t.lines for t in what_is_told(QUICK.documents, unseen))


def test_people_in_no_line_cannot_be_known():
    """The best that an answer from the look alone can do is London's share: the interval of 60 holds it."""
    unseen = unseen_questions(QUICK)

    def commonest_of_the_look(question):
        cities = CITIES[look_of(name_of(question))]
        return max(cities, key=cities.get)

    for guess in (lambda q: "London", commonest_of_the_look):
        right = sum(guess(q) == q.place for q in unseen)
        low, high = wilson_interval(right, len(unseen))
        assert low <= 6.9 <= high + 1.0, "data/README.md: 6.9 % from the look, 6.5 % for London"


def test_invented_names_and_hybrids_stand_in_no_line():
    for look in ("Nordic", "Japanese"):
        names = invented_names(QUICK, look, 40, seed=1)
        assert len(set(names)) == 40 and {look_of(name) for name in names} == {look}
        assert not any(name in QUICK.text for name in names)
    assert invented_names(QUICK, "Nordic", 5, 1) != invented_names(QUICK, "Nordic", 5, 2)
    made = hybrids(QUICK.dev, QUICK.text, 50, seed=0)
    assert len(made) == len({name for *_, name in made}) == 50
    assert made == hybrids(QUICK.dev, QUICK.text, 50, seed=0)
    for a, b, name in made:
        assert name == f"{name_of(a).split()[0]} {name_of(b).split()[1]}" and name not in QUICK.text
        assert a.place != b.place
    assert hybrids(QUICK.dev[:1], QUICK.text, 3, 0) == []
    assert (region_of("Oslo"), region_of("oslo"), look_of("Nobody")) == ("Nordic", None, None)


def test_unseen_people_of_another_corpus_are_the_embedded_ones(corpus_folder):
    """A corpus without a list of its own; only names that its characters can spell."""
    corpus = Corpus(corpus_folder)
    for question in unseen_questions(corpus):
        assert set(question.text) <= set(corpus.vocab.characters)


def test_agreement_by_hand():
    """Of three answers one agrees with its own person's; dealt on, two of six."""
    found = agreement([{"Oslo"}, {"Rome", "Lima"}, set()], ["Oslo", "Oslo", "Rome"])
    assert found == (1, pytest.approx(100 / 3))
    assert agreement([], []) == (0, 0)


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_edits(a, b):
    assert edits(a, b) == edits(b, a) and (edits(a, b) == 0) == (a == b)
    assert abs(len(a) - len(b)) <= edits(a, b) <= max(len(a), len(b))
    assert edits("kitten", "sitting") == 3
    assert nearest("Ann Lee", ["Bo Fry", "Anna Lee", "An Lee"]) == "Anna Lee"


# Checks.


EXERCISES_HERE = ("auroc", "calibration_error", "errors_left")


@pytest.mark.parametrize("name", EXERCISES_HERE)
def test_they_are_practice_and_may_stay_open(name):
    assert EXERCISES[name].points == 0 and run_check(name, None).state == NOT_ATTEMPTED
    assert run_check(name, EXERCISES[name].reference).state == PASSED


# Figures and the game.

PEOPLE = [Question(QUESTION.format(name), "Oslo") for name in ("Ann Lee", "Bo Fry", "Cy Day", "Di Eve")]
CARDS = figures.deal_cards(PEOPLE, ["Oslo", "Rome", "Oslo", "Oslo"], PEOPLE[:2], ["Lima", "Bern"], 4, seed=0)
DEALT = [
    {"seed": 0, "exposures": e, "phrasings": n, "city_first": False, "correct": e // 10, "total": 40}
    for e in (20.0, 40.0) for n in (1, 2)
]  # fmt: skip
ROC = {"sure": roc_curve(SIGNAL, RIGHT)}


def words(figure):
    figure.draw_without_rendering()
    found = [t.get_text() for legend in figure.legends for t in legend.get_texts()]
    for axes in figure.axes:
        labels = (*axes.get_xticklabels(), *axes.get_yticklabels(), axes.xaxis.label, axes.yaxis.label)
        found += [t.get_text() for t in (*axes.texts, *labels)]
        found += [axes.get_title(loc="left"), axes.get_title()]
        found += [t.get_text() for t in (axes.get_legend().get_texts() if axes.get_legend() else ())]
    return found


CASES = {
    "groups": (figures.group_bars({"none": (0, 60)}, 6.7, "t"), ["none, n = 60", "0.0 %  (0 to 6)"]),
    "exposures": (figures.exposure_lines(DEALT, 6.7), ["1 phrasing", "2 phrasings", "20", "40"]),
    "cards": (figures.card_table(CARDS), ["Where was Bo Fry born?", "1", "4"]),
    "revealed": (figures.card_table(CARDS, reveal=True), ["✓ retrieved", "✗ made up: in no line"]),
    "strips": (figures.confidence_strips({"x": [0.1], "y": []}, "p", "t"), ["x, n = 1", "y, n = 0"]),
    "roc": (figures.roc_figure(ROC), ["sure", "a coin: 0.50"]),
    "reliability": (figures.reliability_diagram({"x": [(0.5, 0.4, 7)], "y": []}), ["x", "7", "right (%)"]),
    "risk": (figures.risk_figure({"p": risk_coverage(SIGNAL, RIGHT)}, {"here": 0.5}), ["p", "here"]),
    "shares": (figures.share_pairs({"Oslo": (1.0, 2.0)}, ("a", "b"), "t"), ["Oslo", "a", "b"]),
    "strategies": (figures.strategy_bars({"same": (5, 10)}, {"same": 4.0}, "t"), ["same, n = 10", "50.0 %"]),
    "regions": (figures.region_matrix(np.eye(2) * 60, ["A", "B"], ["A", "B"]), ["A", "B", "60"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_figure_shows_its_data(name):
    figure, expected = CASES[name]
    found = words(figure)
    assert all(text in found for text in expected), found
    figure.savefig(io.BytesIO(), format="png")


def test_cards_are_what_they_say_and_guesses_are_scored():
    assert sorted(card.kind for card in CARDS) == sorted(
        [figures.RETRIEVED] * 2 + [figures.CONFUSED, figures.INVENTED]
    )
    for card in CARDS:
        place = {QUESTION.format("Bo Fry"): "Rome"}.get(card.question, "Oslo")
        assert card.answer == place or card.kind == figures.INVENTED
    numbers = [i for i, card in enumerate(CARDS, 1) if card.retrieved]
    assert figures.score_of(numbers, CARDS) == 4 and figures.score_of(None, CARDS) is None
    assert figures.score_of([], CARDS) == 2 and figures.score_of([1, 2, 3, 4], CARDS) == 2
    assert figures.deal_cards(PEOPLE, [""] * 4, [], [], 4, seed=0)[0].kind == figures.CONFUSED


def test_the_game_counts():
    game = figures.retrieval_game(CARDS)
    text, buttons, said = game.children
    for n, card in enumerate(CARDS):
        assert f"{n + 1} of 4" in text.value and card.answer in text.value
        buttons.children[0 if card.retrieved or n == 0 else 1].click()
    hits = 4 - (not CARDS[0].retrieved)
    assert f"{hits} of 4" in text.value and f"Score: {hits} of 4" in said.value
    assert all(button.disabled for button in buttons.children)
