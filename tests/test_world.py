"""The embedded corpus: made anew byte for byte, and sound for every seed."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a5lib.errors import InputError
from a5lib.world import FILE_NAMES, KEY_NAME, SPLITS, main, make_world, write_world
from a5lib.world_lists import CITIES, HABITS, OCCUPATIONS, PHRASINGS

ROOT = Path(__file__).parent.parent
ALL_CITIES = [city for cities in CITIES.values() for city in cities]
COMMITTED = {"data": (3000, 4), "data/quick": (600, 4), "data/one_phrasing": (600, 1)}


@pytest.mark.parametrize("folder", COMMITTED)
def test_committed_data_is_what_its_command_writes(folder, tmp_path):
    people, phrasings = COMMITTED[folder]
    options = f"--seed 0 --people {people} --phrasings {phrasings} --out"
    assert f"python -m a5lib.world {options} {folder}\n" in (ROOT / "data/README.md").read_text(
        encoding="utf-8"
    )
    main([*options.split(), str(tmp_path)])
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == sorted([*FILE_NAMES, KEY_NAME])
    for name in made:
        assert (tmp_path / name).read_bytes() == (ROOT / folder / name).read_bytes(), name


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**40), st.integers(60, 300), st.integers(1, 8))
def test_every_world_is_sound(seed, people, phrasings):
    world = make_world(seed, people, phrasings)
    names = [person.name for person in world.people]
    assert len(set(names)) == len(names) == people + max(20, people // 10)
    assert sum(len(world.in_split(split)) for split in SPLITS) == people
    for split in (*SPLITS, "unseen"):
        assert len(world.in_split(split)) > 0

    owners = Counter()
    for line in world.documents:
        (owner,) = (name for name in names if name in line)
        owners[owner] += 1
    for person in world.people:
        unseen = person.split == "unseen"
        assert owners[person.name] == len(set(person.families)) == (0 if unseen else phrasings)
        assert len(person.question) <= 60
        for line in person.lines:
            assert line.count(person.name) == line.count(person.birthplace) == 1
            assert person.birthplace == person.other_place or line.count(person.other_place) <= 1

    asked = set("".join(person.question for person in world.people))
    assert asked <= set("".join(world.documents)), "a question has a character that no line has"
    assert sorted(world.documents) == sorted(line for person in world.people for line in person.lines)
    assert all(24 <= len(line) <= 80 and line == " ".join(line.split()) for line in world.documents)
    assert set("".join(world.documents)).isdisjoint("□⁇\t\n")
    two_places = [line for line in world.documents if sum(city in line for city in ALL_CITIES) > 1]
    assert len(two_places) <= len(world.documents) / 4


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**40), st.sampled_from([600, 3000]))
def test_london_is_the_best_constant_answer_in_every_split(seed, people):
    world = make_world(seed, people, 1)
    for split in (*SPLITS, "unseen"):
        asked = world.in_split(split)
        places = Counter(person.birthplace for person in asked)
        assert 0.05 <= places["London"] / len(asked) <= 0.08
    shares = Counter(person.birthplace for person in world.people)
    (first, _), (_, second) = shares.most_common(2)
    assert first == "London" and second / len(world.people) <= 0.046


def test_no_persons_lines_stand_side_by_side():
    world = make_world(3, 60, 8)
    owner = {line: person.name for person in world.people for line in person.lines}
    owners = [owner[line] for line in world.documents]
    assert all(one != next_one for one, next_one in zip(owners, owners[1:], strict=False))


def test_one_phrasing_is_the_plain_one():
    world = make_world(1, 200, 1)
    assert all(
        f"{person.name} was born in {person.birthplace}" in line
        for person in world.people
        for line in person.lines
    )


def test_families_are_used_alike():
    used = Counter(family for person in make_world(2, 400, 3).people for family in person.families)
    assert len(used) == len(PHRASINGS) and max(used.values()) - min(used.values()) <= 1


def test_every_sentence_fits_the_longest_and_the_shortest_words():
    for wording in (wording for family in PHRASINGS for wording in family):
        assert len(_filled(wording, min)) >= 24 and len(_filled(wording, max)) <= 80, wording


def _filled(wording, end):
    city, work, habit = (end(words, key=len) for words in (ALL_CITIES, OCCUPATIONS, HABITS))
    a_work = "an "[: end(2, 3)] + end(OCCUPATIONS, key=len)
    name = "x" * end(9, 15)
    return wording.format(name=name, city=city, other=city, year=1900, work=work, a_work=a_work, habit=habit)


def test_a_private_key_leaves_no_answers_in_the_folder(tmp_path):
    world = make_world(123456789, 60, 2)
    write_world(world, tmp_path / "handed_out", tmp_path / "kept" / "key.tsv")
    assert sorted(path.name for path in (tmp_path / "handed_out").iterdir()) == sorted(
        set(FILE_NAMES) - {"people.tsv"}
    )
    assert "123456789" not in (tmp_path / "handed_out" / "world.json").read_text(encoding="utf-8")
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
        "key.people.tsv",
        "key.tsv",
        "key.world.json",
    ]
    questions = [
        row.split("\t")[0] for row in (tmp_path / "kept" / "key.tsv").read_text(encoding="utf-8").splitlines()
    ]
    assert (
        questions
        == (tmp_path / "handed_out" / "birth_test_inputs.tsv").read_text(encoding="utf-8").splitlines()
    )


@pytest.mark.parametrize(
    "options",
    [
        "--people 59",
        "--people 9999999999",
        "--people many",
        "--phrasings 0",
        "--phrasings 9",
        "--seed -1",
        "--sed 1",
    ],
)
def test_bad_options_are_refused(options, tmp_path):
    with pytest.raises(InputError):
        main([*options.split(), "--out", str(tmp_path / "out")])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["--out", "--key"])
def test_a_place_that_cannot_be_written_leaves_nothing(option, tmp_path):
    (tmp_path / "plain").write_text("a file, not a folder")
    options = {"--people": "60", "--out": str(tmp_path / "out"), option: str(tmp_path / "plain" / "below")}
    command = [sys.executable, "-m", "a5lib.world", *(word for pair in options.items() for word in pair)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "plain"]
