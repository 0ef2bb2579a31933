"""The worked examples of CONTRIBUTING: each is put where the text says, in a copy of the course."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_readme import BLOCK, commands_of, smaller

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbgrader")

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PLACED = re.compile(
    r"In (the new file )?`([\w/.]+\.py)`(?:, ([^:`]*)(?:`(\w+)`)?)?:\n\n```python\n(.*?)```", re.S
)


def section(title):
    return TEXT.split(f"## {title}\n")[1].split("\n## ")[0]


def place(root, text):
    """Do to `root` what `text` says; returns how many examples it has."""
    found = PLACED.findall(text)
    for is_new, name, where, anchor, code in found:
        path = root / name
        assert path.exists() != bool(is_new), name
        old = "" if is_new else path.read_text(encoding="utf-8")
        if where == "before ":
            at = re.search(rf"^{anchor}\b", old, re.M).start()
        elif where == "first in ":
            at = re.search(rf"^def {anchor}\(.*:\n", old, re.M).end()
        else:
            assert is_new or where == "at its end", where
            at = len(old)
        new = old[:at] + code + old[at:]
        for line in re.findall(rf"`{anchor}` gets a line `([^`]+)`", text) if anchor else []:
            new = re.sub(rf"^({anchor}\b.*\{{\n)", rf"\1    {line}\n", new, flags=re.M)
            assert line in new
        path.write_text(new, encoding="utf-8")
    return len(found)


@pytest.fixture
def course(tmp_path):
    """A copy of the course without its notebooks, and `run`: Python there; returns what it printed."""
    root = tmp_path / "a5"
    for name in ("a5lib", "tests", "data"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, root)
    (root / "notebooks/source").mkdir(parents=True)
    env = os.environ | {"PYTHONPATH": str(root), "A5_PROFILE": "smoke", "A5_RUNS": str(tmp_path / "runs")}

    def run(*arguments):
        command = [sys.executable, *map(str, arguments)]
        done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return root, run


@pytest.mark.notebooks
def test_an_exercise_and_a_notebook_are_added(course):
    root, run = course
    assert place(root, section("Add an exercise")) == 2
    assert place(root, section("Add a notebook")) == 1
    assert "12_initials: executed" in run("-m", "a5lib.classroom.editions", "build", "12")
    assert "are up to date" in run("-m", "a5lib.classroom.editions", "check")
    solved = nbformat.read(root / "notebooks/solved/12_initials.ipynb", 4)
    printed = [out.text for cell in solved.cells for out in cell.get("outputs", []) if "text" in out]
    assert any(text.startswith("initials: passed") for text in printed), printed
    assert re.search(r"You made no prediction. Measured: \d[\d.]* %", printed[-1])
    student = (root / "notebooks/12_initials.ipynb").read_text()
    assert "your turn" in student and "word[0] for word" not in student
    assert "| 12 | [Initials: two letters of a name]" in (root / "README.md").read_text()
    wrong = "from a5lib.classroom.checks import run_check; print(run_check('initials', lambda n: n[:1]))"
    assert "only the first word was read" in run("-c", wrong)


@pytest.mark.notebooks
def test_a_variant_is_added(course):
    root, run = course
    assert place(root, section("Add a variant")) == 3
    (block,) = [text for language, text in BLOCK.findall(section("Add a variant")) if language == "sh"]
    tests, sweep = (smaller(command).split() for command in commands_of(block))
    assert tests[0] == sweep[0] == "python"
    assert re.search(r"\b\d\d passed", run(*tests[1:])), "the tests are not run for it"
    assert re.search(r"^\| average \| 1 \| ", run(*sweep[1:]), re.M)
