"""The series: order, the report, and what happens when a notebook fails."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

pytest.importorskip("papermill")
nbformat = pytest.importorskip("nbformat")

from a5lib import files, series  # noqa: E402
from a5lib.errors import InputError  # noqa: E402

PARAMETERS = 'profile: str = ""\ndata: str = ""\nseed: int = 0\nruns: str = ""'


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A course with three notebooks, the third of which fails; and a stand-in for the profiles."""
    stand_in = SimpleNamespace(
        choose_profile=lambda name: SimpleNamespace(name=name or "quick", folder=tmp_path)
    )
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
    assert sorted(path.name for path in folder.iterdir()) == [
        "measures.json", "notebooks", "report.json", "series.json"
    ]  # fmt: skip


@pytest.mark.notebooks
def test_a_cell_that_takes_too_long_is_named(root):
    path = root / "notebooks/solved/02_b.ipynb"
    path.write_text(path.read_text().replace("x = 1", "while True: pass"))
    settings = series.Settings("smoke", 0, "", root / "runs", timeout=1)
    (outcome,) = series.run_series([path], settings, root)
    assert outcome.error.startswith("cell 3 (while True: pass): A cell timed out")


# Cut off.

COUNT = 'with open(runs + "/log", "a") as log:\n    log.write("{}\\n")'
TRAIN = """
import time
from dataclasses import replace
from a5lib import pipeline

pipeline.SAVE_SECONDS = 0
a5 = pipeline.Pipeline(profile, data, seed, runs)
a5.recipe = replace(a5.recipe, pretrain=replace(a5.recipe.pretrain, max_epochs=30))

def slow(trainer):
    time.sleep(0.1 if trainer.step > 5 and "cut" in runs else 0)
    with open(runs + "/log", "a") as log:
        log.write(f"{trainer.step}\\n")

stage = a5.pretrain(callbacks=[slow])
print(len(stage.history))
"""


@pytest.fixture
def training_root(tmp_path, corpus_folder):
    """A course with three notebooks: each leaves a line in runs/log, the second trains 30 steps."""
    (tmp_path / "notebooks/solved").mkdir(parents=True)
    for name, code in {"01_a": COUNT.format("a"), "02_b": TRAIN, "03_c": COUNT.format("c")}.items():
        notebook = nbformat.v4.new_notebook()
        parameters = nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
        notebook.cells = [parameters, nbformat.v4.new_code_cell(code)]
        nbformat.write(notebook, tmp_path / f"notebooks/solved/{name}.ipynb")
    return tmp_path


def run_series(root, runs):
    """As `make series`: in a process of its own."""
    (root / runs).mkdir(exist_ok=True)
    call = f"from pathlib import Path; from a5lib import series; series.main({[*FLAGS, runs]!r}, Path())"
    return subprocess.Popen([sys.executable, "-c", call], cwd=root, stdout=subprocess.PIPE, text=True)


FLAGS = ["--profile", "smoke", "--data", ".", "--runs"]


@pytest.mark.notebooks
def test_a_series_that_was_killed_goes_on_with_the_notebook_and_the_step_that_it_had_come_to(training_root):
    root, log = training_root, training_root / "cut/log"
    first = run_series(root, "cut")
    deadline = time.monotonic() + 120
    while not (log.exists() and log.read_text().count("\n") > 10) and time.monotonic() < deadline:
        time.sleep(0.02)
    first.kill()
    first.wait()
    assert json.loads((root / "cut/smoke/series.json").read_text())["done"].keys() == {key(root, "01_a")}

    told = run_series(root, "cut").communicate(timeout=300)[0]
    assert "done before" in told.splitlines()[0] and told.splitlines()[0].startswith("01_a")
    a, *steps, c = log.read_text().split()
    assert (a, c) == ("a", "c"), "the first notebook was run again"
    steps = [int(step) for step in steps]
    (again,) = [i for i in range(1, len(steps)) if steps[i] <= steps[i - 1]] or [len(steps)]
    assert len(steps) - 30 <= 1, "more than the unsaved step was repeated"
    assert steps[:again] == list(range(1, again + 1)) and steps[-1] == 30

    run_series(root, "whole").communicate(timeout=300)
    stages = [next((root / runs / "smoke").glob("vanilla-*")) for runs in ("cut", "whole")]
    assert stages[0].name == stages[1].name
    params = [(stage / "model.params").read_bytes() for stage in stages]
    assert params[0] == params[1]
    assert not (root / "cut/smoke/series.json").exists()


def key(root, name):
    return series._key(root / f"notebooks/solved/{name}.ipynb")


def test_what_is_done_counts_for_the_same_notebook_and_settings_only(tmp_path):
    """A result taken over from other settings would be a wrong one."""
    notebook, result = tmp_path / "01_a.ipynb", tmp_path / "result.ipynb"
    for file in (notebook, result, tmp_path / "wiki.txt"):
        file.write_text("one")
    settings = series.Settings("smoke", 0, "", tmp_path / "runs", corpus=tmp_path)

    def known(settings):
        return series._Progress(settings).outcome(notebook, result)

    series._Progress(settings).add(notebook, series.Outcome("01_a", 1.5))
    assert known(settings) == series.Outcome("01_a", 1.5, kept=True)
    assert known(replace(settings, seed=1)) is None
    for file in (notebook, tmp_path / "wiki.txt"):
        file.write_text("two")
        assert known(settings) is None
        file.write_text("one")
    result.unlink()
    assert known(settings) is None


def test_a_part_of_a_series_forgets_only_itself(tmp_path):
    a, b = tmp_path / "01_a.ipynb", tmp_path / "02_b.ipynb"
    for path in (a, b):
        path.write_text("x")
    progress = series._Progress(series.Settings("smoke", 0, "", tmp_path / "runs", corpus=tmp_path))
    for path in (a, b):
        progress.add(path, series.Outcome(path.stem, 1))
    progress.end([b])
    assert list(json.loads(progress.path.read_text())["done"]) == [series._key(a)]
    progress.end([a])
    assert not progress.path.exists()


def test_two_series_in_one_folder_and_what_is_no_notebook_are_refused(root, monkeypatch):
    monkeypatch.setattr(files, "PATIENCE", 0)
    (root / "notebooks/solved/02_b.ipynb").write_text("{}")
    with pytest.raises(InputError, match=r"02_b\.ipynb: is no notebook"):
        series.main([], root)
    with files.held(root / "runs/quick"), pytest.raises(InputError, match="another run is at work there"):
        series.main(["01"], root)
