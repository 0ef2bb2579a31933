"""What is the score of always answering "London"?

python -m a5lib.london_baseline [birth_dev.tsv]
"""

import sys
from collections.abc import Sequence

from a5lib.corpus import DEV, find_file, read_questions
from a5lib.errors import InputError, run_command
from a5lib.evaluation import london_baseline
from a5lib.recipes import choose_profile


def main(argv: Sequence[str] | None = None) -> int:
    """Print the baseline's score on a question file (default: the dev set of the profile)."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if len(argv) > 1 or any(name.startswith("-") for name in argv):
        raise InputError("usage: python -m a5lib.london_baseline [FILE], FILE with questions and places")
    path = find_file(argv[0] if argv else DEV, choose_profile("").folder)
    print(london_baseline(read_questions(path, answers=True)))
    return 0


if __name__ == "__main__":
    run_command(main)
