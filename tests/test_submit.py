"""Handing in: all that is wrong is said at once; the archive is whole, and the same for the same files."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
import submissions as made

from a5lib.classroom import submit
from a5lib.classroom.grading.handin import NINE, SIDECARS
from a5lib.classroom.written_page import Answer, page, write_pdf
from a5lib.corpus import Corpus
from a5lib.world import make_world, write_world


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """A folder with everything that is handed in, and the data it belongs to."""
    folder = tmp_path_factory.mktemp("student")
    write_world(make_world(2**71, 60, 2), folder / "data")
    made.sound_files(Corpus(folder / "data"), folder)
    (folder / "notebooks").mkdir()
    (folder / "notebooks/06.ipynb").write_bytes(made.student("06_span_corruption"))
    return folder


@pytest.fixture
def folder(ready, tmp_path, monkeypatch):
    shutil.copytree(ready, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture(autouse=True)
def no_browser(monkeypatch):
    monkeypatch.setattr(submit, "write_pdf", lambda *_: False)


def hand_in(*more):
    return submit.main(["--data", "data", *more])


def test_what_is_handed_in_is_whole_and_the_same_every_time(folder, capsys):
    assert hand_in() == 0 and hand_in("--out", "again.zip") == 0
    first, again = ((folder / name).read_bytes() for name in ("assignment5.zip", "again.zip"))
    assert first == again
    with zipfile.ZipFile(folder / "assignment5.zip") as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(contents.pop("manifest.json"))
    assert set(contents) == {*NINE, *SIDECARS, "notebooks/06.ipynb"}
    assert manifest["sha256"] == {n: hashlib.sha256(c).hexdigest() for n, c in contents.items()}
    assert (folder / "written.html").read_text("utf-8").count("<section>") > 3


def test_all_that_is_wrong_is_said_at_once_and_nothing_written(folder, capsys):
    (folder / "vanilla.model.params").unlink()
    (folder / "perceiver.pretrain.dev.predictions").write_text("Oslo\n")
    (folder / "vanilla.pretrain.test.predictions").write_text("Oslo\n" * len(Corpus(folder / "data").test))
    (folder / "perceiver.finetune.params").write_bytes(b"x")
    (folder / "vanilla.pretrain.dev.predictions").write_bytes(b"\xff\n")
    assert hand_in() == 2
    said = capsys.readouterr().err
    for what in (
        "vanilla.model.params: is missing", "vanilla.pretrain.dev.predictions: not UTF-8",
        "vanilla.pretrain.test.predictions: 0% of", "perceiver.finetune.params: no parameters file",
    ):  # fmt: skip
        assert what in said, said
    assert "4 to mend; nothing was written" in said
    assert not (folder / "assignment5.zip").exists() and not (folder / "written.html").exists()


def test_rows_are_counted_and_one_row_in_twenty_may_differ(folder, capsys):
    name = "vanilla.pretrain.dev.predictions"
    rows = (folder / name).read_text("utf-8").split("\n")[:-1]
    (folder / name).write_text("\n".join(["Oslo", *rows[1:]]), encoding="utf-8")  # no end of line: as good
    assert len(rows) < 20 or hand_in() == 0
    (folder / name).write_text("\n".join(rows[1:]) + "\n", encoding="utf-8")
    assert hand_in() == 2
    assert f"{name}: {len(rows) - 1} rows, but {len(rows)} questions" in capsys.readouterr().err


def test_incomplete_work_can_be_handed_in_by_name(folder, capsys):
    (folder / "perceiver.finetune.params").unlink()
    assert hand_in("--incomplete") == 0
    assert "warning: perceiver.finetune.params: is missing" in capsys.readouterr().err
    with zipfile.ZipFile(folder / "assignment5.zip") as archive:
        assert "perceiver.finetune.params" not in archive.namelist()


def test_exercises_that_are_open_are_told_and_keep_nobody_from_handing_in(folder, capsys):
    assert hand_in() == 0
    said = capsys.readouterr().err
    assert "warning: exercises not attempted: 06.ipynb (6); if you worked on copies" in said
    text = (folder / "notebooks/06.ipynb").read_text("utf-8").replace('raise NotImplementedError', "print")
    (folder / "notebooks/06.ipynb").write_text(text, encoding="utf-8")
    assert hand_in() == 0 and "exercises" not in capsys.readouterr().err


def test_students_on_windows_can_hand_in():
    code = "import sys; sys.modules['resource'] = sys.modules['pwd'] = None; import a5lib.classroom.submit"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


HOSTILE = """<script>alert(1)</script> <img src=x onerror=alert(1)> ![i](https://example.org/i.png)
[l](javascript:alert(1)) <iframe src="//example.org"></iframe> **bold** `<b>` $a<b$ </section>

- one
- two

```
<script>
```
"""


def test_the_page_of_answers_shows_tags_and_obeys_none():
    text = page([Answer("3a", "Why <b>?", HOSTILE), Answer("3b", "", " ")])
    body = text.split("<body>")[1]
    tags = set(re.findall(r"<(\w+)", body))
    assert tags <= {"section", "h2", "p", "b", "br", "ul", "li", "pre", "code", "i"}
    assert not re.findall(r"<[^>]*\b(?:src|href|on\w+)=", body)
    assert "default-src 'none'" in text and "<b>bold</b>" in body and "<li>two</li>" in body
    assert body.count("<section>") == 2 and body.count("</section>") == 2 and "Not answered." in body
    assert "break-after: page" in text


def test_formulas_are_drawn_where_they_can_be():
    text = page(
        [Answer("1a-i", "", r"$\alpha_i > 0$ and $$\sum_i \frac{a}{b}$$, $\nonsense{$ *x* $<script>$")],
        draw=True,
    )
    assert text.count('src="data:image/svg+xml;base64,') == 3 and r"$\nonsense{$" in text
    assert "<script" not in text and "<i>x</i>" in text and page([]) == page([])


@pytest.mark.notebooks
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium")
def test_the_page_is_printed_a_question_a_page(tmp_path):
    path = tmp_path / "written.html"
    path.write_text(page([Answer(str(n), "", HOSTILE) for n in range(3)]), encoding="utf-8")
    assert write_pdf(path, tmp_path / "written.pdf")
    data = (tmp_path / "written.pdf").read_bytes()
    assert data.startswith(b"%PDF") and data.count(b"/Type /Page\n") + data.count(b"/Type /Page/") in (0, 3)
