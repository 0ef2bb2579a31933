"""A sweep: a notebook for each variant and seed, and all results in one table and one figure."""

import json

import pytest

pytest.importorskip("papermill")
nbformat = pytest.importorskip("nbformat")

from a5lib import sweep  # noqa: E402
from a5lib.display.sweep import seeds_figure  # noqa: E402
from a5lib.errors import InputError  # noqa: E402

ROWS = [
    {"variant": "vanilla", "seed": 0, "correct": 3, "total": 4, "seconds": 1.0},
    {"variant": "vanilla", "seed": 1, "correct": 1, "total": 4, "seconds": 1.0},
    {"variant": "perceiver", "seed": 0, "correct": 2, "total": 4, "seconds": 1.0},
]


def test_the_table_has_a_line_for_each_variant_with_mean_and_deviation():
    assert sweep.table(ROWS).split("\n")[2:] == [
        "| vanilla | 2 | 75.0, 25.0 | 50.0 | 35.4 |",
        "| perceiver | 1 | 50.0 | 50.0 | - |",
        "",
    ]


def test_the_figure_has_a_ring_for_each_seed_and_a_bar_at_the_mean():
    axes = seeds_figure(sweep.scores_by_variant(ROWS), 6.7).axes[0]
    rings = [ring.get_offsets().tolist() for ring in axes.collections]
    assert rings == [[[75.0, 0.0], [25.0, 0.0]], [[50.0, 1.0]]]
    assert [line.get_xdata()[0] for line in axes.lines] == [6.7, 50.0, 50.0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["vanilla", "perceiver"]


def test_bad_options_are_refused_before_anything_runs(tmp_path):
    for arguments, message in (
        (["--variants", "vanila"], "no variant vanila; there are: vanilla"),
        (["--timeout", "0"], "--timeout 0: must be"),
        (["--data", str(tmp_path)], "wiki.txt"),
    ):
        with pytest.raises(InputError, match=message):
            sweep.main([*arguments, "--runs", str(tmp_path / "runs"), "--profile", "smoke"])
    assert not (tmp_path / "runs").exists()


@pytest.mark.notebooks
def test_a_run_that_fails_leaves_its_notebook_and_a_line_and_the_others_go_on(
    corpus_folder, monkeypatch, capsys
):
    """The failing one asks the kernel for a variant that the command line did not know of, either."""
    monkeypatch.setattr(sweep, "VARIANTS", ("vanilla", "no_such"))
    options = ["--variants", "no_such", "vanilla", "--seeds", "1", "--profile", "smoke", "--data", "."]
    assert sweep.main([*options, "--runs", "runs"]) == 1
    told, folder = capsys.readouterr(), corpus_folder / "runs/sweep/smoke"
    (line,) = told.err.strip().split("\n")
    assert line.startswith("no_such-seed-1: cell 2 (from a5lib.display.live") and "InputError" in line

    left = nbformat.read(folder / "no_such-seed-1.ipynb", 4)
    errors = [out for cell in left.cells for out in cell.get("outputs", []) if out.output_type == "error"]
    assert errors and errors[0].ename == "InputError"
    report = json.loads((folder / "sweep.json").read_text())
    assert [(row["variant"], row["seed"], row["total"]) for row in report["rows"]] == [("vanilla", 1, 3)]
    assert list(report["failed"]) == ["no_such-seed-1"]
    assert "| vanilla | 1 |" in (folder / "sweep.md").read_text() and "| vanilla | 1 |" in told.out
    assert (folder / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "vanilla-seed-1.ipynb").exists()
