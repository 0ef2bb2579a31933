"""The assignment's 60 points, and what earns them: one table, for checks, written answers and grading.

A question's points are those of the assignment. Where it asks for code, the exercises of the notebooks share
them; where it asks for a model's answers, the files of predictions do, if they come from the parameters
handed in and enough of them are right; what stays prose has a rubric (`written`). What is not in the table
(practice) earns nothing. Knows no check and no rubric.
"""

from dataclasses import dataclass

CODE, WRITING, PREDICTIONS = "code", "writing", "predictions"

QUESTIONS = {
    "1a": 5, "1b": 7, "1c": 5, "1d": 3,
    "2d": 5, "2e": 10, "2f": 10, "2g": 10,
    "3a": 1, "3b": 2, "3c": 2,
}  # fmt: skip


@dataclass(frozen=True)
class Item:
    """Something that earns points: an exercise, a written answer, or a file of predictions.

    `at_least` is for predictions: the percentage of right answers that the points ask for; 0 asks only that
    the predictions come from the parameters.
    """

    question: str
    name: str
    points: float
    kind: str = CODE
    at_least: float = 0.0


TABLE = (
    Item("1a", "lookup_weights", 0.5),
    Item("1a", "draw_index", 0.5),
    Item("1a", "peak_weight", 1),
    Item("1a", "gap_needed", 1),
    Item("1a", "copying_query", 0.5),
    Item("1a", "copy_error", 0.5),
    Item("1a", "1a-iv", 1, WRITING),
    Item("1b", "extract", 3),
    Item("1b", "averaging_query", 2),
    Item("1b", "shortfall", 1),
    Item("1b", "beta_needed", 1),
    Item("1c", "query_for_both", 1),
    Item("1c", "score_noise", 1),
    Item("1c", "working_beta", 1),
    Item("1c", "stretched_keys", 0.5),
    Item("1c", "one_head_weight", 0.5),
    Item("1c", "one_head_variance", 0.5),
    Item("1c", "share_undecided", 0.5),
    Item("1d", "two_queries", 1),
    Item("1d", "first_head_weight", 1),
    Item("1d", "switch_norm", 0.5),
    Item("1d", "variance_left", 0.5),
    Item("2d", "training_step", 2),
    Item("2d", "london_percent", 1),
    Item("2d", "vanilla.nopretrain.dev.predictions", 1, PREDICTIONS),
    Item("2d", "vanilla.nopretrain.test.predictions", 1, PREDICTIONS),
    Item("2e", "truncate", 2.5),
    Item("2e", "choose_span", 2.5),
    Item("2e", "rearrange", 2.5),
    Item("2e", "corrupt_span", 2.5),
    Item("2f", "rate_factor", 2),
    Item("2f", "load_pretrained", 2),
    Item("2f", "answer_of", 1),
    Item("2f", "vanilla.pretrain.dev.predictions", 2.5, PREDICTIONS, at_least=10),
    Item("2f", "vanilla.pretrain.test.predictions", 2.5, PREDICTIONS, at_least=10),
    Item("2g", "DownProjectBlock", 3),
    Item("2g", "UpProjectBlock", 2),
    Item("2g", "attention_cost", 2),
    Item("2g", "perceiver.pretrain.dev.predictions", 1.5, PREDICTIONS, at_least=6),
    Item("2g", "perceiver.pretrain.test.predictions", 1.5, PREDICTIONS, at_least=5),
    Item("3a", "3a", 1, WRITING),
    Item("3b", "3b", 2, WRITING),
    Item("3c", "3c", 2, WRITING),
)

ITEMS = {item.name: item for item in TABLE}


def points_of(name: str) -> float:
    """What an exercise, a written answer or a file of predictions is worth; 0 for practice."""
    return ITEMS[name].points if name in ITEMS else 0.0


def question_of(name: str) -> str:
    """The question that it belongs to, such as `2e`; empty for practice."""
    return ITEMS[name].question if name in ITEMS else ""
