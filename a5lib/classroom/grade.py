"""Grade a submission, or a folder of them. Linux; the key is opened when no student's code runs any more.

    python -m a5lib.classroom.grade assignment5.zip --key kept/key.tsv --data term
    python -m a5lib.classroom.grade submissions --key kept/key.tsv --data term --out grades --jobs 4
    python -m a5lib.classroom.grade gradescope --key kept/key.tsv --data term --out autograder.zip

One submission, a zip or a folder with its files, is shown as a table, and written to `--results` for
Gradescope. For a folder of zips, `--out` receives for each its results and the page of its written answers,
and `summary.csv` for all; what was examined is kept there, so an interrupted grading goes on. `--key -` reads
the key from standard input. As root, students' code runs as a user that nobody is; what is prevented, and
what is not, stands in `grading/limits.py`.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from a5lib.classroom.grading import limits as locks
from a5lib.classroom.grading.folders import is_submission, pack, short_name, submissions
from a5lib.classroom.grading.limits import Limits
from a5lib.classroom.grading.mass import examine_all
from a5lib.classroom.grading.plain import clean
from a5lib.classroom.grading.reach import open_to_others
from a5lib.classroom.grading.scoring import Grade, grade, read_key
from a5lib.classroom.grading.tables import results, summary, table
from a5lib.classroom.grading.texts import as_answers
from a5lib.classroom.written_page import page
from a5lib.corpus import Corpus
from a5lib.errors import InputError, run_command
from a5lib.files import require_writable, write_json, write_text
from a5lib.recipes import choose_profile


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns 1 where something could not be examined for reasons of this machine.

    Raises:
        InputError: bad data or key, nowhere to write, not Linux. Never for what a submission holds.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv[:1] == ["gradescope"]:
        from a5lib.classroom.gradescope import main as build

        return build(argv[1:])
    args = _parse(argv)
    if sys.platform != "linux":
        raise InputError("grading needs Linux: it is there that a process can be limited; use a container")
    locks.hide_memory()
    corpus = Corpus(args.data or choose_profile().folder)
    _ = corpus.vocab, corpus.dev, corpus.test
    _require_key(args.key)
    limits = replace(Limits(), seconds=args.seconds, memory_mb=args.memory_mb)
    if args.submission.is_dir() and not args.results and not is_submission(args.submission):
        return _many(args, corpus, limits)
    return _one(args, corpus, limits)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m a5lib.classroom.grade", description=__doc__.split("\n")[0]
    )
    parser.add_argument("submission", type=Path, help="a zip, a folder with its files, or a folder of zips")
    parser.add_argument(
        "--key", required=True, help="answers to the test questions (TSV); - for standard input"
    )
    parser.add_argument("--data", type=Path, help="the students' data (default: the profile's)")
    parser.add_argument("--results", type=Path, help="for one: where to write Gradescope's results.json")
    parser.add_argument("--written", type=Path, help="for one: where to write its written answers (HTML)")
    parser.add_argument("--out", type=Path, default=Path("grades"), help="for many: folder of the grades")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="for many: how many at a time")
    parser.add_argument("--seconds", type=float, default=120, help="for each notebook")
    parser.add_argument("--memory_mb", type=int, default=3000, help="for each process")
    args = parser.parse_args(argv)
    if args.jobs < 1 or args.seconds < 1 or args.memory_mb < 100:
        raise InputError("--jobs and --seconds must be 1 or more, --memory_mb 100 or more")
    return args


def _require_key(key: str) -> None:
    """Check that the key is there, without opening it; say what this machine cannot prevent."""
    if key == "-":
        return
    path = Path(key)
    if not path.is_file():
        raise InputError(f"{key}: no such file; give the test answers by --key")
    if locks.landlock_version():
        return
    if os.geteuid() != 0:
        print(
            "warning: students' code runs as you and could read the key; give it by --key -", file=sys.stderr
        )
    elif open_to_others(path):
        print(f"warning: {key} may be read by everybody here, students' code too: chmod 600", file=sys.stderr)


def _read_key(key: str, corpus: Corpus) -> dict[str, str]:
    if key != "-":
        return read_key(Path(key), corpus.test)
    with tempfile.NamedTemporaryFile(suffix="-standard-input.tsv") as file:
        file.write(sys.stdin.buffer.read())
        file.flush()
        return read_key(Path(file.name), corpus.test)


def _one(args: argparse.Namespace, corpus: Corpus, limits: Limits) -> int:
    if args.results:
        require_writable(args.results)
    with tempfile.TemporaryDirectory() as temporary:
        archive = args.submission
        zips = list(archive.glob("*.zip")) if archive.is_dir() else []
        if len(zips) == 1:  # a folder that holds nothing but an archive
            archive = zips[0]
        elif archive.is_dir():
            archive = pack(archive, Path(temporary) / "submission.zip")
        elif not archive.exists():
            raise InputError(f"{archive}: no such file; give a submission, or a folder of them")
        ((_, report),) = examine_all([archive], corpus.folder, 1, limits)
    graded = grade(args.submission.name, report, corpus, _read_key(args.key, corpus))
    print(table(graded), end="")
    if args.results:
        write_json(args.results, results(graded))
    if args.written:
        write_text(args.written, page(as_answers(report.get("written", {})), args.submission.name))
    return 1 if report.get("again") else 0


def _many(args: argparse.Namespace, corpus: Corpus, limits: Limits) -> int:
    archives = submissions(args.submission)
    if not archives:
        raise InputError(f"{args.submission}: holds no .zip file; give the folder of the submissions")
    require_writable(args.out / "summary.csv")
    reports = {}
    for archive, report in examine_all(archives, corpus.folder, args.jobs, limits, args.out / "reports"):
        reports[archive] = report
        said = report.get("error") or f"{report.get('seconds', 0):g} s"
        print(f"{len(reports)} of {len(archives)}: {clean(archive.name, 80)}: {clean(said)}", flush=True)
    key = _read_key(args.key, corpus)
    grades: list[Grade] = []
    for archive in archives:
        grades.append(grade(archive.name, reports[archive], corpus, key))
        write_json(args.out / f"{short_name(archive)}.json", results(grades[-1]))
        if any((written := reports[archive].get("written", {})).values()):
            write_text(args.out / f"{short_name(archive)}.written.html", page(as_answers(written)))
    write_text(args.out / "summary.csv", summary(grades))
    print(f"{args.out / 'summary.csv'}: {len(grades)} submissions")
    again = [clean(archive.name, 80) for archive in archives if reports[archive].get("again")]
    if again:
        print(f"{len(again)} could not be examined; give the same command again: {', '.join(again)}")
    return 1 if again else 0


if __name__ == "__main__":
    run_command(main)
