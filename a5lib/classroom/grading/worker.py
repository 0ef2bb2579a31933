"""A process that has torch loaded and examines one submission after another: `python -m … worker`.

Reads one JSON line for each submission from its standard input, answers with one. Knows no key: it is started
without one in its arguments or environment, and every limited process is a fork of it.
"""

import gc
import json
import os
import sys
from pathlib import Path

from a5lib.classroom.grading import limits as locks
from a5lib.classroom.grading.limits import Limits


def _load_all() -> None:
    """Import what the limited processes will need, so that each of them is a fork and no start."""
    import torch
    import torch._dynamo  # an optimizer imports it at its first step

    import a5lib.classroom.exercises
    import a5lib.classroom.grading.job
    import a5lib.classroom.notebook
    import a5lib.classroom.progress
    import a5lib.classroom.setup
    import a5lib.model  # noqa: F401

    torch.set_num_threads(1)  # before any computation: a pool of threads does not survive a fork


def main() -> int:
    """Serve until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    locks.hide_memory()
    _load_all()
    from a5lib.classroom.grading.flags import NOTEBOOKS, given
    from a5lib.classroom.grading.job import as_line, examine_submission
    from a5lib.classroom.grading.parts import Grader
    from a5lib.corpus import Corpus

    order = json.loads(sys.stdin.readline())
    corpus = Corpus(Path(order["data"]))
    _ = corpus.vocab, corpus.dev, corpus.test, corpus.train, corpus.documents  # read once, for all
    grader = Grader(corpus, Limits(**order["limits"]), order["uid"])
    given(NOTEBOOKS)
    gc.collect()
    gc.freeze()
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        report = examine_submission(Path(json.loads(line)), grader)
        print(as_line(report), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
