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
from a5lib.classroom.checks import EXERCISES, PASSED, run_check
from a5lib.classroom.editions_build import STUB, build
from a5lib.classroom.points import CODE, TABLE
from a5lib.classroom.progress import read_record
from a5lib.classroom.written import WRITTEN

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


HEAD = re.compile(r"^# > \*\*Exercise (\d+)\*\*([^\n]*)", re.M)


@by_name
def test_exercises_are_numbered_and_say_the_points_and_the_question_of_the_table(path):
    text = path.read_text(encoding="utf-8")
    heads = list(HEAD.finditer(text))
    assert [int(head[1]) for head in heads] == list(range(1, len(heads) + 1))
    for head in heads:
        exercise = EXERCISES[re.search(r'= check\("(\w+)"', text[head.end() :])[1]]
        points = re.search(r"· ([\d.]+) points? \(question (\d\w)(-[iv]+)?\)$", head[2])
        told = (float(points[1]), points[2]) if points else (0, "")
        assert told == (exercise.points, exercise.question), exercise.name
    written = re.findall(r"\*\*In writing\*\*[^\n]*?([\d.]+) points? \(question ([\w-]+)\)", text)
    assert all(float(points) == WRITTEN[name].points for points, name in written)


@by_name
def test_each_notebook_ends_with_the_points_so_far(path):
    assert code_cells(path)[-1].source.endswith("\n\npoints_so_far()")


def solutions(path):
    """Name and object of each exercise as the source solves it, its cells run one after the other."""
    space, asked = {"__name__": "solutions"}, []
    for cell in code_cells(path):
        imports = re.findall(r"^(?:import|from (?!a5lib\.display)) ?[^\n(]*$", cell.source, re.M)
        solved = "### BEGIN SOLUTION" in cell.source
        exec(cell.source if solved else "\n".join(imports), space)
        if solved:
            asked.append((stub_of(cell), space[stub_of(cell)]))
    return asked


def test_the_solutions_earn_all_points_that_need_no_training():
    results = [run_check(*solution) for path in SOURCES for solution in solutions(path)]
    assert [str(result) for result in results if result.state != PASSED] == []
    assert sum(result.points for result in results) == sum(i.points for i in TABLE if i.kind == CODE) == 44


def test_every_exercise_stands_in_one_notebook():
    text = "".join(path.read_text(encoding="utf-8") for path in SOURCES)
    assert {name: text.count(f'check("{name}"') for name in EXERCISES} == dict.fromkeys(EXERCISES, 1)


@by_name
def test_committed_outputs_name_no_folder_of_the_machine_that_made_them(path):
    notebook = nbformat.read(ROOT / "notebooks/solved" / f"{path.stem}.ipynb", 4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    texts = [output.get("text") or str(output.get("data", {}).get("text/plain", "")) for output in outputs]
    assert texts and not [text for text in texts if re.search(r"(?<![\w./:])/\w+/\w+", text)]


def filled_in(path):
    """The student edition, its stubs replaced by the source's solutions."""
    student, solved = build(ROOT / "notebooks/source" / f"{path.stem}.py")
    stub_like = re.compile(r'^(?:def|class) [^\n]*:\n    """[^\n]+"""\n', re.M)
    code = [cell for cell in solved.cells if cell.cell_type == "code" and stub_like.search(cell.source)]
    solutions = {
        name: cell.source for cell in code for name in re.findall(r"^(?:def|class) (\w+)", cell.source, re.M)
    }
    for cell in student.cells:
        if cell.cell_type == "code" and STUB in cell.source:
            cell.source = solutions[stub_of(cell)]
    return student


@pytest.mark.slow
@pytest.mark.notebooks
@pytest.mark.parametrize("path", STUDENT, ids=lambda path: path.stem)
def test_the_student_edition_filled_in_earns_its_points(path, tmp_path, monkeypatch):
    """Kernel, checks, and what is kept in the student's folder."""
    monkeypatch.setenv("A5_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("A5_PROFILE", "smoke")
    nbformat.write(filled_in(path), tmp_path / path.name)
    arguments = ["-k", "python3", "--execution-timeout", "300", "--cwd", str(ROOT), tmp_path / path.name]
    command = [sys.executable, "-m", "papermill", *arguments, tmp_path / "out.ipynb"]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    source = ROOT / "notebooks/source" / f"{path.stem}.py"
    names = re.findall(r'= check\("(\w+)"', source.read_text(encoding="utf-8"))
    kept = read_record(tmp_path / "runs/mine")["checks"]
    assert kept.keys() == set(names) and all(entry["passed"] for entry in kept.values())
    assert sum(e["points"] for e in kept.values()) == sum(EXERCISES[name].points for name in names)


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
    shown = [str(o.get("data", {}).get("text/plain", "")) for c in notebook.cells
             for o in c.get("outputs", [])]  # fmt: skip
    assert any(page.startswith("Points so far: 0 of 60") for page in shown)
    assert not (tmp_path / "runs/mine/progress.json").exists()
    assert not any(re.search(r"^\w+: (passed|failed)", text, re.M) for text in texts)


@pytest.mark.slow
@pytest.mark.parametrize("path", SOLVED, ids=lambda path: path.stem)
def test_the_solved_edition_opened_alone_is_done_in_a_minute(path, tmp_path):
    _, seconds = run_cold(path, tmp_path)
    assert seconds <= COLD_SECONDS
