"""The generator of the embedded corpus: fictional people, real cities, and where they were born.

    python -m a5lib.world --seed 0 --people 3000 --phrasings 4 --out data
    python -m a5lib.world --seed random --people 3000 --out term --key kept/key.tsv

A seed mints a world: people with a birthplace, a year, an occupation and a habit; one-line texts about them,
each person told in several phrasings; and questions whose answers stand in those texts. The same options give
the same bytes on every machine. This module knows nothing about models, tokens or training; the words are in
`world_lists.py`, and `data/README.md` says why the world is built as it is.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from random import Random

from a5lib.errors import InputError, Parser, run_command
from a5lib.world_lists import CITIES, FAMILY_NAMES, GIVEN_NAMES, HABITS, OCCUPATIONS, PHRASINGS

REGIONS = tuple(CITIES)
REGION_OF = {city: region for region, cities in CITIES.items() for city in cities}
SHARES = {city: share / 10_000 for cities in CITIES.values() for city, share in cities.items()}
SPLITS = {"train": 0.55, "dev": 0.25, "test": 0.15, "never_asked": 0.05}
NAME_TIE = 0.35  # how often the name is given the look of the birth region; otherwise any region's
NAME_LENGTHS = range(9, 16)
YEARS = range(1821, 1966)
MIN_PEOPLE, MAX_PEOPLE = 60, 6000
GUESSABLE_BITS = 60  # seeds below 2**60 can be tried out on a fast machine, given time
KEY_NAME = "birth_test_key.tsv"
FILE_NAMES = (
    "wiki.txt", "birth_places_train.tsv", "birth_dev.tsv", "birth_test_inputs.tsv", "birth_unseen.tsv",
    "people.tsv", "world.json",
)  # fmt: skip


@dataclass(frozen=True)
class Person:
    """One fictional person: who they are, and the lines that tell of them (none for the unseen)."""

    name: str
    birthplace: str
    name_region: str
    split: str
    year: int
    occupation: str
    habit: str
    other_place: str
    families: tuple[int, ...] = ()
    lines: tuple[str, ...] = ()

    @property
    def question(self) -> str:
        return f"Where was {self.name} born?"

    @property
    def birth_region(self) -> str:
        return REGION_OF[self.birthplace]


@dataclass(frozen=True)
class World:
    """All people of a world, and its documents in the order in which they stand in `wiki.txt`."""

    seed: int
    people_asked_for: int
    phrasings: int
    people: tuple[Person, ...]
    documents: tuple[str, ...]

    def in_split(self, split: str) -> list[Person]:
        """The people of one split: train, dev, test, never_asked or unseen."""
        return [person for person in self.people if person.split == split]


def make_world(seed: int, people: int = 3000, phrasings: int = 4) -> World:
    """Draw a world of `people` persons with `phrasings` lines each, and a tenth more in no line at all.

    Raises InputError for a negative seed, fewer than 60 or more than 6,000 people (the unique names would run
    out), or a number of phrasings outside 1 to 8.
    """
    _check_options(seed, people, phrasings)
    rng = Random(seed)
    sizes = split_sizes(people)
    cast = [
        _draw_person(split, birthplace, rng)
        for split, places in _deal_cities(sizes, rng).items()
        for birthplace in places
    ]
    cast = _tell(_give_names(cast, rng), phrasings, rng)
    return World(seed, people, phrasings, tuple(cast), tuple(_arrange(cast, phrasings, rng)))


def split_sizes(people: int) -> dict[str, int]:
    """How many persons each split holds; the first four add up to `people`, the unseen come on top."""
    sizes = {split: round(people * share) for split, share in SPLITS.items()}
    sizes["train"] += people - sum(sizes.values())
    return {**sizes, "unseen": max(20, people // 10)}


def _check_options(seed: int, people: int, phrasings: int) -> None:
    if seed < 0:
        raise InputError(f"--seed {seed}: must be 0 or more")
    if people < MIN_PEOPLE:
        raise InputError(f"--people {people}: a world needs at least {MIN_PEOPLE} people")
    if people > MAX_PEOPLE:
        raise InputError(f"--people {people}: the lists give unique names to at most {MAX_PEOPLE} people")
    if not 1 <= phrasings <= len(PHRASINGS):
        raise InputError(f"--phrasings {phrasings}: must be from 1 to {len(PHRASINGS)}")


# ---- birthplaces


def _deal_cities(sizes: dict[str, int], rng: Random) -> dict[str, list[str]]:
    """Everybody's birthplace, each city with its share in every split as nearly as whole persons allow."""
    london = {split: round(size * SHARES["London"]) for split, size in sizes.items()}
    others = {split: size - london[split] for split, size in sizes.items()}
    dealt = {split: ["London"] * count for split, count in london.items()}
    # Evenly mixed splits laid along the cities in blocks: no split gets much more of a city than its share.
    for split, city in zip(_mixed(others, rng), _city_blocks(sum(others.values()), rng), strict=True):
        dealt[split].append(city)
    for places in dealt.values():
        rng.shuffle(places)
    return dealt


def _mixed(counts: dict[str, int], rng: Random) -> list[str]:
    """Each key as often as its count says, the keys spread evenly over the whole length."""
    spots = [((i + rng.random()) / count, key) for key, count in counts.items() for i in range(count)]
    return [key for _, key in sorted(spots)]


def _city_blocks(total: int, rng: Random) -> list[str]:
    """`total` cities other than London by their shares (largest remainders), equal ones side by side."""
    cities = [city for city in SHARES if city != "London"]
    rng.shuffle(cities)
    exact = {city: total * SHARES[city] / (1 - SHARES["London"]) for city in cities}
    counts = {city: int(exact[city]) for city in cities}
    by_remainder = sorted(cities, key=lambda city: counts[city] - exact[city])
    for city in by_remainder[: total - sum(counts.values())]:
        counts[city] += 1
    return [city for city in cities for _ in range(counts[city])]


# ---- people


def _draw_person(split: str, birthplace: str, rng: Random) -> Person:
    """A person without a name yet: only the region of the name is drawn here."""
    name_region = REGION_OF[birthplace] if rng.random() < NAME_TIE else _pick(REGIONS, rng)
    other_place = birthplace
    while other_place == birthplace:
        other_place = rng.choices(list(SHARES), weights=list(SHARES.values()))[0]
    return Person(
        name="",
        birthplace=birthplace,
        name_region=name_region,
        split=split,
        year=YEARS[rng.randrange(len(YEARS))],
        occupation=_pick(OCCUPATIONS, rng),
        habit=_pick(HABITS, rng),
        other_place=other_place,
    )


def _pick(choices: Sequence[str], rng: Random) -> str:
    return choices[rng.randrange(len(choices))]


def _give_names(cast: list[Person], rng: Random) -> list[Person]:
    """The same people with unique full names, each in the style of its region.

    Drawn again until no unseen person's name has a character that no line holds: a model that is
    asked about the unseen must be able to read the question.
    """
    needed = Counter(person.name_region for person in cast)
    while True:
        names = {region: iter(_draw_names(region, needed[region], rng)) for region in REGIONS}
        named = [replace(person, name=next(names[person.name_region])) for person in cast]
        unseen, seen = (
            {c for p in named if (p.split == "unseen") is are for c in p.name} for are in (True, False)
        )
        if unseen <= seen:
            return named


def _draw_names(region: str, count: int, rng: Random) -> list[str]:
    """`count` unique names of a region from so few parts that most given and family names are shared."""
    stems, endings = (part.split() for part in FAMILY_NAMES[region])
    families = [stem + ending for stem, ending in product(stems, endings)]
    given_names = GIVEN_NAMES[region].split()
    pool = _full_names(_some(given_names, 2 * count // 3, rng), _some(families, 2 * count, rng))
    return rng.sample(pool, count)


def _some(parts: list[str], wanted: int, rng: Random) -> list[str]:
    return rng.sample(parts, min(len(parts), max(12, wanted)))


def _full_names(given_names: list[str], families: list[str]) -> list[str]:
    names = [f"{given} {family}" for given, family in product(given_names, families)]
    return [name for name in names if len(name) in NAME_LENGTHS and not any(city in name for city in SHARES)]


# ---- lines


def _tell(cast: list[Person], phrasings: int, rng: Random) -> list[Person]:
    """The same people with their lines; the unseen get none."""
    used = Counter(dict.fromkeys(range(len(PHRASINGS)), 0))
    decks = [_endless_deck(len(wordings), rng) for wordings in PHRASINGS]
    told = []
    for person in cast:
        if person.split != "unseen":
            families = _choose_families(phrasings, used, rng)
            lines = tuple(_fill(PHRASINGS[family][next(decks[family])], person) for family in families)
            person = replace(person, families=families, lines=lines)
        told.append(person)
    return told


def _choose_families(phrasings: int, used: Counter[int], rng: Random) -> tuple[int, ...]:
    """Different families of sentences for one person, the least used so far; a single one is always 0."""
    if phrasings == 1:
        return (0,)
    chosen = sorted(used, key=lambda family: (used[family], rng.random()))[:phrasings]
    used.update(chosen)
    rng.shuffle(chosen)
    return tuple(chosen)


def _endless_deck(size: int, rng: Random) -> Iterator[int]:
    """0 to size-1 over and over, shuffled anew each round: every wording comes up equally often."""
    while True:
        cards = list(range(size))
        rng.shuffle(cards)
        yield from cards


def _fill(wording: str, person: Person) -> str:
    article = "an" if person.occupation[0] in "aeiou" else "a"
    return wording.format(
        name=person.name,
        city=person.birthplace,
        other=person.other_place,
        year=person.year,
        work=person.occupation,
        a_work=f"{article} {person.occupation}",
        habit=person.habit,
    )


def _arrange(cast: list[Person], phrasings: int, rng: Random) -> list[str]:
    """All lines in rounds of one line a person, shuffled, so that no person's lines stand side by side."""
    told = [person for person in cast if person.lines]
    documents: list[str] = []
    last = None
    for round_number in range(phrasings):
        rng.shuffle(told)
        while told[0] is last:
            rng.shuffle(told)
        documents += [person.lines[round_number] for person in told]
        last = told[-1]
    return documents


# ---- files


def write_world(world: World, folder: Path, key_path: Path | None = None) -> list[Path]:
    """Write a world's files and return their paths; raises InputError, with nothing written, where it cannot.

    The key stands at `key_path` (default: in `folder`). With a key outside the folder, the list of people and
    the summary with the seed go beside the key as well, since they give the test answers away; these three
    may be read by their owner only.
    """
    folder = Path(folder)
    key_path = Path(key_path) if key_path else folder / KEY_NAME
    private = key_path.resolve().parent != folder.resolve()
    if not private and key_path.name in FILE_NAMES:
        raise InputError(f"--key {key_path}: the name of another file of the world; choose another")
    if private:
        _refuse_old_answers(folder)
    texts = {folder / name: text for name, text in _public_files(world).items()}
    texts[folder / "world.json"] = _summary(world, with_seed=not private)
    texts[key_path] = _questions(world, "test")
    if private:
        texts[key_path.with_suffix(".world.json")] = _summary(world, with_seed=True)
    texts[key_path.with_suffix(".people.tsv") if private else folder / "people.tsv"] = _people_table(world)
    _write_all(texts, {path for path in texts if private and path.parent != folder})
    return list(texts)


def _refuse_old_answers(folder: Path) -> None:
    for name in (KEY_NAME, "people.tsv"):
        if (folder / name).exists():
            raise InputError(f"{folder / name}: left from another world; remove it or choose another --out")


def _public_files(world: World) -> dict[str, str]:
    return {
        "wiki.txt": "".join(f"{line}\n" for line in world.documents),
        "birth_places_train.tsv": _questions(world, "train"),
        "birth_dev.tsv": _questions(world, "dev"),
        "birth_test_inputs.tsv": "".join(f"{person.question}\n" for person in world.in_split("test")),
        "birth_unseen.tsv": _questions(world, "unseen"),
    }


def _questions(world: World, split: str) -> str:
    return "".join(f"{person.question}\t{person.birthplace}\n" for person in world.in_split(split))


def _people_table(world: World) -> str:
    rows = ["name\tbirthplace\tbirth_region\tname_region\tsplit\tlines"]
    for person in world.people:
        cells = (person.name, person.birthplace, person.birth_region, person.name_region, person.split)
        rows.append("\t".join((*cells, str(len(person.lines)))))
    return "\n".join(rows) + "\n"


def _summary(world: World, with_seed: bool) -> str:
    counts = Counter(person.birthplace for person in world.people)
    options = f"--seed {world.seed} --people {world.people_asked_for} --phrasings {world.phrasings}"
    made_by = {"made_by": f"python -m a5lib.world {options}", "seed": world.seed} if with_seed else {}
    summary = {
        **made_by,
        "people": world.people_asked_for,
        "phrasings": world.phrasings,
        "lines": len(world.documents),
        "characters": len(set("".join(world.documents))),
        "splits": split_sizes(world.people_asked_for),
        "cities": [
            {"city": city, "region": REGION_OF[city], "share": SHARES[city], "people": counts[city]}
            for city in SHARES
        ],
    }
    return json.dumps(summary, ensure_ascii=False, indent=1) + "\n"


def _write_all(texts: dict[Path, str], private: set[Path]) -> None:
    """Write every text under a temporary name first, then rename them all: no file is ever half-written."""
    temporary: dict[Path, Path] = {}
    try:
        for path in texts:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                raise InputError(f"{path}: is a folder; give the name of a file to write")
        for path, text in texts.items():
            temporary[path] = path.with_name(f".{path.name}.part")
            temporary[path].touch(0o600 if path in private else 0o666)
            temporary[path].write_text(text, encoding="utf-8", newline="\n")
        for path, part in temporary.items():
            os.replace(part, path)
    except OSError as error:
        where, why = error.filename or "the world", error.strerror
        raise InputError(f"{where}: cannot be written ({why}); choose another --out or --key") from error
    finally:
        for part in temporary.values():
            _discard(part)


def _discard(path: Path) -> None:
    with contextlib.suppress(OSError):  # the folder itself may be gone; what matters was already reported
        path.unlink(missing_ok=True)


# ---- command line


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(prog="python -m a5lib.world", description="Make a world: a corpus of fictional people.")
    parser.add_argument(
        "--seed", type=_seed, default=0,
        help="which world (default 0, the public one); `random` draws one that cannot be guessed",
    )  # fmt: skip
    parser.add_argument("--people", type=int, default=3000, help="people with lines, 60..6000 (default 3000)")
    parser.add_argument("--phrasings", type=int, default=4, help="lines a person, 1..8 (default 4)")
    parser.add_argument("--out", type=Path, default=Path("data"), help="folder to write to (default data)")
    parser.add_argument("--key", type=Path, help=f"file for the test answers (default: {KEY_NAME} in --out)")
    return parser.parse_args(arguments)


def _seed(text: str) -> int:
    try:
        return secrets.randbits(128) if text == "random" else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a whole number nor `random`") from None


def _warn_of_guessing(options: argparse.Namespace) -> None:
    """This generator is public: whoever finds the seed by trying has the test answers."""
    private = options.key is not None and options.key.resolve().parent != options.out.resolve()
    if private and options.seed < 1 << GUESSABLE_BITS:
        print("warning: so small a seed can be found by trying; give --seed random", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command: make the world that the options ask for, and write it."""
    options = _parse(arguments)
    world = make_world(options.seed, options.people, options.phrasings)
    write_world(world, options.out, options.key)
    _warn_of_guessing(options)
    print(f"{len(world.documents)} lines about {options.people} people in {options.out}")


if __name__ == "__main__":
    run_command(main)
