"""What contributors are held to before a commit: the hooks' commands, called as pre-commit calls them."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
yaml = pytest.importorskip("yaml")

from a5lib.classroom.editions import main  # noqa: E402
from a5lib.errors import InputError  # noqa: E402

ROOT = Path(__file__).parent.parent
CONFIG = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
HOOKS = {hook["id"]: hook for repo in CONFIG["repos"] for hook in repo["hooks"]}
HERE = Path(sys.executable).parent


def hook(name, *files):
    """Run a hook's command on files, in this environment."""
    command = shlex.split(HOOKS[name]["entry"].replace(".venv/bin/", f"{HERE}/"))
    return subprocess.run([*command, *map(str, files)], cwd=ROOT, capture_output=True, text=True)


def notebook_with_a_widget(path):
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "IntSlider()"}
    cell = nbformat.v4.new_code_cell("slider")
    cell.outputs = [
        nbformat.v4.new_output("display_data", view),
        nbformat.v4.new_output("stream", text="kept"),
    ]
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    nbformat.write(notebook, path)
    return path


def test_no_hook_needs_a_network_and_each_is_tested_here():
    assert {repo["repo"] for repo in CONFIG["repos"]} == {"local"}
    assert {hook["language"] for hook in HOOKS.values()} == {"system"}
    assert set(HOOKS) == {"ruff", "widget-state", "editions"}


def test_ruff_refuses_an_unused_import(tmp_path):
    bad = tmp_path / "bad.py"
    bad.write_text("import os\n")
    done = hook("ruff", bad)
    assert done.returncode == 1 and "F401" in done.stdout


def test_widget_state_is_stripped_once(tmp_path, capsys):
    path = notebook_with_a_widget(tmp_path / "a.ipynb")
    assert main(["strip", str(path)]) == 1
    assert capsys.readouterr().out == f"{path}: widget state removed\n"
    notebook = nbformat.read(path, 4)
    assert "widgets" not in notebook.metadata
    assert [output.output_type for output in notebook.cells[0].outputs] == ["stream"]
    before = path.read_bytes()
    assert main(["strip", str(path)]) == 0 and path.read_bytes() == before
    (tmp_path / "b.ipynb").write_text("{")
    with pytest.raises(InputError, match="b.ipynb: is no notebook"):
        main(["strip", str(tmp_path / "b.ipynb")])


def test_the_hooks_pass_on_what_is_committed():
    notebooks = sorted((ROOT / "notebooks").glob("**/*.ipynb"))
    for name, files in (("widget-state", notebooks), ("editions", ())):
        done = hook(name, *files)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.notebooks
def test_pre_commit_itself_stops_a_commit(tmp_path):
    """In a repository of its own, whose .venv is this environment."""
    pytest.importorskip("pre_commit")
    shutil.copy(ROOT / ".pre-commit-config.yaml", tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/bin").symlink_to(HERE)
    (tmp_path / "bad.py").write_text("import os\n")
    for command in (["init", "-q"], ["add", "bad.py", ".pre-commit-config.yaml"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    command = [sys.executable, "-m", "pre_commit", "run", "ruff"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "F401" in done.stdout, done.stdout + done.stderr
    (tmp_path / "bad.py").write_text("x = 1\n")
    subprocess.run(["git", "add", "bad.py"], cwd=tmp_path, check=True)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
