"""Points so far: what is remembered and what not, in the session, in the folder and from the shell."""

import json
import re
import subprocess
import sys

import pytest

from a5lib.classroom import assess, check, points_so_far
from a5lib.classroom import progress as own
from a5lib.classroom.progress import FILE, Page, main, read_record, remember_in
from a5lib.errors import InputError


@pytest.fixture
def folder(tmp_path):
    remember_in(tmp_path / "runs/mine")
    yield tmp_path / "runs/mine"
    remember_in(None)


def right(text, start, stop, block_size):
    return (text[:start] + "⁇" + text[stop:] + "⁇" + text[start:stop]).ljust(block_size, "□")


def wrong(text, start, stop, block_size):
    return text


def stub(*_):
    raise NotImplementedError("your turn")


def test_a_pass_is_kept_and_a_later_failure_takes_nothing_away(folder, capsys):
    assert points_so_far().points == 0 and not folder.exists()
    check("rearrange", stub)
    assert not folder.exists()  # nothing attempted, nothing kept
    assert check("rearrange", right) is right
    assert points_so_far().of("2e") == 2.5
    check("rearrange", wrong)
    page = points_so_far()
    assert page.points == page.of("2e") == 2.5
    kept = json.loads((folder / FILE).read_text(encoding="utf-8"))["checks"]["rearrange"]
    assert (kept["points"], kept["passed"], kept["last"]) == (2.5, True, "failed") and kept["mistake"]
    assert "2.5 points" in capsys.readouterr().out


def test_another_session_goes_on_from_the_folder(folder):
    check("rearrange", right)
    remember_in(None)
    assert points_so_far().points == 0
    remember_in(folder)
    assert points_so_far().points == 2.5


def test_practice_counts_no_points_and_is_told(folder):
    check("split_xy", lambda row: (row[:-1], row[1:]))
    page = points_so_far()
    assert page.points == 0 and page.footnote.startswith("1 exercise for practice passed")


def test_the_page_has_each_question_as_text_and_as_html(folder):
    check("rearrange", right)
    check("truncate", wrong)
    page = points_so_far()
    assert str(page).splitlines()[0] == page.title == "Points so far: 2.5 of 60"
    assert re.search(r"^2e +2\.5 of 10 +truncate \(failed\), choose_span, corrupt_span$", str(page), re.M)
    shown = page._repr_html_()
    assert shown.count("<tr>") == 12 and "<td>2e</td><td>2.5 of 10</td>" in shown
    assert isinstance(page, Page) and repr(page) == str(page)


def test_an_own_reading_is_kept_and_may_go_down(folder, capsys):
    assess("1a-iv")
    assert "not assessed yet" in capsys.readouterr().out and points_so_far().points == 0
    assess("1a-iv", [1, 2])
    assert points_so_far().of("1a") == 1
    assess("1a-iv", [2])
    assert points_so_far().of("1a") == 0.5
    assert "[ ] 1." in (said := capsys.readouterr().out) and "0.5 of 1 points by your own reading" in said
    for name, ticks in (("1a-iv", [3]), ("9z", [])):
        with pytest.raises(InputError):
            assess(name, ticks)


@pytest.mark.parametrize("text", ["{", "[]", '{"checks": {"rearrange": 3}}', '{"checks": 1}'])
def test_a_damaged_file_begins_anew(tmp_path, text, capsys):
    (tmp_path / FILE).write_text(text)
    assert read_record(tmp_path) == {"checks": {}, "written": {}}
    assert "is damaged" in capsys.readouterr().out


@pytest.mark.parametrize("points", [99, -3, "2.5", None])
def test_nobody_has_more_points_than_there_are(points):
    record = {"checks": {"rearrange": {"points": points, "last": "passed"}}, "written": {}}
    assert 0 <= points_so_far(record).of("2e") <= 2.5


def test_the_shell_shows_the_folder_and_the_written_answers(folder, tmp_path, capsys):
    assert main(["--runs", "elsewhere"], tmp_path) == 0
    assert "Nothing is kept in elsewhere/mine yet" in capsys.readouterr().out
    check("rearrange", right)
    cell = {"source": ["Because it read the facts."], "metadata": {"tags": ["written:3a"]}}
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/10_x.ipynb").write_text(json.dumps({"cells": [cell]}))
    (tmp_path / "notebooks/11_x.ipynb").write_text("damaged")
    capsys.readouterr()
    assert main(["--runs", "runs"], tmp_path) == 0
    said = capsys.readouterr().out
    assert "Points so far: 2.5 of 60" in said and "3a (5 words, not assessed)" in said


def test_a_solved_edition_keeps_no_points_and_nothing_of_the_readers(tmp_path, capsys):
    from a5lib.classroom.notebook import confront, mine_folder
    from a5lib.classroom.setup import ready

    for edition, name in (("solved", "solved"), ("student", "mine")):
        a5 = ready("smoke", runs=str(tmp_path), edition=edition)
        assert mine_folder(a5) == tmp_path / name
        check("rearrange", right)
        confront(a5, "a number", 1, 2)
        assert (tmp_path / name / "predictions.json").is_file()
        assert (tmp_path / name / FILE).is_file() == (edition == "student")
        assert points_so_far().points == 2.5  # the session's
    assert own._session.folder == tmp_path / "mine"
    remember_in(None)


def test_the_command_runs_and_refuses_what_it_does_not_know(tmp_path):
    command = [sys.executable, "-m", "a5lib.classroom"]
    shown = subprocess.run([*command, "progress", "--runs", str(tmp_path)], capture_output=True, text=True)
    assert shown.returncode == 0 and "Points so far: 0 of 60" in shown.stdout and not shown.stderr
    refused = subprocess.run([*command, "prgress"], capture_output=True, text=True)
    assert refused.returncode == 2 and "no such command" in refused.stderr
