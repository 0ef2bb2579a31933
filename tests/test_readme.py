"""README and CONTRIBUTING: every command in them is run, every link leads somewhere.

Each block of commands is one script, run in a copy of the course, at profile smoke and with one seed. What
would set up an environment or need a network is replaced by something that checks it (`STANDS_IN`). A command
that is in no list here fails: say how to run it.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("papermill")

from a5lib.classroom.editions import sources  # noqa: E402
from a5lib.classroom.editions_build import repository_address  # noqa: E402
from a5lib.classroom.editions_readme import filled_readme  # noqa: E402

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "CONTRIBUTING.md")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)")
FIGURE = re.compile(r"!\[([^\]]*)\]\((figures/[^)]+)\)")
PLACES = re.compile(r"`((?:a5lib|tests|notebooks|figures|data)/[\w./-]*)`")
KNOWN = {"cd", "git", "make", "mkdir", "papermill", "pre-commit", "python", "source", "tensorboard",
         "torchrun"}
EXAMPLE = "--variants average"  # a variant that is not there
LONG = ("a5lib series", "a5lib.sweep", "papermill")
# Commands that are answered by a script of this test, in the place of the program of that name.
STANDS_IN = {
    "make": '"{make}" -n -C "{root}" "$@" >/dev/null',
    "tensorboard": '"{bin}/tensorboard" --inspect "$@" | grep train/loss >/dev/null',
    "pre-commit": '"{bin}/pre-commit" "$1" --help >/dev/null',
}
SMALLER = ((r"--profile \w+", "--profile smoke"), (r"-p profile \w+", "-p profile smoke"),
           (r"--seeds [\d ]+", "--seeds 0 "), (r"perceiver perceiver_ar", "perceiver"))  # fmt: skip


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def commands_of(text):
    """The commands of a block, one a line, without comments."""
    lines = re.sub(r"\\\n\s*", "", text).split("\n")
    commands = [re.sub(r"(^|\s)#.*", "", line).strip() for line in lines]
    return [command for command in commands if command]


def blocks():
    """The blocks of commands of all pages, but those of the examples that test_contributing runs."""
    found = []
    for page in PAGES:
        for number, (language, text) in enumerate(BLOCK.findall(text_of(page)), 1):
            if language == "sh" and EXAMPLE not in text:
                marks = [pytest.mark.slow] if any(long in text for long in LONG) else []
                marks.append(pytest.mark.notebooks)
                found.append(pytest.param(commands_of(text), id=f"{page}-{number}", marks=marks))
    return found


def smaller(command):
    for old, new in SMALLER:
        command = re.sub(old, new, command)
    return command


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A copy of the course, and the environment in which commands run there."""
    copy = tmp_path_factory.mktemp("course") / "a5"
    left_out = shutil.ignore_patterns(".git", ".venv*", "runs", "expt", "build", "__pycache__", "*.params*")
    shutil.copytree(ROOT, copy, ignore=left_out)
    (copy / ".venv/bin").mkdir(parents=True)
    (copy / ".venv/bin/activate").write_text("")
    programs, here = copy.parent / "programs", Path(sys.executable).parent
    programs.mkdir()
    for name, script in STANDS_IN.items():
        text = script.format(make=shutil.which("make"), root=copy, bin=here)
        (programs / name).write_text(f"#!/usr/bin/env bash\nset -eo pipefail\n{text}\n")
        (programs / name).chmod(0o755)
    env = os.environ | {"PATH": f"{programs}:{here}:{os.environ['PATH']}", "PYTHONPATH": str(copy),
                        "A5_PROFILE": "smoke", "JUPYTER_PREFER_ENV_PATH": "1"}  # fmt: skip
    env.pop("A5_RUNS", None)
    # The public repository is this copy.
    for command in (["init", "-q"], ["add", "README.md"],
                    ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "."]):  # fmt: skip
        subprocess.run(["git", *command], cwd=copy, check=True)
    env |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.file://{copy}.insteadOf",
            "GIT_CONFIG_VALUE_0": repository_address(ROOT)}  # fmt: skip
    return copy, env


@pytest.mark.parametrize("commands", blocks())
def test_the_commands_run(commands, course, tmp_path):
    unknown = [command for command in commands if command.split()[0] not in KNOWN]
    assert not unknown, "say in this test how to run it"
    copy, env = course
    cwd = tmp_path if commands[0].startswith("git clone") else copy
    script = "set -e\n" + "\n".join(map(smaller, commands))
    done = subprocess.run(["bash", "-c", script], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{script}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def test_every_block_says_its_language_and_no_command_hides_in_another():
    for page in PAGES:
        text = text_of(page)
        languages = [language for language, _ in BLOCK.findall(text)]
        assert languages and set(languages) <= {"sh", "python"}, page
        assert text.count("```") == 2 * len(languages), page


def test_every_make_target_is_known_to_make_and_told_by_help():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(" ".join(re.findall(r"^\.PHONY: (.*)", makefile, re.M)).split())
    told = set(re.findall(r'@echo "make (\S+)', makefile))
    assert told == targets - {"help"}
    named = {name for page in PAGES for name in re.findall(r"(?:^|`)make ([a-z-]+)", text_of(page), re.M)}
    assert {"series", "test"} <= named <= targets


@pytest.mark.parametrize("page", PAGES)
def test_links_figures_and_places_are_there(page):
    text = text_of(page)
    headings = {
        re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.*)", text, re.M)
    }
    for target in LINK.findall(text):
        if target.startswith("#"):
            assert target[1:] in headings, target
        elif not target.startswith("https://"):
            assert (ROOT / target.split("#")[0]).exists(), target
    for place in PLACES.findall(re.sub(r"In the new file `[^`]+`", "", text)):
        assert (ROOT / place).exists(), place
    assert all(words.strip() for words, _ in FIGURE.findall(text)), "a figure without words for it"


def test_three_figures_of_our_own_and_a_row_for_each_notebook():
    text = text_of("README.md")
    assert len(set(FIGURE.findall(text))) >= 3
    assert text == filled_readme(ROOT, sources(ROOT)), "run make editions"
    for source in sources(ROOT):
        (row,) = re.findall(rf"^\| \d\d \| \[[^\]]+\]\(notebooks/{source.stem}\.ipynb\) \|.*", text, re.M)
        cells = [cell.strip() for cell in row.strip("| ").split(" | ")]
        assert all(cells), f"{row}: a cell is empty; `about` stands in the source's header"
        assert f"/blob/main/notebooks/{source.stem}.ipynb" in cells[-1]


def test_a_fork_changes_one_line(tmp_path):
    """Badges, clone and folder follow the address in pyproject.toml, and nothing else names it."""
    address = repository_address(ROOT)
    shutil.copytree(ROOT / "notebooks/source", tmp_path / "notebooks/source")
    shutil.copy(ROOT / "README.md", tmp_path)
    project = (ROOT / "pyproject.toml").read_text()
    assert project.count(address) == 1
    (tmp_path / "pyproject.toml").write_text(
        project.replace(address, "https://github.com/someone/their-course")
    )
    text = filled_readme(tmp_path, sources(tmp_path))
    owner = address.removeprefix("https://github.com/")
    assert owner not in text
    assert "git clone --depth 1 https://github.com/someone/their-course\ncd their-course\n" in text
    assert text.count("github/someone/their-course/blob/main/") == len(sources(tmp_path))
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split("\n")
    filled_in = re.compile(r"notebooks/(solved/)?\d\d_\w+\.ipynb|README\.md|pyproject\.toml")
    holders = [name for name in tracked if name and not filled_in.fullmatch(name)
               and (ROOT / name).is_file() and owner.encode() in (ROOT / name).read_bytes()]  # fmt: skip
    assert not holders


@pytest.mark.notebooks
def test_a_notebook_that_fails_under_papermill_is_kept_and_says_why(tmp_path):
    notebook, out = ROOT / "notebooks/solved/06_span_corruption.ipynb", tmp_path / "out.ipynb"
    options = ["-k", "python3", "--execution-timeout", "120", "-p", "data", "nowhere"]
    command = [sys.executable, "-m", "papermill", *options, notebook, out]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and out.exists()
    last = done.stderr.strip().split("\n")[-1]
    assert "InputError" in last and "nowhere" in last
    assert '"output_type": "error"' in out.read_text()
