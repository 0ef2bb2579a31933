"""`python -m a5lib series …`, and `sweep`, `run`, `dataset`, `world`, `london_baseline` by the same door."""

import importlib
import sys

from a5lib.errors import InputError, run_command

COMMANDS = ("series", "sweep", "run", "dataset", "world", "london_baseline")


def main() -> int | None:
    """Hand the arguments over to one command."""
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        raise InputError(f"usage: python -m a5lib COMMAND …, COMMAND one of {', '.join(COMMANDS)}")
    return importlib.import_module(f"a5lib.{sys.argv[1]}").main(sys.argv[2:])


if __name__ == "__main__":
    run_command(main)
