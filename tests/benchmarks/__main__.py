"""All benchmarks of speed, ours against others in one run: ratios, and what they were measured on.

    python -m tests.benchmarks [training answers processes]     # or: make bench
    python -m tests.benchmarks --quick                          # a minute, at the smallest size

On the course's corpus where $A5_COURSE_DATA names it, else on the embedded one.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from a5lib.corpus import WIKI, Corpus
from a5lib.errors import InputError, Parser, run_command
from a5lib.files import write_json
from a5lib.pipeline import default_device
from a5lib.recipes import choose_profile, choose_recipe
from tests.benchmarks import answers, processes, throughput
from tests.benchmarks.course import machine

PARTS = ("training", "answers", "processes")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line.

    Raises:
        InputError: no such profile, bad data.
    """
    parser = Parser(prog="python -m tests.benchmarks", description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--profile", default="full")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="profile smoke and little of everything")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    args = parser.parse_args(argv)
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    if args.rounds < 1:
        raise InputError(f"--rounds {args.rounds}: must be at least 1")
    profile = choose_profile("smoke" if args.quick else args.profile)
    folder = Path(os.environ.get("A5_COURSE_DATA") or profile.folder)
    corpus, device = Corpus(folder), default_device()
    recipe = choose_recipe("fast", profile, len(corpus.documents))
    rounds, seconds = (1, 0.2) if args.quick else (args.rounds, 3.0)
    print(f"{machine()}, profile {profile.name}, {len(corpus.documents)} documents")
    made = {
        "training": lambda: throughput.report(corpus, recipe, device, rounds, seconds),
        "answers": lambda: answers.report(corpus, recipe, device, 4 if args.quick else 100),
        "processes": lambda: processes.report(folder / WIKI, profile.name, 0.5 if args.quick else 1.0),
    }
    figures = {"machine": machine(), "command": " ".join(sys.argv[1:])}
    for part in args.parts or PARTS:
        figures[part] = made[part]()
        if args.out:
            write_json(args.out, figures)
    return 0


if __name__ == "__main__":
    run_command(main)
