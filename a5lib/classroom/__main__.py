"""`python -m a5lib.classroom progress`: points so far, from the shell."""

import sys

from a5lib.classroom.progress import main
from a5lib.errors import InputError, run_command


def _run() -> int:
    command, *arguments = sys.argv[1:] or ["progress"]
    if command != "progress":
        raise InputError(f"{command!r}: no such command; there is: python -m a5lib.classroom progress")
    return main(arguments)


if __name__ == "__main__":
    run_command(_run)
