"""The four files that a run reads: find them, read them, check them, fetch the course's own.

``wiki.txt``                 one document a line, for pretraining
``birth_places_train.tsv``   question, tab, place
``birth_dev.tsv``            question, tab, place
``birth_test_inputs.tsv``    question only

Knows nothing about models. Every complaint names the file, the row, and what to do.
"""

import hashlib
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from a5lib.errors import InputError
from a5lib.files import require_writable
from a5lib.vocab import MASK, PAD, CharVocab

WIKI, TRAIN, DEV, TEST = "wiki.txt", "birth_places_train.tsv", "birth_dev.tsv", "birth_test_inputs.tsv"

COURSE_URL = "https://web.stanford.edu/class/cs224n/assignments/a5.zip"
LARGEST_MEMBER = 10_000_000  # bytes; twenty times the largest file of the course
COURSE_SHA256 = {  # every edition known; a file that matches none is refused
    WIKI: {
        "823bb536fca77c8b5a15b34b0dead6355d0cf1f806e822464bca28806c2fd055",
        "17e381468abd91b60be8acaff006c66b77532b4ea4c0ce097b0a686d2e8e8219",  # 2024: no final newline
    },
    TRAIN: {"02364dfca78e23d2583a19f03a2d8cddd90ee3e1a3795ddec7f0addadea30b0d"},
    DEV: {"101a56073eba0db9aad5e2aaf1aa9bf8bdae966ae3aaed8fc8cda5edfa7856da"},
    TEST: {"5ccd3b2a1682e0daf90d59488aef8805ef21b9d35795cc3bdabdea79d293aa1f"},
}


@dataclass(frozen=True)
class Question:
    """One row of a question file; `place` is None where the file holds no answers.

    `where` says from which file and row it is; it does not count when questions are compared.
    """

    text: str
    place: str | None = None
    where: str = field(default="", compare=False, repr=False)


def project_data() -> Path:
    """The folder of the embedded corpus: beside the package in a checkout, else `data/` where we are."""
    beside = Path(__file__).resolve().parent.parent / "data"
    return beside if beside.is_dir() else Path("data")


def find_file(name: str | Path, folder: str | Path | None = None) -> Path:
    """`name` in the working directory, else in `folder` (default: the project's `data/`).

    Raises:
        InputError: it is in neither place.
    """
    folder = project_data() if folder is None else Path(folder)
    paths = (Path(name), folder / name)
    for path in paths:
        if os.path.isfile(path):  # unlike Path.is_file, never an error: a name may be too long to be one
            return path
    if any(os.path.isdir(path) for path in paths):
        raise InputError(f"{name}: is a folder; give the name of a file")
    raise InputError(f"{name}: no such file here or in {folder}; check the name, or run where the file is")


def read_text(path: Path) -> str:
    """A whole UTF-8 file, line ends as `\\n`.

    Raises:
        InputError: unreadable, not UTF-8, or it holds a reserved character (`□`, `⁇`, NUL).
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        row = error.object.count(b"\n", 0, error.start) + 1
        at = f"{path}, row {row}"
        raise InputError(f"{at}: not UTF-8 (byte {error.start}); save the file as UTF-8") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    for reserved in (PAD, MASK, "\0"):
        if reserved in text:
            row = text.count("\n", 0, text.index(reserved)) + 1
            raise InputError(f"{path}, row {row}: holds the reserved character {reserved!r}; remove it")
    return text


def read_documents(path: Path) -> list[str]:
    """The documents of a corpus file, one a line; empty lines are no documents.

    Raises:
        InputError: as `read_text`; or the file holds no document.
    """
    documents = split_documents(read_text(path))
    if not documents:
        raise InputError(f"{path}: holds no document; one biography a line is expected")
    return documents


def split_documents(text: str) -> list[str]:
    """The non-empty lines of a text."""
    return [line for line in text.split("\n") if line.strip()]


def read_questions(path: Path, answers: bool | None = None) -> list[Question]:
    """The rows of a question file.

    Args:
        answers: True asks for a place in every row, False for none; None for what the first row has.

    Raises:
        InputError: as `read_text`; no row; a wrong number of columns; an empty question or place.
    """
    rows = [(n, row) for n, row in enumerate(read_text(path).split("\n"), start=1) if row.strip()]
    if not rows:
        raise InputError(
            f"{path}: holds no question; 'Where was … born?', tab, place is expected in each row"
        )
    if answers is None:
        answers = "\t" in rows[0][1]
    return [_parse_question(path, number, row, answers) for number, row in rows]


def _parse_question(path: Path, number: int, row: str, answers: bool) -> Question:
    where = f"{path}, row {number}"
    columns = row.split("\t")
    expected = 2 if answers else 1
    if len(columns) != expected:
        shape = "question, tab, place" if answers else "a question and no tab"
        wrong = f"{len(columns)} column(s) where {expected} should be ({shape})"
        raise InputError(f"{where}: {wrong}")
    if not all(column.strip() for column in columns):
        raise InputError(f"{where}: an empty question or place; fill it in or remove the row")
    text, place = columns if answers else (row, None)
    return Question(text, place, where)


@dataclass(frozen=True)
class Corpus:
    """The files of one folder, read and checked when first asked for."""

    folder: Path

    def path(self, name: str) -> Path:
        """Where one of the four files is (the working directory is *not* searched)."""
        return find_file((Path(self.folder) / name).resolve(), self.folder)

    @cached_property
    def text(self) -> str:
        return read_text(self.path(WIKI))

    @cached_property
    def documents(self) -> list[str]:
        return read_documents(self.path(WIKI))

    @cached_property
    def vocab(self) -> CharVocab:
        return CharVocab(self.text)

    @cached_property
    def train(self) -> list[Question]:
        return read_questions(self.path(TRAIN), answers=True)

    @cached_property
    def dev(self) -> list[Question]:
        return read_questions(self.path(DEV), answers=True)

    @cached_property
    def test(self) -> list[Question]:
        return read_questions(self.path(TEST), answers=False)

    def sha256(self) -> dict[str, str]:
        """The hash of each file: what a result was made from."""
        names = (WIKI, TRAIN, DEV, TEST)
        return {name: hashlib.sha256(self.path(name).read_bytes()).hexdigest() for name in names}


def fetch_course_data(
    folder: str | Path, url: str = COURSE_URL, expected: dict[str, set[str]] | None = None
) -> Corpus:
    """Download the course's own data into `folder`, unless it is there; each file's SHA-256 is checked.

    Raises:
        InputError: no connection, an archive without the files, or a file that is no known edition.
    """
    import tempfile
    import zipfile

    import pooch

    pooch.get_logger().setLevel("WARNING")  # else it asks the student to note down a hash
    expected = COURSE_SHA256 if expected is None else expected
    folder = Path(folder)
    if all(_is_known(folder / name, known) for name, known in expected.items()):
        return Corpus(folder)
    try:
        with tempfile.TemporaryDirectory() as temporary:
            archive = pooch.retrieve(url, known_hash=None, path=temporary, fname="a5.zip")
            with zipfile.ZipFile(archive) as zipped:
                contents = {name: _member(zipped, name, known) for name, known in expected.items()}
    except (InputError, KeyboardInterrupt):
        raise
    except zipfile.BadZipFile:
        raise InputError(f"{url}: is no zip archive; put the files into {folder} by hand") from None
    except Exception as error:  # requests, urllib and pooch each raise kinds of their own
        raise InputError(f"{url}: cannot be fetched ({error}); put the files into {folder} by hand") from None
    for name, content in contents.items():  # all are good: only now is anything written
        _write(require_writable(folder / name), content)
    return Corpus(folder)


def _is_known(path: Path, known: set[str]) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() in known


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None


def _member(archive, name: str, known: set[str]) -> bytes:
    """The content of the member called `name`, wherever in the archive it lies, whose hash is known."""
    members = [m for m in archive.namelist() if Path(m).name == name and not m.startswith("__MACOSX")]
    for member in members:
        if archive.getinfo(member).file_size > LARGEST_MEMBER:
            continue  # not one of ours, and perhaps a bomb
        content = archive.read(member)
        if hashlib.sha256(content).hexdigest() in known:
            return content
    wrong = "its SHA-256 is none of the known editions'" if members else "the archive does not hold it"
    raise InputError(f"{name}: {wrong}; the course may have changed its data: fetch it by hand and look")
