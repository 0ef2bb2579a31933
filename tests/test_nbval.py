"""What nbval compares: the cells tagged for it, whose text is the same on every machine, and nothing else."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("nbval")

ROOT = Path(__file__).parent.parent
SOLVED = sorted((ROOT / "notebooks/solved").glob("*.ipynb"))
COMPARED = "nbval-check-output"
# From run to run, or from machine to machine.
CHANGES = re.compile(r"perf_counter|seconds|\btime\b|cpu_count|a5\.device")


def compared(notebook):
    cells = enumerate(notebook.cells)
    return [number for number, cell in cells if COMPARED in cell.metadata.get("tags", [])]


@pytest.mark.parametrize("path", SOLVED, ids=lambda path: path.stem)
def test_a_compared_cell_prints_text_and_nothing_that_changes(path):
    """nbval would compare warnings and the text beside a picture, too; a silent cell compares nothing."""
    notebook = nbformat.read(path, 4)
    for number in compared(notebook):
        cell = notebook.cells[number]
        assert [output.get("name") for output in cell.outputs] == ["stdout"], cell.source
        assert not CHANGES.search(cell.source), cell.source


@pytest.mark.notebooks
def test_a_changed_value_fails_in_its_cell_and_in_no_other(tmp_path):
    notebook = nbformat.read(ROOT / "notebooks/solved/06_span_corruption.ipynb", 4)
    number = next(n for n in compared(notebook) if "restored: 100%" in notebook.cells[n].outputs[0].text)
    notebook.cells[number].outputs[0].text = "restored: 99%\n"
    nbformat.write(notebook, tmp_path / "06.ipynb")
    options = ["--nbval-lax", "--nbval-current-env", "-p", "no:cacheprovider", "-q", "06.ipynb"]
    env = os.environ | {"PYTHONPATH": str(ROOT), "A5_PROFILE": "smoke", "A5_RUNS": str(tmp_path / "runs")}
    command = [sys.executable, "-m", "pytest", *options]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    code = [n for n, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    assert done.returncode == 1, done.stdout
    assert re.findall(r"^FAILED \S+?::(?:.*?)Cell (\d+)", done.stdout, re.M) == [str(code.index(number))]
    assert re.search(rf"1 failed, {len(code) - 1} passed", done.stdout)
