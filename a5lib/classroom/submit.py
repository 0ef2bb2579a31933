"""Hand in: verify the nine files, and write them with the notebooks to one archive.

    python -m a5lib.classroom.submit [--data FOLDER] [--notebooks FOLDER] [--out assignment5.zip]

Run where the files are. All that is missing or wrong is said at once, and then nothing is written; with
`--incomplete` what is there is handed in. The same files give the same archive, byte for byte. The second
hand-in, the written answers, goes to `written.html`, and to `written.pdf` where there is a Chromium.
"""

import argparse
import hashlib
import json
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from a5lib import __version__
from a5lib.classroom.editions_build import STUB
from a5lib.classroom.grading.handin import MODELS, NINE, SAME_ENOUGH, SIDECARS, rerun
from a5lib.classroom.grading.plain import MB
from a5lib.classroom.grading.texts import written_answers
from a5lib.classroom.grading.unpack import MAX_MB
from a5lib.classroom.written_page import page, write_pdf
from a5lib.corpus import Corpus
from a5lib.errors import InputError, run_command
from a5lib.files import atomic_path, write_text
from a5lib.recipes import choose_profile

SAMPLE = 64  # questions of each split that are answered anew
MANIFEST = "manifest.json"


def problems_of(folder: Path, corpus: Corpus, notebooks: Sequence[Path], seed: int = 0) -> list[str]:
    """All that keeps a folder from being handed in, one line each."""
    found = [f"{name}: is missing" for name in NINE if not (folder / name).is_file()]
    found += [] if notebooks else ["no notebook found; say where they are by --notebooks"]
    large = [
        path
        for path in (*(folder / name for name in NINE), *notebooks)
        if path.is_file() and path.stat().st_size > MAX_MB[path.suffix] * MB
    ]
    found += [f"{path.name}: has more than {MAX_MB[path.suffix]} MB; clear its outputs" for path in large]
    questions = {"dev": corpus.dev, "test": corpus.test}
    for model in MODELS:
        if (folder / model.params).is_file():
            there = {s: q for s, q in questions.items() if (folder / model.predictions(s)).is_file()}
            try:
                reruns = rerun(folder, model, corpus.vocab, there, SAMPLE, seed)
            except InputError as error:
                found.append(str(error))
                continue
            for split, result in reruns.items():
                if isinstance(result, InputError):
                    found.append(str(result))
                elif not result.genuine:
                    same = f"{result.agreement:.0%} of {len(result.rows)} sampled rows"
                    found.append(
                        f"{model.predictions(split)}: {same} are what {model.params} answers "
                        f"({SAME_ENOUGH:.0%} are needed); evaluate again"
                    )
    return found


def open_exercises(notebooks: Sequence[Path]) -> str:
    """A line that counts the exercises that hold their placeholder yet, by notebook; '' if none does.

    On Colab a student's notebooks are copies on Drive, and those beside the library are as they came.
    """
    # Inside JSON, a quotation mark stands behind a backslash.
    placeholder = json.dumps(STUB)[1:-1].encode()
    found = {path.name: path.read_bytes().count(placeholder) for path in notebooks}
    listed = ", ".join(f"{name} ({count})" for name, count in found.items() if count)
    hint = "if you worked on copies, as on Colab, name their folder by --notebooks"
    return f"exercises not attempted: {listed}; {hint}" if listed else ""


def write_archive(path: Path, folder: Path, notebooks: Sequence[Path]) -> list[str]:
    """Write the archive, and return the names of its members; the same files give the same bytes."""
    members = {name: folder / name for name in (*NINE, *SIDECARS) if (folder / name).is_file()}
    members |= {f"notebooks/{notebook.name}": notebook for notebook in notebooks}
    contents = {name: source.read_bytes() for name, source in sorted(members.items())}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    manifest = {"a5lib": __version__, "sha256": hashes}
    contents[MANIFEST] = (json.dumps(manifest, indent=1) + "\n").encode()
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            member.compress_type, member.external_attr, member.create_system = (
                zipfile.ZIP_DEFLATED,
                0o644 << 16,
                3,
            )
            archive.writestr(member, content)
    return list(contents)


def find_notebooks(folder: Path) -> list[Path]:
    """The notebooks of a folder, in order."""
    return sorted(path for path in folder.glob("*.ipynb") if not path.name.startswith("."))


def _default_notebooks() -> Path:
    here = Path("notebooks")
    return here if find_notebooks(here) or not find_notebooks(Path()) else Path()


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns 2 where something is missing, and has said what."""
    parser = argparse.ArgumentParser(
        prog="python -m a5lib.classroom.submit", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--folder", type=Path, default=Path(), help="where the nine files are (default: here)"
    )
    parser.add_argument("--data", type=Path, help="folder of the question files (default: the profile's)")
    parser.add_argument("--notebooks", type=Path, help="folder of your notebooks (default: notebooks/)")
    parser.add_argument("--out", type=Path, default=Path("assignment5.zip"))
    parser.add_argument("--written", type=Path, default=Path("written.html"), help="page of written answers")
    parser.add_argument("--incomplete", action="store_true", help="hand in what is there")
    args = parser.parse_args(argv)
    corpus = Corpus(args.data or choose_profile().folder)
    notebooks = find_notebooks(args.notebooks or _default_notebooks())
    problems = problems_of(args.folder, corpus, notebooks)
    for problem in problems:
        print(f"error: {problem}" if not args.incomplete else f"warning: {problem}", file=sys.stderr)
    if line := open_exercises(notebooks):
        print(f"warning: {line}", file=sys.stderr)
    if problems and not args.incomplete:
        print(
            f"{len(problems)} to mend; nothing was written (--incomplete hands in what is there)",
            file=sys.stderr,
        )
        return 2
    members = write_archive(args.out, args.folder, notebooks)
    print(f"{args.out}: {len(members)} files")
    write_text(args.written, page(written_answers(notebooks), draw=True))
    pdf = args.written.with_suffix(".pdf")
    printed = write_pdf(args.written, pdf)
    print(
        f"{args.written}: the written answers" + (f"; {pdf}" if printed else "; print it to PDF in a browser")
    )
    return 0


if __name__ == "__main__":
    run_command(main)
