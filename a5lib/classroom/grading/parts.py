"""The two parts of a submission that run: its parameters, and its notebooks, each in a limited process.

What such a process reports is a claim: it is checked and cut to size here, before it goes into the report.
"""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from a5lib.classroom import checks
from a5lib.classroom.grading.attempts import RANK, examine
from a5lib.classroom.grading.flags import flags
from a5lib.classroom.grading.handin import HandedIn, rerun
from a5lib.classroom.grading.limited import WELL, Outcome, run_limited
from a5lib.classroom.grading.limits import Limits
from a5lib.classroom.grading.messages import Send
from a5lib.classroom.grading.plain import clean
from a5lib.classroom.grading.texts import answers_of
from a5lib.classroom.written import WRITTEN
from a5lib.corpus import Corpus
from a5lib.errors import InputError

MOST_SECONDS = 900  # for one submission, all of its processes together


@dataclass(frozen=True)
class Grader:
    """What all submissions are examined with: the students' data, the limits, and the user to be."""

    corpus: Corpus
    limits: Limits
    uid: int | None


def room(folder: Path, grader: Grader) -> Path:
    """A new folder that belongs to the user who works in it."""
    folder.mkdir(mode=0o700)
    if grader.uid is not None:
        os.chown(folder, grader.uid, grader.uid)
    return folder


def limited(
    function: Callable[[Send], None], grader: Grader, report: dict, folder: Path, seconds: float,
    keep: list[int] | None = None, readable: list[Path] | None = None,
) -> Outcome:  # fmt: skip
    """Run a function as `run_limited` does, and add what it used to the report."""
    limits = replace(grader.limits, seconds=max(1.0, seconds))
    outcome = run_limited(function, limits, folder, grader.uid, keep or [], readable or [])
    report["cpu_seconds"] = round(report["cpu_seconds"] + outcome.cpu_seconds, 2)
    report["memory_mb"] = max(report["memory_mb"], outcome.memory_mb)
    return outcome


# Parameters: in a process without a line of the student's code.


def run_model(model: HandedIn, files: Path, grader: Grader, report: dict, until: float) -> dict[str, Any]:
    """What a model's parameters answer to dev and test, and how far the files agree; or what is wrong."""
    questions = {"dev": grader.corpus.dev, "test": grader.corpus.test}

    def answer(send: Send) -> None:
        try:
            for split, found in rerun(files, model, grader.corpus.vocab, questions).items():
                failed = isinstance(found, InputError)
                send({split: {"error": str(found)} if failed else asdict(found)})
        except InputError as error:
            send({"refused": str(error)})

    outcome = limited(answer, grader, report, files, min(grader.limits.seconds * 3, until - time.monotonic()))
    refused = next((m["refused"] for m in outcome.messages if "refused" in m), "")
    if refused or outcome.ended != WELL:
        return {"error": clean(refused) or f"{model.params}: running it was {clean(outcome.ended)}"}
    result: dict[str, Any] = {"error": ""}
    for split, asked in questions.items():
        said = next((m[split] for m in outcome.messages if isinstance(m.get(split), dict)), {})
        answers = [clean(a, 40) for a in said.get("answers", [])]
        if len(answers) != len(asked):
            result[split] = {"error": clean(said.get("error", "")) or "gave no answers", "answers": []}
        else:
            same = sum(a == b for a, b in zip(said["answers"], said["handed_in"], strict=True))
            result[split] = {"error": "", "answers": answers, "agreement": same / max(1, len(answers))}
    return result


# Notebooks: a student's code, one process for each notebook.


def run_notebook(path: Path, name: str, folder: Path, grader: Grader, report: dict, until: float) -> None:
    """Run the notebook at `path`, which the student calls `name`, and put its claims into the report."""
    place = room(folder / path.stem, grader)
    corpus = grader.corpus
    surroundings = SimpleNamespace(
        corpus=corpus, vocab=corpus.vocab, device="cpu", seed=0, record=lambda *_: None
    )

    def look(send: Send) -> None:
        try:
            _send_texts(path, send)
            examine(path, surroundings, send)
        except InputError as error:
            send({"refused": str(error)})

    if time.monotonic() > until:
        report["notebooks"].append({"name": name, "ended": f"not run: {MOST_SECONDS} s were over"})
        return
    outcome = limited(look, grader, report, place, grader.limits.seconds, readable=[path])
    refused = next((m["refused"] for m in outcome.messages if "refused" in m), "")
    ended = clean(refused) or clean(outcome.ended)
    report["notebooks"].append({"name": name, "ended": ended, "seconds": outcome.seconds})
    _take_messages(outcome.messages, name, report)
    shutil.rmtree(place, ignore_errors=True)


def _send_texts(path: Path, send: Send) -> None:
    """Before any of the notebook's code runs: what it writes in words, and what deserves a look."""
    for line in flags(path):
        send({"flag": line})
    try:
        for name, text in answers_of(path).items():
            send({"written": name, "text": text[:20_000]})
    except InputError as error:
        send({"note": str(error)})


def _take_messages(messages: list[dict], notebook: str, report: dict) -> None:
    """Put a notebook's claims into the report: known names only, the best of several, points by our table."""
    for message in messages[:5000]:
        name = message.get("check")
        state = message.get("state")
        if isinstance(name, str) and isinstance(state, str) and name in checks.EXERCISES and state in RANK:
            before = report["checks"].get(name, {"state": checks.NOT_ATTEMPTED})
            if name not in report["checks"] or RANK[state] > RANK[before["state"]]:
                points = checks.EXERCISES[name].points if state == checks.PASSED else 0
                text = clean(message.get("text"), 1500)
                report["checks"][name] = {
                    "state": state,
                    "points": points,
                    "text": text,
                    "notebook": notebook,
                }
        elif isinstance(message.get("written"), str):
            texts, text = report["written"], clean(message.get("text"), 20_000)
            if message["written"] in WRITTEN:
                texts[message["written"]] = max(texts.get(message["written"], ""), text, key=len)
        elif "flag" in message and len(report["flags"]) < 40:
            report["flags"].append(f"{notebook}: {clean(message['flag'])}")
        elif "note" in message and len(report["notes"]) < 40:
            report["notes"].append(f"{notebook}: {clean(message['note'])}")
