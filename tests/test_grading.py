"""Grading: what is sound earns its points, and what is hostile costs its own grade only."""

import json
import os
import sys
import time
from pathlib import Path

import pytest
import submissions as made

from a5lib.classroom.grading.handin import Rerun
from a5lib.classroom.grading.limits import Limits, landlock_version
from a5lib.classroom.grading.mass import Worker, free_uids
from a5lib.classroom.grading.scoring import grade, read_key
from a5lib.classroom.grading.tables import cell, results, summary, table
from a5lib.corpus import Corpus
from a5lib.errors import InputError
from a5lib.world import make_world, write_world

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="grading needs Linux")
QUICK = Limits(seconds=30, memory_mb=1200, folder_mb=100)


@pytest.fixture(scope="module")
def term(tmp_path_factory):
    """A new world: the students' data, and the key elsewhere."""
    folder = tmp_path_factory.mktemp("term")
    write_world(make_world(2**70, 60, 2), folder / "data", folder / "kept" / "key.tsv")
    return folder


@pytest.fixture(scope="module")
def corpus(term):
    return Corpus(term / "data")


@pytest.fixture(scope="module")
def key(term, corpus):
    return read_key(term / "kept" / "key.tsv", corpus.test)


@pytest.fixture(scope="module")
def sound(corpus, tmp_path_factory):
    """The files of a sound submission, by name."""
    files = made.sound_files(corpus, tmp_path_factory.mktemp("sound"))
    return files | {"notebooks/06.ipynb": made.solved("06_span_corruption")}


@pytest.fixture(scope="module")
def examine(term, tmp_path_factory):
    """Examine an archive's bytes; one worker serves all, and whatever it was given, it must go on."""
    uid = free_uids(1)[0]
    worker = Worker(term / "data", QUICK, uid)
    folder = tmp_path_factory.mktemp("archives")

    def run(content):
        path = folder / f"{len(list(folder.iterdir()))}.zip"
        path.write_bytes(content)
        return worker.examine(path)

    run.uid = uid
    yield run
    worker.end()


@pytest.fixture(scope="module")
def report(examine, sound):
    return examine(made.zipped(sound))


def test_a_sound_submission_earns_its_points(report, corpus, key):
    assert report["error"] == "" and report["missing"] == [] and report["flags"] == []
    graded = grade("a.zip", report, corpus, key)
    assert graded.of("2e") == 10 and graded.of("1a") == 0
    by_name = {line.item.name: line for line in graded.lines}
    assert by_name["vanilla.nopretrain.test.predictions"].points == 1
    assert by_name["vanilla.pretrain.dev.predictions"].state == "failed"
    assert by_name["3b"].points is None
    assert graded.points == 12


def test_an_untouched_student_edition_earns_nothing(examine):
    report = examine(made.zipped({p.name: p.read_bytes() for p in made.NOTEBOOKS.glob("*.ipynb")}))
    assert [n for n in report["notebooks"] if n["ended"] != "well"] == [] and len(report["notebooks"]) >= 9
    assert {check["state"] for check in report["checks"].values()} == {"not attempted"}
    assert report["flags"] == []


def test_names_numbers_and_additions_of_notebooks_do_not_matter(examine):
    cells = json.loads(made.solved("06_span_corruption"))["cells"]
    cells = [c for c in cells if c["cell_type"] == "code" and 'check("rearrange"' not in "".join(c["source"])]
    for cell_ in cells:
        cell_["id"] = "same"
    cells.insert(0, {"cell_type": "code", "source": "import numpy as np\nmine = np.zeros(3)", "metadata": {}})
    content = json.dumps({"cells": cells}).encode()
    report = examine(made.zipped({"my homework/copy of 01 (1).ipynb": content}))
    passed = {name for name, check in report["checks"].items() if check["state"] == "passed"}
    assert passed >= {"truncate", "choose_span", "rearrange", "corrupt_span"}


def test_recorded_outputs_and_the_librarys_own_answers_earn_nothing(examine):
    lines = [{"output_type": "stream", "name": "stdout", "text": "truncate: passed (2.5 of 2.5 points)"}]
    cells = [
        {"cell_type": "code", "source": "from a5lib.classroom import check", "metadata": {}},
        {"cell_type": "code", "source": "check('truncate', None)", "metadata": {}, "outputs": lines},
        {"cell_type": "code", "source": "from a5lib.dataset import rearrange", "metadata": {}},
        {"cell_type": "code", "source": "rearrange = check('rearrange', rearrange)", "metadata": {}},
    ]
    report = examine(made.zipped({"a.ipynb": json.dumps({"cells": cells}).encode()}))
    assert {report["checks"][n]["state"] for n in ("truncate", "rearrange")} == {"not attempted"}
    assert "library's own" in report["checks"]["rearrange"]["text"]
    assert any("a5lib.dataset.rearrange" in flag for flag in report["flags"])


def test_the_solved_edition_in_the_archive_is_not_read(examine):
    report = examine(made.zipped({"notebooks/solved/06.ipynb": made.solved("06_span_corruption")}))
    assert report["notebooks"] == [] and report["checks"] == {}


def test_the_solved_edition_under_another_name_is_flagged(examine):
    content = made.solved("06_span_corruption").replace(b"runs=runs)", b'runs=runs, edition=\\"solved\\")')
    report = examine(made.zipped({"mine.ipynb": content}))
    assert report["flags"] == ["mine.ipynb: cell 4 is the solved edition's"]


@pytest.mark.parametrize("name", made.REFUSED)
def test_an_archive_that_cannot_be_trusted_is_refused(name, examine, corpus, key):
    content, says = made.REFUSED[name]
    report = examine(content())
    assert says in report["error"], report["error"]
    assert grade(name, report, corpus, key).points == 0


def test_archives_as_other_systems_make_them_are_taken(examine, sound):
    as_macos = {f"assignment5/{name}": content for name, content in sound.items()}
    as_macos |= {f"__MACOSX/assignment5/._{name}": b"x" for name in sound} | {"assignment5/.DS_Store": b"x"}
    report = examine(made.zipped(as_macos))
    assert (report["error"], report["missing"], len(report["notebooks"])) == ("", [], 1)
    assert examine(made.with_odd_name(False))["error"] == ""


SLOW = {"endless loop", "endless loop in a function that is checked", "fork bomb", "memory hog"}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in made.HOSTILE_CELLS]
)
def test_a_hostile_notebook_costs_its_own_points_only(name, examine):
    code, ended, checked = made.HOSTILE_CELLS[name]
    hostile = made.notebook("from a5lib.classroom import check", code, made.GOOD_CELL)
    harmless = made.notebook(
        "from a5lib.classroom import check", made.GOOD_CELL.replace("split_xy", "answer_of")
    )
    began = time.monotonic()
    report = examine(made.zipped({"a.ipynb": hostile, "b.ipynb": harmless}))
    assert time.monotonic() - began < 3 * QUICK.seconds
    first, second = report["notebooks"]
    assert second["ended"] == "well" and report["checks"]["answer_of"]["state"] == "failed"
    if ended is not None:
        assert ended in first["ended"], first
    if checked is not None:
        assert ("split_xy" in report["checks"]) is checked
    assert _processes_of(examine.uid) == []


def _processes_of(wanted):
    """Living processes of the user that students' code ran as; none where that is ourselves (None)."""
    left = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            uid = process.stat().st_uid
        except OSError:
            continue
        if uid == wanted and "Z" not in (process / "stat").read_text().split()[2]:
            left.append(process.name)
    return left


FORGED = """
import os
for n in range(3, 64):
    try:
        os.write(n, b'{"check": "truncate", "state": "passed", "points": 1000, "text": "x"}\\n'
                    b'{"check": "vanilla.pretrain.dev.predictions", "state": "passed", "points": 9}\\n'
                    b'{"check": "none such", "state": "passed"}\\n{"dev": {"answers": []}}\\n[1]\\n'
                    b'{"check": "truncate", "state": []}\\n{"check": {}}\\n{"written": 7}\\n'
                    b'{"flag": {}, "note": 3, "refused": []}\\n{"deep": ' + b"[" * 900 + b"]" * 900 + b'}\\n')
    except OSError:
        pass
"""


def test_forged_claims_are_cut_to_the_table_and_flagged(examine, sound, corpus, key):
    """What is not prevented (see `limits`): code of the same process can claim points of exercises."""
    forged = made.notebook(FORGED, "import a5lib.classroom.checks as c\nc.run_check = print")
    report = examine(made.zipped({**sound, "notebooks/06.ipynb": forged}))
    graded = grade("a.zip", report, corpus, key)
    assert set(report["checks"]) <= {"truncate"} and graded.points <= 4.5
    assert graded.of("2f") == 0 and graded.accuracy.keys() >= {"vanilla.pretrain.test"}
    assert any("imports os" in flag for flag in report["flags"])
    assert any("a5lib.classroom.checks" in flag and "run_check" in flag for flag in report["flags"])


@pytest.mark.parametrize("name", made.NOT_NOTEBOOKS)
def test_what_is_no_notebook_is_said_to_be_none(name, examine, sound):
    report = examine(
        made.zipped({"a.ipynb": made.NOT_NOTEBOOKS[name], "b.ipynb": sound["notebooks/06.ipynb"]})
    )
    assert "no notebook" in report["notebooks"][0]["ended"]
    assert report["checks"]["corrupt_span"]["state"] == "passed"


REACH = """
from a5lib.classroom import check
import os, socket
def attempt(what):
    try:
        what()
        return "reached"
    except BaseException as error:
        return type(error).__name__
found = {
    "key": attempt(lambda: open(KEY).read()),
    "beside": attempt(lambda: os.listdir(os.path.dirname(KEY))),
    "passwords": attempt(lambda: open("/etc/shadow").read()),
    "write": attempt(lambda: open(OUT, "w").write("x")),
    "parent": attempt(lambda: open(f"/proc/{os.getppid()}/environ").read()),
    "net": attempt(lambda: socket.create_connection(("127.0.0.1", PORT), 1)),
    "environment": str("SECRET" in os.environ),
    "old environment": attempt(lambda: open("/proc/self/environ").read().index("SECRET")),
    "root": str(os.getuid() == 0),
}
def split_xy(row):
    raise ValueError(found)
check("split_xy", split_xy)
"""


@pytest.mark.skipif(not landlock_version() and os.geteuid() != 0, reason="nothing to protect with")
def test_a_students_code_reaches_neither_key_nor_network_nor_other_files(
    term, examine, tmp_path, monkeypatch
):
    import socket

    monkeypatch.setenv("SECRET", "x")
    with socket.create_server(("127.0.0.1", 0)) as server:
        words = {
            "KEY": str(term / "kept" / "key.tsv"),
            "OUT": str(tmp_path / "x"),
            "PORT": server.getsockname()[1],
        }
        code = "\n".join(f"{name} = {value!r}" for name, value in words.items()) + REACH
        report = examine(made.zipped({"a.ipynb": made.notebook(code)}))
    said = report["checks"]["split_xy"]["text"]
    assert "ValueError" in said and "reached" not in said and "True" not in said, said
    assert not (tmp_path / "x").exists()


# Parameters and predictions.


def change(sound, **changes):
    return {
        **{n: c for n, c in sound.items() if n not in changes},
        **{n: c for n, c in changes.items() if c is not None},
    }


def tampered(sound, name, places):
    """The first rows replaced by the places that are right."""
    rows = sound[name].decode().split("\n")
    rows[: len(places)] = places
    return "\n".join(rows).encode()


def test_predictions_edited_by_hand_earn_nothing(examine, sound, corpus, key):
    name = "vanilla.pretrain.dev.predictions"
    right = [question.place for question in corpus.dev]
    report = examine(made.zipped(change(sound, **{name: tampered(sound, name, right)})))
    graded = grade("a.zip", report, corpus, key)
    (line,) = (line for line in graded.lines if line.item.name == name)
    assert (line.points, line.state) == (0, "not genuine") and any(name in m for m in graded.for_graders)


@pytest.mark.parametrize(("same", "genuine"), [(100, True), (95, True), (94, False)])
def test_one_row_in_twenty_may_differ_and_changes_no_score(same, genuine, corpus, key):
    """The score is that of what the parameters answer, not of what was written down."""
    rerun = Rerun(tuple(range(100)), ("Oslo",) * 100, ("Oslo",) * same + ("edited",) * (100 - same))
    assert rerun.genuine is genuine
    right = [question.place for question in corpus.dev]
    found = {"error": "", "answers": right, "agreement": rerun.agreement}
    graded = grade("a.zip", {"models": {"vanilla.pretrain": {"error": "", "dev": found}}}, corpus, key)
    (line,) = (line for line in graded.lines if line.item.name == "vanilla.pretrain.dev.predictions")
    assert line.points == (2.5 if genuine else 0) and graded.accuracy == {"vanilla.pretrain.dev": 100}


@pytest.mark.parametrize("make", [made.pickle_with_code, made.old_pickle_with_code])
def test_a_pickle_with_code_is_not_loaded(make, examine, sound, tmp_path):
    os.chmod(tmp_path, 0o777)
    report = examine(made.zipped(change(sound, **{"vanilla.model.params": make(tmp_path / "ran")})))
    assert "code" in report["models"]["vanilla.nopretrain"]["error"] and not (tmp_path / "ran").exists()
    assert report["models"]["vanilla.pretrain"]["error"] == ""


HUGE = b'{"config": {"vocab_size": %d, "block_size": 128, "n_layer": 9, "n_head": 8, "n_embd": 60000}}'


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("vanilla.model.params", b"hello", "no parameters file"),
        ("vanilla.model.params", b"", "no parameters file"),
        ("vanilla.model.params", None, "is missing"),
        ("vanilla.model.params.json", b"{", "no JSON"),
        ("vanilla.model.params.json", b"[" * 100_000, ""),
        ("vanilla.model.params.json", HUGE, ""),
        ("vanilla.model.params", "perceiver.finetune.params", "perceiver"),
    ],
)
def test_parameters_that_are_none_cost_their_own_points(name, content, says, examine, sound, corpus):
    if content is HUGE:
        content = content % len(corpus.vocab)
    content = sound.get(content, content) if isinstance(content, str) else content
    files = change(sound, **{name: content})
    report = examine(made.zipped(files))
    error = report["models"]["vanilla.nopretrain"]["error"]
    assert error and says in error, error
    assert report["models"]["perceiver.pretrain"]["error"] == ""


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "cannot be read"), (b"Oslo\n", "1 rows"), (b"\xff\xfe", "not UTF-8"), (b"", "0 rows")],
)
def test_predictions_that_are_none_cost_their_own_points(content, says, examine, sound):
    files = change(sound, **{"vanilla.pretrain.dev.predictions": content})
    models = examine(made.zipped(files))["models"]
    assert says in models["vanilla.pretrain"]["dev"]["error"]
    assert models["vanilla.pretrain"]["test"]["error"] == "" and models["perceiver.pretrain"]["error"] == ""


# What is written.

ESCAPE = "\x1b]0;owned\x07\x1b[2J\u202e=cmd|' /C calc'!A0"


def test_what_a_student_chose_is_harmless_where_it_is_shown(examine, corpus, key):
    cells = ("from a5lib.classroom import check", f"def split_xy(row): raise ValueError({ESCAPE!r})",
             "check('split_xy', split_xy)", "def (:" + ESCAPE)  # fmt: skip
    report = examine(made.zipped({f"{ESCAPE}.ipynb": made.notebook(*cells)}))
    graded = grade(ESCAPE, report, corpus, key)
    for text in (table(graded), json.dumps(results(graded), ensure_ascii=False), summary([graded])):
        assert not any(c in text for c in "\x1b\x07\u202e")
    assert summary([graded]).split("\n")[1].startswith("\"']0;") or "'=" in cell("=1+1")


@pytest.mark.parametrize("value", ["=1+1", "+1", "-1", "@x", "\t=1", "|x", "\x1b=1"])
def test_no_cell_begins_as_a_formula(value):
    assert cell(value)[0] == "'"


def test_results_are_what_gradescope_reads(report, corpus, key):
    found = results(grade("a.zip", report, corpus, key))
    assert found["score"] == 12 and found["visibility"] == "visible"
    scored = [test for test in found["tests"] if "score" in test]
    assert sum(test["score"] for test in scored) == 12 and sum(test["max_score"] for test in scored) == 54
    assert len({test["number"] for test in found["tests"]}) == len(found["tests"])
    assert {test["status"] for test in scored} == {"passed", "failed"}
    of = {test["name"]: test for test in found["tests"]}
    assert of["vanilla.pretrain.test.predictions"]["visibility"] == "after_published"
    assert of["truncate"]["visibility"] == "visible" and of["for graders"]["visibility"] == "hidden"
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_key_of_another_world_is_refused(tmp_path, corpus):
    write_world(make_world(3, 60, 1), tmp_path / "other", tmp_path / "kept" / "key.tsv")
    with pytest.raises(InputError, match="another world's key"):
        read_key(tmp_path / "kept" / "key.tsv", corpus.test)
