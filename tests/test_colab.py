"""The set-up cell as Colab runs it: a notebook alone, on a machine that has torch and numpy of its own.

The machine is an environment that sees this one's packages through links, all but the course and pooch, and
the repository is a folder. No network is needed.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("jupytext")

from a5lib.classroom import colab as a5_colab  # noqa: E402
from a5lib.classroom.durations import CHOSEN, MINUTES, NEEDS, how_long  # noqa: E402
from a5lib.classroom.editions_build import SET_UP, filled_source  # noqa: E402
from a5lib.classroom.setup import ready  # noqa: E402
from a5lib.errors import InputError  # noqa: E402

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "notebooks/source").glob("*.py"))
LACKING = ("a5lib", "__editable__", "pooch")  # what the machine does not have
# Runs the cell twice, with the repository gone the second time, and says what is there after each.
COLAB = """
import importlib.metadata, json, os, shutil, sys
from pathlib import Path
from types import ModuleType
from IPython.core.interactiveshell import InteractiveShell

cell, parameters, origin, told = json.loads(sys.argv[1])
colab, drive = ModuleType("google.colab"), ModuleType("google.colab.drive")
drive.mount = lambda path: Path(path, "MyDrive").mkdir(parents=True, exist_ok=True)
colab.drive = drive
sys.modules |= {"google.colab": colab, "google.colab.drive": drive}
shell = InteractiveShell.instance()
shell.user_ns |= parameters
seen = []
for _ in range(2):
    shell.run_cell(cell).raise_error()
    seen.append({
        "library": sys.modules["a5lib"].__file__,
        "works in": os.getcwd(),
        "runs": os.path.abspath(shell.user_ns["a5"].folder),
        "pip's log": os.path.getsize(os.environ["PIP_LOG"]),
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "numpy")},
    })
    shutil.rmtree(origin, ignore_errors=True)
Path(told).write_text(json.dumps(seen))
"""


def wheel(folder, name, version, needs):
    """A package of one empty module."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


def repository(folder, content):
    """The course as a repository of one commit, whose /content is `content`."""
    for name in ("a5lib", "data/quick", "pyproject.toml", "README.md", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, folder / name)
    module = folder / "a5lib/classroom/colab.py"
    assert 'Path("/content")' in module.read_text()
    module.write_text(module.read_text().replace('Path("/content")', f'Path("{content}")'))
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-q", "-m", "the course"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


@pytest.fixture
def colab(tmp_path):
    """`run(parameters)` runs the set-up cell twice; `packages()` are what pip has put on the machine."""
    content, origin, links = tmp_path / "content", tmp_path / "origin", tmp_path / "links"
    content.mkdir()
    links.mkdir()
    for folder in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in Path(folder).iterdir():
            if not entry.name.startswith(LACKING):
                (links / entry.name).symlink_to(entry)
    machine = tmp_path / "machine"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", machine], check=True)
    (site,) = machine.glob("lib/python*/site-packages")
    (site / "links.pth").write_text(f"{links}\n")
    repository(origin, content)
    notebook = filled_source(ROOT / "notebooks/source/06_span_corruption.py", f"file://{origin}")
    (cell,) = [cell.source for cell in notebook.cells if SET_UP in cell.source]
    cell = cell.replace("/content/", f"{content}/")
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "A5_RUNS")}
    env |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels"),
            "PIP_NO_BUILD_ISOLATION": "0", "PIP_LOG": str(tmp_path / "pip.log"),
            "IPYTHONDIR": str(tmp_path / "ipython")}  # fmt: skip

    def run(**parameters):
        parameters = {"profile": "smoke", "data": "", "seed": 0, "runs": ""} | parameters
        told = tmp_path / "told.json"
        given = json.dumps([cell, parameters, str(origin), str(told)])
        command = [machine / "bin/python", "-c", COLAB, given]
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout, json.loads(told.read_text())

    def packages():
        return {entry.name for entry in site.iterdir()}

    return SimpleNamespace(run=run, packages=packages, content=content, wheels=tmp_path / "wheels")


@pytest.mark.notebooks
def test_the_set_up_cell_makes_colab_ready_and_a_second_time_does_nothing(colab):
    wheel(colab.wheels, "pooch", "1.8.0", "Requires-Dist: numpy\n")
    wheel(colab.wheels, "numpy", "99.0", "")
    wheel(colab.wheels, "torch", "99.0", "")
    said, (first, second) = colab.run()
    assert first["library"] == f"{colab.content}/a5/a5lib/__init__.py"
    assert first["works in"] == f"{colab.content}/a5"
    assert first["runs"] == f"{colab.content}/a5/runs/smoke"
    assert first["versions"] == {name: a5_colab.version(name) for name in ("torch", "numpy")}
    assert second == first, "nothing more for pip to do, and no second clone"
    installed = {re.sub(r"[-.].*", "", name) for name in colab.packages() if "__" not in name}
    assert installed == {"a5lib", "links", "pooch"}
    assert len(list((colab.content / "a5/.git").glob("shallow"))) == 1
    assert "Profile smoke on a" in said and "The machine works at most a minute on this notebook." in said
    assert 'runs = "drive" above keeps it on your Drive' in said


@pytest.mark.notebooks
def test_a_package_that_wants_another_numpy_is_refused_in_one_line_and_results_go_to_drive(colab):
    wheel(colab.wheels, "pooch", "1.8.0", "Requires-Dist: numpy>=99\n")
    wheel(colab.wheels, "numpy", "99.0", "")
    said, (first, _) = colab.run(runs="drive")
    assert "pip could not install pooch>=1.8: " in said
    assert not any(name.startswith(("numpy", "pooch")) for name in colab.packages())
    assert first["versions"]["numpy"] == a5_colab.version("numpy")
    assert first["runs"] == f"{colab.content}/drive/MyDrive/a5/runs/smoke"
    assert "on your Drive" not in said


def test_drive_is_for_colab():
    with pytest.raises(InputError, match='"drive" is for Colab; elsewhere name a folder'):
        ready("06_span_corruption", profile="smoke", runs="drive")


def test_every_notebook_says_how_long_it_takes():
    names = {path.stem for path in SOURCES}
    assert set(MINUTES["cpu"]) | set(MINUTES["cuda"]) | set(NEEDS) <= names
    assert how_long("06_span_corruption", "cpu", "quick") == (
        "The machine works about 10 seconds on this notebook."
    )
    first = round(MINUTES["cpu"]["05_birthplaces"] + MINUTES["cpu"]["07_pretraining"])
    needed = f"and {first} minutes more if it has to make the models of 05 and 07 first."
    assert how_long("08_finetuning", "cpu", "quick").endswith(needed)
    assert "at profile full on a CPU has not been measured" in how_long("08_finetuning", "cpu", "full")
    assert all(MINUTES["cpu"][name] > 0 for names in NEEDS.values() for name in names)
    assert set(CHOSEN) == set(MINUTES)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_a_notebook_that_trains_asks_colab_for_a_gpu_and_no_other_does(path):
    metadata = filled_source(path, "https://github.com/someone/a5").metadata
    text = path.read_text(encoding="utf-8")
    trains = any(call in text for call in (".pretrain(", ".finetune(", "Trainer("))
    assert (metadata.get("accelerator") == "GPU") == trains
    assert ("colab" in metadata) == trains
