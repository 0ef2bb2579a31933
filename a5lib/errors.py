"""One kind of error for all bad input, and the one place that prints it.

Whatever a user can get wrong (a file, a row, an option) raises ``InputError`` with a single line that
says what is wrong, where, and what to do. Knows nothing about models or data.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable


class InputError(Exception):
    """Bad input. Its text is one line, written for the person who can mend it."""


class Parser(argparse.ArgumentParser):
    """Bad arguments are bad input: one line, no list of all options."""

    def error(self, message: str):
        raise InputError(f"{message}; see {self.prog} --help")


@contextlib.contextmanager
def located(where: str):
    """Put a place, such as `birth_dev.tsv, row 3`, before the text of an `InputError` raised inside."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{where}: {error}" if where else str(error)) from None


def one_line(text: str, most: int = 400) -> str:
    """A message fit for a terminal: no line ends or control characters; of a long one, begin and end."""
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(text.split()))
    return text if len(text) <= most else f"{text[: most // 2]} … {text[-most // 2 :]}"


def run_command(main: Callable[[], int | None]) -> None:
    """Run a command's `main` and exit: 0, its return value, or 2 with one line for an `InputError`."""
    try:
        sys.exit(main() or 0)
    except InputError as error:
        print(f"error: {one_line(str(error))}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of our output (`head`) has gone: nothing to report, nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")  # one piece, for other processes may write there, too
        sys.exit(130)
