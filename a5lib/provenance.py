"""What a corpus holds about the people who are asked about, and who is spelled like them.

In a corpus of our own it is known which facts a model could have seen. A name stands in a question as in
``Where was Ada Westby born?``. Knows nothing about models.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from a5lib.corpus import Corpus, Question, project_data, read_questions
from a5lib.errors import InputError
from a5lib.world_lists import CITIES, FAMILY_NAMES, GIVEN_NAMES

UNSEEN = "birth_unseen.tsv"
REGIONS = tuple(CITIES)
REGION_OF = {city: region for region, cities in CITIES.items() for city in cities}
LOOK_OF = {given: region for region, names in GIVEN_NAMES.items() for given in names.split()}
QUESTION = "Where was {} born?"


def name_of(question: Question | str) -> str:
    """The person's name in a question.

    Raises:
        InputError: the question has another form.
    """
    text = question if isinstance(question, str) else question.text
    found = re.fullmatch(r"Where was (.+) born\?", text)
    if not found:
        raise InputError(f"{text!r}: asks in another form than 'Where was … born?'")
    return found[1]


@dataclass(frozen=True)
class Told:
    """What a corpus tells about one person.

    Attributes:
        lines: how many lines hold the name.
        with_place: how many of them hold the birthplace as well.
        name_first: how many of those name the person before the place.
        place_end: where the place ends, in characters from the line's beginning: the mean over them.
    """

    lines: int = 0
    with_place: int = 0
    name_first: int = 0
    place_end: float = 0.0


def what_is_told(documents: Sequence[str], questions: Sequence[Question]) -> list[Told]:
    """For each question with its place: what the documents tell about its person."""
    return [_told(lines_about(documents, name_of(q)), name_of(q), q.place) for q in questions]


def lines_about(documents: Sequence[str], name: str) -> list[str]:
    """The documents that hold a whole name (of `Paul Simonon` no `Paul Simon`)."""
    whole = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    return [line for line in documents if name in line and whole.search(line)]


def _told(lines: list[str], name: str, place: str) -> Told:
    telling = [line for line in lines if place in line]
    if not telling:
        return Told(len(lines))
    ends = [line.index(place) + len(place) for line in telling]
    first = sum(line.index(name) < line.index(place) for line in telling)
    return Told(len(lines), len(telling), first, sum(ends) / len(ends))


def unseen_questions(corpus: Corpus) -> list[Question]:
    """Questions about people in no line: the corpus's own file, else those of the embedded one that fit."""
    own = Path(corpus.folder) / UNSEEN
    asked = read_questions(own if own.is_file() else project_data() / UNSEEN, answers=True)
    known = set(corpus.vocab.characters)
    return [q for q in asked if set(q.text) <= known and name_of(q) not in corpus.text]


def region_of(place: str) -> str | None:
    """The region of a city of the embedded world; None for any other text."""
    return REGION_OF.get(place)


def look_of(name: str) -> str | None:
    """The region that a name of the embedded world looks like, by its first name; None for any other."""
    return LOOK_OF.get(name.split()[0])


def invented_names(corpus: Corpus, region: str, n: int, seed: int) -> list[str]:
    """`n` full names in the look of a region that stand in no line (fewer where the lists run out)."""
    stems, endings = (part.split() for part in FAMILY_NAMES[region])
    given = GIVEN_NAMES[region].split()
    all_names = [f"{g} {s}{e}" for g in given for s in stems for e in endings]
    Random(seed).shuffle(all_names)
    known = set(corpus.vocab.characters)
    fit = (name for name in all_names if set(name) <= known and len(name) < 18 and name not in corpus.text)
    return [name for name, _ in zip(fit, range(n), strict=False)]


def hybrids(
    questions: Sequence[Question], text: str, n: int, seed: int
) -> list[tuple[Question, Question, str]]:
    """(A, B, name): two people born in different places, and a name in no line: A's given, B's family name.

    As many as `n`; fewer where the people are too few.
    """
    people = [q for q in questions if len(name_of(q).split()) == 2]
    rng, made = Random(seed), {}
    for _ in range(20 * n if len(people) > 1 else 0):
        a, b = rng.sample(people, 2)
        name = f"{name_of(a).split()[0]} {name_of(b).split()[1]}"
        if len(made) < n and a.place != b.place and name not in text:
            made.setdefault(name, (a, b, name))
    return list(made.values())


def agreement(found: Sequence[Collection], answers: Sequence) -> tuple[int, float]:
    """How many answers are among what was found for the same person; and by chance, in percent.

    Chance is the mean share when the same answers are dealt on to the other people, in all rounds.
    """
    n = len(answers)
    hits = [sum(answers[(i + k) % n] in places for i, places in enumerate(found)) for k in range(n)]
    return sum(hits[:1]), 100 * sum(hits[1:]) / max(1, n * (n - 1))


def edits(a: str, b: str) -> int:
    """The fewest insertions, deletions and changes of a character that make b of a (Levenshtein 1966)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (x != y)))
    return row[-1]


def nearest(name: str, names: Sequence[str]) -> str:
    """The name with the fewest edits to `name`; of equals the first."""
    return min(names, key=lambda other: edits(name, other))
