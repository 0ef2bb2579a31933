"""The notebooks as their users meet them: typed parameters, short cells, checked exercises."""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest

from a5lib.classroom import exercises  # noqa: F401  registers the exercises
from a5lib.classroom.checks import EXERCISES

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "notebooks/source").glob("*.py"))
STUDENT = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLVED = sorted((ROOT / "notebooks/solved").glob("*.ipynb"))
COLD_SECONDS = 60  # at profile smoke
by_name = pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)


def code_cells(path):
    return [cell for cell in jupytext.read(path).cells if cell.cell_type == "code"]


def stub_of(cell):
    """The function or class that a cell asks for: the only one in it, with a docstring on one line."""
    (name,) = re.findall(r"^(?:def|class) (\w+)", cell.source, re.M)
    assert re.search(r'^(?:def|class) [^\n]*:\n    """[^\n]+"""\n', cell.source, re.M), cell.source
    return name


@by_name
def test_papermill_finds_typed_parameters(path):
    from papermill import inspect_notebook

    found = inspect_notebook(str(ROOT / "notebooks/solved" / f"{path.stem}.ipynb"))
    assert {name: p["inferred_type_name"] for name, p in found.items()} == {
        "profile": "str",
        "data": "str",
        "seed": "int",
        "runs": "str",
    }


@by_name
def test_cells_are_short_and_narrow(path):
    for cell in code_cells(path):
        lines = cell.source.split("\n")
        assert len(lines) <= 25 or lines[0].startswith("class "), cell.source
        assert max(map(len, lines)) <= 96, "wider than a page: " + max(lines, key=len)
    lengths = sorted(len(cell.source.split("\n")) for cell in code_cells(path))
    assert lengths[len(lengths) // 2] <= 7


@by_name
def test_every_stub_is_checked_and_every_guess_confronted(path):
    text = path.read_text(encoding="utf-8")
    stubs = [stub_of(cell) for cell in code_cells(path) if "### BEGIN SOLUTION" in cell.source]
    assert stubs
    for name in stubs:
        assert name in EXERCISES and f'{name} = check("{name}", {name})' in text
    guesses = re.findall(r"^(my_guess\w+) = None", text, re.M)
    assert guesses and all(re.search(rf"confront\(a5, [^)]*{guess},", text) for guess in guesses)


def test_every_exercise_stands_in_one_notebook():
    text = "".join(path.read_text(encoding="utf-8") for path in SOURCES)
    assert {name: text.count(f'check("{name}"') for name in EXERCISES} == dict.fromkeys(EXERCISES, 1)


@by_name
def test_committed_outputs_name_no_folder_of_the_machine_that_made_them(path):
    notebook = nbformat.read(ROOT / "notebooks/solved" / f"{path.stem}.ipynb", 4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    texts = [output.get("text") or str(output.get("data", {}).get("text/plain", "")) for output in outputs]
    assert texts and not [text for text in texts if re.search(r"(?<![\w./:])/\w+/\w+", text)]


def run_cold(path, folder):
    """Runs a notebook alone at profile smoke, with nothing trained before; returns it, and the CPU seconds.

    Of one thread: on a machine with other work, they say better than a clock how long it takes on a free one.
    """
    out, before = folder / path.name, resource.getrusage(resource.RUSAGE_CHILDREN)
    env = os.environ | {"A5_RUNS": str(folder / "runs"), "A5_PROFILE": "smoke", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "papermill", "-k", "python3", "--execution-timeout", "300", path, out]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return nbformat.read(out, 4), after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.slow
@pytest.mark.parametrize("path", STUDENT, ids=lambda path: path.stem)
def test_the_student_edition_runs_to_its_end_with_nothing_filled_in(path, tmp_path):
    """Open exercises are reported, and the cells after them go on."""
    notebook, seconds = run_cold(path, tmp_path)
    assert seconds <= COLD_SECONDS
    texts = [output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("not attempted" in text for text in texts)
    assert not any(re.search(r"^\w+: (passed|failed)", text, re.M) for text in texts)


@pytest.mark.slow
@pytest.mark.parametrize("path", SOLVED, ids=lambda path: path.stem)
def test_the_solved_edition_opened_alone_is_done_in_a_minute(path, tmp_path):
    _, seconds = run_cold(path, tmp_path)
    assert seconds <= COLD_SECONDS
