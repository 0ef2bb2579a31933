"""The editions of a notebook: what students get, what the solved one keeps, what the check catches."""

import base64
import json
from pathlib import Path

import pytest

pytest.importorskip("nbgrader")
nbformat = pytest.importorskip("nbformat")

from a5lib.classroom.editions import EditionError, build_all, check, main  # noqa: E402
from a5lib.classroom.editions_build import SET_UP, STUB, build, leaks  # noqa: E402
from a5lib.errors import InputError  # noqa: E402

SOURCE = """\
# ---
# jupyter:
#   a5:
#     gpu: true
# ---

# %% [markdown]
# {{badge}}

# %% tags=["parameters"]
profile: str = ""

# %% [markdown]
# Cloned from {{repository}}.

# %%
{{setup}}

# %%
def double(x):
    ### BEGIN SOLUTION
    twice_as_much = x + x
    return twice_as_much
    ### END SOLUTION

# %% tags=["solved-only"]
the_secret_remark = "only in the solved edition"

# %%
try:
    answer = double(21)
except NotImplementedError as not_yet:
    answer = str(not_yet)
"""
# Nothing to import: these notebooks are executed where there is no set-up to do.
RUNNABLE = """\
# %% [markdown]
# {{badge}}

# %% tags=["parameters"]
profile: str = ""

# %%
{{setup}}

# %%
import os

print(os.environ["A5_PROFILE"])
"""
PICTURE = """
# %% tags=["figure:empty-axes"]
from matplotlib.figure import Figure

from a5lib.display.style import use_style

use_style()
Figure(figsize=(1, 1)).subplots().figure
"""
# What cells print: `figure one` becomes the PNG called one, see `pretend_drawn`.
DRAWN = """
# %% tags=["figure:one-figure"]
"figure one"

# %% tags=["figure:two"]
"figure two"
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A course with one notebook, whose set-up cell does nothing."""
    monkeypatch.setattr("a5lib.classroom.editions_build.SETUP", "a5 = '{{repository}}'")
    (tmp_path / "notebooks/source").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[project.urls]\nRepository = "https://github.com/someone/a5"\n')
    (tmp_path / "notebooks/source/03_doubling.py").write_text(SOURCE)
    return tmp_path


def source_of(root: Path) -> Path:
    return root / "notebooks/source/03_doubling.py"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def text_of(notebook) -> str:
    return "\n".join(cell.source for cell in notebook.cells)


def pretend_executed(notebook, name, root, timeout=900):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count = 1


def pretend_drawn(notebook, name, root, timeout=900):
    """Executes cells that say `figure NAME`: a text, a picture that is not the last, and one that is."""
    pretend_executed(notebook, name, root)
    for cell in notebook.cells:
        if cell.source.startswith('"figure '):
            pictures = [b"first", cell.source.encode()]
            cell.outputs = [nbformat.v4.new_output("stream", text="drawn")] + [
                nbformat.v4.new_output("display_data", {"image/png": base64.encodebytes(png).decode()})
                for png in pictures
            ]


@pytest.fixture
def drawn(root, monkeypatch):
    """The course with two figures in its notebook, built."""
    monkeypatch.setattr("a5lib.classroom.editions.execute", pretend_drawn)
    with source_of(root).open("a") as file:
        file.write(DRAWN)
    build_all(root)
    return root


def figures_of(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (root / "figures").iterdir()}


def test_student_gets_stubs_and_reader_gets_solutions(root):
    student, solved = build(source_of(root))
    assert "twice_as_much" not in text_of(student) and "secret_remark" not in text_of(student)
    assert f"def double(x):\n    {STUB}" in text_of(student)
    assert "    twice_as_much = x + x\n    return" in text_of(solved) and "secret_remark" in text_of(solved)
    assert "SOLUTION" not in text_of(student) + text_of(solved)


def test_student_edition_runs_although_its_exercise_is_not_done(root):
    names: dict = {}
    for cell in build(source_of(root))[0].cells:
        if cell.cell_type == "code":
            exec(cell.source, names)
    assert names["answer"] == "your turn"


def test_placeholders_and_colab_metadata_are_filled(root):
    student, solved = build(source_of(root))
    for notebook in (student, solved):
        assert "github/someone/a5/blob/main/notebooks/03_doubling.ipynb" in notebook.cells[0].source
        assert "Cloned from https://github.com/someone/a5." in text_of(notebook)
        assert "{{" not in text_of(notebook)
        assert notebook.metadata.accelerator == "GPU"
        nbformat.validate(notebook)


def test_real_set_up_cell_is_short_and_valid(tmp_path):
    from IPython.core.inputtransformer2 import TransformerManager

    source = tmp_path / "01_x.py"
    source.write_text(RUNNABLE)
    cell = build(source, "https://github.com/someone/a5")[0].cells[2].source
    compile(TransformerManager().transform_cell(cell), "setup", "exec")
    assert len(cell.split("\n")) <= 12 and "clone --quiet --depth 1 https://github.com/someone/a5 " in cell
    assert "torch" not in cell and "numpy" not in cell  # Colab's own must stay


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    ### END SOLUTION\n", "", "without `### END SOLUTION`"),
        ("    ### BEGIN SOLUTION\n", "", "without its partner"),
        ('# %% tags=["parameters"]', "# %%", "0 cells tagged parameters"),
        ("{{setup}}", "pass", "0 code cells with only {{setup}}"),
        ('tags=["solved-only"]', 'tags=["figure:Two_Words"]', "cell 6 is tagged figure:Two_Words"),
        ('tags=["solved-only"]', 'tags=["figure:../up"]', "`figure:short-name`"),
        (
            "# %% [markdown]\n# Clo",
            '# %% [markdown] tags=["figure:prose"]\n# Clo',
            "cell 3 is tagged figure:prose",
        ),
        ("# jupyter:\n#   a5:\n#     gpu: true", "# a5: true", "raw"),
    ],
)
def test_rules_of_a_source(root, old, new, message):
    edit(source_of(root), old, new)
    with pytest.raises(InputError, match="03_doubling.py") as caught:
        build(source_of(root))
    assert message in str(caught.value)


def test_a_leak_is_a_solution_line_that_the_source_shows_nowhere_else(root):
    student = build(source_of(root))[0]
    assert leaks(source_of(root), student) == []
    student.cells[4].source = student.cells[4].source.replace(STUB, "twice_as_much = x + x")
    student.cells[5].source += '\nthe_secret_remark = "only in the solved edition"'
    assert leaks(source_of(root), student) == [5, 6]
    with source_of(root).open("a") as file:  # now shown on purpose, as a folded solution is
        file.write("\n# %% [markdown]\n# twice_as_much = x + x\n")
    assert leaks(source_of(root), student) == [6]


def test_check_says_what_is_missing_stale_leaked_or_unexecuted(root, monkeypatch):
    monkeypatch.setattr("a5lib.classroom.editions.execute", pretend_executed)
    assert [line.split(":")[1] for line in check(root)] == [" is missing; run `make editions`"] * 2
    build_all(root)
    assert check(root) == []

    student_path = root / "notebooks/03_doubling.ipynb"
    edit(student_path, 'raise NotImplementedError(\\"your turn\\")', "twice_as_much = x + x")
    found = check(root)
    assert len(found) == 2 and "stale from cell 5" in found[0] and "cell 5 leaks a solution" in found[1]

    build_all(root)
    edit(source_of(root), "double(21)", "double(22)")
    assert ["stale from cell" in line for line in check(root)] == [True, True]
    build_all(root, run=False)
    assert "did not run" in check(root)[0]

    build_all(root)
    edit(source_of(root), 'tags=["parameters"]', 'tags=["parameters", "new"]')
    assert all("stale from cell 2" in line for line in check(root))

    source_of(root).unlink()
    assert all("has no source" in line for line in check(root))
    assert main(["check"], root) == 1


def test_only_changed_code_is_executed_again_and_a_rebuild_gives_the_same_bytes(root, monkeypatch):
    executed = []
    monkeypatch.setattr(
        "a5lib.classroom.editions.execute",
        lambda notebook, *rest: (executed.append(rest[0]), pretend_executed(notebook, *rest)),
    )

    def files():
        return {path: path.read_bytes() for path in root.glob("notebooks/**/*.ipynb")}

    build_all(root)
    first = files()
    build_all(root)
    assert files() == first and len(first) == 2 and len(executed) == 1
    edit(source_of(root), "Cloned from", "Taken from")  # prose: outputs stay true
    build_all(root)
    assert files() != first and len(executed) == 1 and check(root) == []
    build_all(root, again=True)
    assert len(executed) == 2


def test_a_student_edition_in_which_somebody_has_worked_is_not_overwritten(root, monkeypatch):
    monkeypatch.setattr("a5lib.classroom.editions.execute", pretend_executed)
    build_all(root)
    path = root / "notebooks/03_doubling.ipynb"
    edit(path, '"execution_count": null', '"execution_count": 7')
    theirs = path.read_bytes()
    assert any("cells have run; work in a copy" in line for line in check(root))
    with pytest.raises(InputError, match=r"notebooks/03_doubling\.ipynb: somebody has worked in it"):
        build_all(root)
    assert path.read_bytes() == theirs


def test_tagged_cells_give_figures_and_cells_that_go_take_theirs_along(drawn, monkeypatch):
    assert figures_of(drawn) == {"one-figure.png": b'"figure one"', "two.png": b'"figure two"'}
    assert check(drawn) == []

    def no_need(*_):
        raise AssertionError("executed anew")

    (drawn / "figures/table.json").write_text("{}")
    (drawn / "figures/one-figure.png").unlink()
    edit(source_of(drawn), "figure:two", "figure:another-name")
    with monkeypatch.context() as patch:  # neither a lost figure nor a new name needs a kernel
        patch.setattr("a5lib.classroom.editions.execute", no_need)
        build_all(drawn)
    assert set(figures_of(drawn)) == {"one-figure.png", "another-name.png", "table.json"}
    edit(source_of(drawn), '"figure one"', '"figure changed"')
    build_all(drawn)
    assert figures_of(drawn)["one-figure.png"] == b'"figure changed"' and check(drawn) == []


def test_a_figure_that_moves_to_another_notebook_stays(drawn):
    edit(source_of(drawn), DRAWN, "")
    (drawn / "notebooks/source/04_more.py").write_text(RUNNABLE + DRAWN)
    build_all(drawn, ["04"])
    build_all(drawn, ["03"])
    assert set(figures_of(drawn)) == {"one-figure.png", "two.png"} and check(drawn) == []


def test_check_says_which_figure_is_missing_different_or_nobodys(drawn):
    (drawn / "figures/one-figure.png").unlink()
    (drawn / "figures/two.png").write_bytes(b"other")
    (drawn / "figures/old.png").touch()
    (drawn / "figures/table.json").touch()
    (drawn / "figures/table.png").touch()  # drawn by a benchmark, from that file
    assert check(drawn) == [
        "figures/one-figure.png: is missing; run `make editions`",
        "figures/two.png: differs from cell 9 of notebooks/solved/03_doubling.ipynb; run `make editions`",
        "figures/old.png: no cell is tagged for it; remove it",
    ]


def test_check_says_which_tag_shows_nothing_or_is_used_twice(drawn):
    edit(source_of(drawn), '"figure two"', "42")
    (drawn / "notebooks/source/04_more.py").write_text(RUNNABLE + DRAWN.split('# %% tags=["figure:two')[0])
    build_all(drawn)
    assert check(drawn) == [
        "cell 8 of notebooks/solved/03_doubling.ipynb: figure:one-figure is the tag of 2 cells",
        "cell 9 of notebooks/solved/03_doubling.ipynb: is tagged figure:two, but shows no PNG",
        "cell 5 of notebooks/solved/04_more.ipynb: figure:one-figure is the tag of 2 cells",
    ]


def test_unknown_notebook_lists_what_there_is(root):
    with pytest.raises(InputError, match="no notebook 07; there are: 03_doubling"):
        build_all(root, ["07"])


@pytest.mark.notebooks
def test_executed_edition_is_clean_and_a_failing_one_keeps_the_old_file(root, capsys):
    source_of(root).write_text(RUNNABLE + PICTURE)
    assert main(["build", "03"], root) == 0
    solved_path = root / "notebooks/solved/03_doubling.ipynb"
    before = solved_path.read_bytes()
    solved = json.loads(before)
    assert solved["cells"][-2]["outputs"][0]["text"] == ["quick\n"]
    assert (root / "figures/empty-axes.png").read_bytes().startswith(b"\x89PNG\r\n") and check(root) == []
    assert set(solved["metadata"]) == {"kernelspec", "language_info"}
    assert all(set(cell["metadata"]) <= {"tags"} for cell in solved["cells"])

    edit(source_of(root), 'print(os.environ["A5_PROFILE"])', "1 / 0")
    with pytest.raises(EditionError, match="03_doubling: cell 4: ZeroDivisionError: division by zero"):
        build_all(root)
    assert main(["build"], root) == 1
    assert "cell 4: ZeroDivisionError" in capsys.readouterr().err
    assert solved_path.read_bytes() == before


def test_a_new_address_reaches_notebooks_and_readme_and_runs_nothing_again(root, monkeypatch):
    """The set-up cell holds the address; a fork has no reason to train everything anew for it."""
    ran = []

    def execute(notebook, *others):
        ran.append(notebook)
        pretend_executed(notebook, *others)

    monkeypatch.setattr("a5lib.classroom.editions.execute", execute)
    monkeypatch.setattr("a5lib.classroom.editions_build.SETUP", f"# {{{{repository}}}}{SET_UP}a5 = None")
    edit(source_of(root), "# Cloned from", "# # 03 · Doubling\n#\n# Cloned from")
    blocks = "".join(f"<!-- {name}: filled in by make editions -->\n<!-- /{name} -->\n"
                     for name in ("clone", "notebooks"))  # fmt: skip
    (root / "README.md").write_text(f"Before\n{blocks}after\n")
    build_all(root)
    edit(root / "pyproject.toml", "someone/a5", "other/course")
    stale = check(root)
    assert "README.md: is stale; run `make editions`" in stale and len(stale) == 3
    build_all(root)
    assert len(ran) == 1 and check(root) == []
    text = (root / "README.md").read_text()
    assert text.startswith("Before\n") and text.endswith("after\n") and "someone" not in text
    assert "git clone --depth 1 https://github.com/other/course\ncd course\n" in text
    assert "| 03 | [Doubling](notebooks/03_doubling.ipynb) |" in text and "/other/course/blob/main/" in text
