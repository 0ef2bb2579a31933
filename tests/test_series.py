"""The series: order, the report, and what happens when a notebook fails."""

import json
import sys
from types import SimpleNamespace

import pytest

pytest.importorskip("papermill")
nbformat = pytest.importorskip("nbformat")

from a5lib import series  # noqa: E402
from a5lib.errors import InputError  # noqa: E402

PARAMETERS = 'profile: str = ""\ndata: str = ""\nseed: int = 0\nruns: str = ""'


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A course with three notebooks, the third of which fails; and a stand-in for the profiles."""
    stand_in = SimpleNamespace(choose_profile=lambda name: SimpleNamespace(name=name or "quick"))
    monkeypatch.setitem(sys.modules, "a5lib.recipes", stand_in)
    folder = tmp_path / "notebooks/solved"
    folder.mkdir(parents=True)
    write = (
        "import json, pathlib\n"
        "folder = pathlib.Path(runs, profile)\n"
        'measures = {"london": 6.0, "vanilla.dev": 70.5, "seconds": {"pretrain": 1.5}, "asked": seed}\n'
        '(folder / "measures.json").write_text(json.dumps(measures))'
    )
    for name, code in {"02_b": "x = 1", "01_a": write, "03_c": "y = 1\n1 / 0"}.items():
        notebook = nbformat.v4.new_notebook()
        notebook.cells = [
            nbformat.v4.new_markdown_cell("# A title"),
            nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
            nbformat.v4.new_code_cell(code),
            nbformat.v4.new_code_cell('print("after")'),
        ]
        nbformat.write(notebook, folder / f"{name}.ipynb")
    return tmp_path


def names(paths):
    return [path.stem for path in paths]


def test_notebooks_are_chosen_by_number_or_name_in_order(root):
    folder = root / "notebooks/solved"
    assert names(series.choose_notebooks(folder)) == ["01_a", "02_b", "03_c"]
    assert names(series.choose_notebooks(folder, ["03_c", "01"])) == ["01_a", "03_c"]
    with pytest.raises(InputError, match="no notebook 7; there are: 01_a, 02_b, 03_c"):
        series.choose_notebooks(folder, ["7"])
    with pytest.raises(InputError, match="no notebooks there"):
        series.choose_notebooks(root)


def test_bad_options_are_refused_before_anything_runs(root):
    with pytest.raises(InputError, match="--data nowhere: no such folder"):
        series.main(["--data", "nowhere"], root)
    with pytest.raises(InputError, match="--timeout 0"):
        series.main(["--timeout", "0"], root)
    assert not (root / "runs").exists()


def test_unreadable_measures_are_bad_input(tmp_path):
    (tmp_path / "quick").mkdir()
    (tmp_path / "quick/measures.json").write_text("{")
    with pytest.raises(InputError, match="measures.json: is no JSON"):
        series.make_report(series.Settings("quick", 0, "", tmp_path), [])


@pytest.mark.notebooks
def test_a_failure_is_named_what_ran_is_kept_and_the_report_is_written(root, capsys):
    assert series.main(["01", "03", "--seed", "5", "--runs", str(root / "out")], root) == 1
    told = capsys.readouterr()
    assert "03_c: cell 3 (y = 1): ZeroDivisionError: division by zero" in told.err
    assert told.out.index("01_a") < told.out.index("03_c") and "failed" in told.out

    folder = root / "out/quick"
    kept = nbformat.read(folder / "notebooks/01_a.ipynb", as_version=4)
    assert kept.cells[-1].outputs[0].text == "after\n"
    assert (folder / "notebooks/03_c.ipynb").exists()

    report = json.loads((folder / "report.json").read_text())
    assert (report["london"], report["nopretrain.dev"], report["vanilla.dev"]) == (6.0, None, 70.5)
    assert (report["profile"], report["seed"], report["asked"]) == ("quick", 5, 5)
    assert set(report["seconds"]) == {"pretrain", "01_a", "03_c"}
    assert set(report["versions"]) == {"python", "torch", "numpy", "a5lib"}
    assert set(report["failed"]) == {"03_c"}
    assert sorted(path.name for path in folder.iterdir()) == ["measures.json", "notebooks", "report.json"]


@pytest.mark.notebooks
def test_a_cell_that_takes_too_long_is_named(root):
    path = root / "notebooks/solved/02_b.ipynb"
    path.write_text(path.read_text().replace("x = 1", "while True: pass"))
    settings = series.Settings("smoke", 0, "", root / "runs", timeout=1)
    (outcome,) = series.run_series([path], settings, root)
    assert outcome.error.startswith("cell 3 (while True: pass): A cell timed out")
