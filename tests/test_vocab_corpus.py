"""Characters and files: the same ids everywhere, and one clear line for each thing that can be wrong."""

import ast
import hashlib
import subprocess
import sys
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import a5lib
from a5lib.corpus import (
    DEV,
    TEST,
    TRAIN,
    WIKI,
    Corpus,
    Question,
    fetch_course_data,
    find_file,
    project_data,
    read_documents,
    read_questions,
    read_text,
)
from a5lib.errors import InputError
from a5lib.vocab import CharVocab

LIBRARY = Path(a5lib.__file__).parent


def test_ids_are_pad_mask_then_sorted_characters():
    """An unsorted set would number the characters differently in each process: saved models turn to noise."""
    vocab = CharVocab("banana\né")
    assert vocab.characters == ["□", "⁇", "\n", "a", "b", "n", "é"]
    assert vocab.encode("nab⁇□") == [5, 3, 4, 1, 0]
    assert vocab.decode(vocab.encode("banané⁇")) == "banané⁇"


@pytest.mark.parametrize("reserved", "□⁇")
def test_reserved_characters_are_refused(reserved):
    with pytest.raises(InputError, match=reserved):
        CharVocab(f"a{reserved}")


def test_an_unknown_character_is_named_with_its_place():
    with pytest.raises(InputError, match="'z' at position 2"):
        CharVocab("ab").encode("abz")


def test_the_reader_sees_rows_as_an_editor_does(tmp_path):
    """A byte order mark, Windows line ends, and an empty last line are no part of the data."""
    path = tmp_path / "f.txt"
    path.write_bytes("\ufeffone\r\n\r\ntwo \r\n \n".encode())
    assert read_documents(path) == ["one", "two "]
    path.write_bytes("q?\tŁódź\r\n".encode())
    assert read_questions(path) == [Question("q?", "Łódź")]


@pytest.mark.parametrize(
    ("content", "answers", "says"),
    [
        (b"q?\tp\nq?\n", True, "row 2: 1 column"),
        (b"q?\n", True, "row 1: 1 column"),
        (b"q?\tp\tx\n", True, "row 1: 3 column"),
        (b"q?\tp\n", False, "row 1: 2 column"),
        (b"q?\nq?\tp\n", None, "row 2: 2 column"),
        (b"\nq?\t \n", True, "row 2: an empty"),
        (b"q?\tp\nq\xff?\tp\n", True, "row 2: not UTF-8"),
        ("q⁇\tp".encode(), True, "row 1: holds the reserved character '⁇'"),
        (b"\n \n", None, "no question"),
    ],
)
def test_a_bad_question_file_is_refused_with_file_and_row(tmp_path, content, answers, says):
    path = tmp_path / "bad.tsv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"bad.tsv.*{says}"):
        read_questions(path, answers)


@pytest.mark.parametrize(("content", "says"), [(b"\n\n", "no document"), ("a\nb□".encode(), "row 2.*'□'")])
def test_a_bad_corpus_is_refused(tmp_path, content, says):
    path = tmp_path / "wiki.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_documents(path)


def test_files_are_looked_up_here_then_in_the_data_folder(corpus_folder):
    assert find_file(WIKI) == Path(WIKI)
    (corpus_folder / WIKI).unlink()
    assert find_file(WIKI) == project_data() / WIKI
    (corpus_folder / "d").mkdir()
    for name, says in (("absent.txt", "no such file"), ("d", "is a folder"), ("x" * 999, "no such file")):
        with pytest.raises(InputError, match=says):
            find_file(name)


def test_corpus_reads_its_own_folder_only(corpus_folder, tmp_path_factory, monkeypatch):
    corpus = Corpus(Path("."))
    assert (len(corpus.documents), len(corpus.train), len(corpus.dev), len(corpus.test)) == (7, 3, 3, 2)
    assert corpus.test[0].place is None and corpus.dev[2].place == "London"
    assert corpus.sha256()[WIKI] == hashlib.sha256((corpus_folder / WIKI).read_bytes()).hexdigest()
    with pytest.raises(InputError, match="no such file"):  # not wiki.txt of the working directory
        Corpus(tmp_path_factory.mktemp("empty")).path(WIKI)


# Fetching, from a server of our own: no network.


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    handler.log_message = lambda *_: None
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
        yield folder, f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


CONTENTS = {name: f"content of {name}\n".encode() for name in (WIKI, TRAIN, DEV, TEST)}
EXPECTED = {name: {hashlib.sha256(content).hexdigest()} for name, content in CONTENTS.items()}


def make_zip(path, contents):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(f"__MACOSX/{name}", b"not this")
            archive.writestr(f"a5/student/{name}", content)


def test_fetch_takes_the_four_files_wherever_they_lie_and_only_once(server, tmp_path):
    folder, url = server
    make_zip(folder / "a5.zip", CONTENTS)
    out = tmp_path / "new" / "course"
    fetch_course_data(out, f"{url}/a5.zip", EXPECTED)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == CONTENTS
    (folder / "a5.zip").unlink()
    assert fetch_course_data(out, f"{url}/a5.zip", EXPECTED).folder == out  # there already: nothing is asked


@pytest.mark.parametrize(
    ("served", "says"),
    [
        (CONTENTS | {DEV: b"changed"}, f"{DEV}: its SHA-256 is none"),
        ({WIKI: CONTENTS[WIKI]}, "does not hold it"),
        (None, "is no zip archive"),
        ("absent", "cannot be fetched"),
    ],
)
def test_fetch_leaves_nothing_behind_when_something_is_wrong(server, tmp_path, served, says):
    """Half the files, or yesterday's bad archive, would be taken for the data the next time."""
    folder, url = server
    if isinstance(served, dict):
        make_zip(folder / "a5.zip", served)
    elif served is None:
        (folder / "a5.zip").write_bytes(b"<html>moved</html>")
    with pytest.raises(InputError, match=says):
        fetch_course_data(tmp_path / "course", f"{url}/a5.zip", EXPECTED)
    assert not (tmp_path / "course").exists()


def test_fetch_does_not_unpack_a_bomb(server, tmp_path, monkeypatch):
    folder, url = server
    monkeypatch.setattr("a5lib.corpus.LARGEST_MEMBER", 1000)
    with zipfile.ZipFile(folder / "a5.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(WIKI, "x" * 1001)
    monkeypatch.setattr(zipfile.ZipFile, "read", None)
    with pytest.raises(InputError, match=f"{WIKI}: its SHA-256 is none"):
        fetch_course_data(tmp_path / "course", f"{url}/a5.zip", EXPECTED)


def test_fetch_without_a_connection_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match="cannot be fetched .* by hand"):
        fetch_course_data(tmp_path / "course", "http://127.0.0.1:9/a5.zip", EXPECTED)


# The house: what imports what.


def rooms() -> list[str]:
    lines = a5lib.__doc__.split("::\n\n")[1].split("\n\n")[0]
    return lines.split()


def room_of(module: str, known: list[str]) -> str | None:
    """`a5lib.world_lists` is in the room `world`, `a5lib.display.live` in `display`."""
    name = module.split(".")[1] if "." in module else ""
    return next((room for room in known if name == room or name.startswith(f"{room}_")), None)


def imported_modules(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: imports by full name, please"
            found |= (
                {f"a5lib.{alias.name}" for alias in node.names} if node.module == "a5lib" else {node.module}
            )
    return {name for name in found if name.startswith("a5lib")}


def test_a_module_imports_only_from_rooms_above_its_own():
    """The library can be read from the ground up, one module at a time, only as long as this holds."""
    order = rooms()
    wrong = []
    for path in sorted(LIBRARY.rglob("*.py")):
        own = ".".join(("a5lib", *path.relative_to(LIBRARY).with_suffix("").parts))
        if path.parent == LIBRARY and path.stem in ("__init__", "__main__"):
            continue
        room = room_of(own, order)
        assert room, f"{own} stands in no room of the list in a5lib/__init__.py"
        for name in imported_modules(path):
            other = room_of(name, order)
            if other is not None and order.index(other) > order.index(room):
                wrong.append(f"{own} imports {name}")
    assert not wrong


def test_the_core_needs_only_torch_and_numpy_when_imported():
    """Colab starts fast, and a student without the extras can still read data and models."""
    core = rooms()[: rooms().index("pipeline") + 1]
    code = (
        "import sys, torch, torch.utils.data, numpy\n"  # what torch itself brings in is torch's affair
        "before = set(sys.modules)\n"
        f"import {', '.join(f'a5lib.{room}' for room in core)}, a5lib.run\n"
        "own = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(own - sys.stdlib_module_names - {'a5lib', 'torch', 'numpy'}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


def test_unreadable_files_are_input_errors(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_text(tmp_path)
