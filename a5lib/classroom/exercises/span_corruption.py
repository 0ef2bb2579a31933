"""Checks for notebook 06: truncation, the span, the rearrangement, and the whole of span corruption."""

import random
from collections import Counter
from collections.abc import Callable

from a5lib import dataset
from a5lib.classroom.checks import Wrong, exercise
from a5lib.classroom.exercises.comparing import CLOSE, as_number
from a5lib.dataset import MIN_LENGTH, longest_truncation, restore
from a5lib.vocab import MASK, PAD

LONG = "".join(chr(ord("a") + i % 26) for i in range(300))  # a document longer than any block used here
BLOCK, DRAWS = 32, 6_000


@exercise("truncate", dataset.truncate, draws=True)
def check_truncate(attempt: Callable) -> None:
    """All lengths, equally often at skew 1, and leaning as told; short documents unharmed."""
    for short in ("", "a", "abc"):
        got = attempt(short, BLOCK, random.Random(0))
        if got != short:
            raise Wrong("a document shorter than 4 should stay as it is", repr(short), repr(got))
    rng = random.Random(1)
    texts = [attempt(LONG, BLOCK, rng) for _ in range(DRAWS)]
    odd = next((text for text in texts if not (isinstance(text, str) and LONG.startswith(text))), None)
    if odd is not None:
        raise Wrong("the result should be the beginning of the document", LONG[:10] + "…", odd)
    _check_uniform(Counter(map(len, texts)), BLOCK, "truncation length")
    for block in (33, 128):  # 28 and 112: the bound is rounded down, and it follows the block
        _check_uniform(Counter(len(attempt(LONG, block, rng)) for _ in range(DRAWS)), block, "length")
    _check_seeded(lambda rng: attempt(LONG, BLOCK, rng))
    _check_leaning(Counter(len(attempt(LONG, BLOCK, rng, 3)) for _ in range(DRAWS)))


def _check_seeded(draw: Callable) -> None:
    """Ten draws from generators with the same seed are the same."""
    first, second = ([draw(rng) for _ in range(10)] for rng in (random.Random(7), random.Random(7)))
    if first != second:
        hint = "draw from rng only, not from the module random"
        raise Wrong("the same generator gives two different results", first[:3], second[:3], hint)


def _check_leaning(counts: Counter) -> None:
    """Skew 3: the share of lengths in the upper half is 1 - (1/2)³, the longest possible one included."""
    longest = longest_truncation(BLOCK)
    middle = (MIN_LENGTH + longest + 1) / 2
    upper = sum(n for length, n in counts.items() if length >= middle) / DRAWS
    if max(counts) > longest or min(counts) < MIN_LENGTH:
        drawn = f"{min(counts)} to {max(counts)}"
        raise Wrong("with skew 3 a length outside the range was drawn", f"{MIN_LENGTH} to {longest}", drawn)
    if abs(upper - 7 / 8) > 0.03:
        hint = "raise rng.random() to the power 1/skew before you stretch it over the lengths"
        raise Wrong(
            "with skew 3 the lengths do not lean as they should",
            "0.875 in the upper half",
            f"{upper:.3f}",
            hint,
        )
    if longest not in counts:
        raise Wrong(
            f"with skew 3 the longest length, {longest}, never occurs",
            hint="there are longest - 4 + 1 lengths",
        )


def _check_uniform(counts: Counter, block: int, what: str) -> None:
    """Each value from 4 to 7/8 of the block occurs, no other does, and none far from its share.

    6,000 draws and a band of 6 standard deviations: one false alarm in a million. Half a share at an end, as
    rounding in the place of flooring gives, lies outside.
    """
    low, high = MIN_LENGTH, longest_truncation(block)
    drawn = f"{min(counts)} to {max(counts)}"
    if min(counts) < low or max(counts) > high:
        raise Wrong(
            f"a {what} outside {low} to {high} was drawn (block size {block})", f"{low} to {high}", drawn
        )
    missing = [n for n in range(low, high + 1) if n not in counts]
    if missing:
        hint = (
            "how many lengths are there? int(k * rng.random()) is from 0 to k - 1"
            if missing in ([low], [high])
            else ""
        )
        raise Wrong(
            f"some {what}s never occur (block size {block}): {missing}", f"{low} to {high}", drawn, hint
        )
    share = sum(counts.values()) / (high - low + 1)
    value, most = counts.most_common(1)[0]
    if most > share + 6 * share**0.5:
        raise Wrong(f"{what} {value} is far too frequent: all are equally likely", f"about {share:.0f}", most)
    value, least = counts.most_common()[-1]
    if least < share - 6 * share**0.5:
        hint = "int() cuts off, round() gives the two ends half of what the others get"
        raise Wrong(f"{what} {value} is far too rare: all are equally likely", f"{share:.0f}", least, hint)


@exercise("choose_span", dataset.choose_span, draws=True)
def check_choose_span(attempt: Callable) -> None:
    """Inside the text; lengths vary, a quarter on average; the start is anywhere."""
    rng = random.Random(2)
    for length in [length for length in (0, 1, 2, 3, 4, 5) for _ in range(20)]:
        start, stop = attempt(length, rng)
        if not 0 <= start <= stop <= length:
            raise Wrong(
                f"the span of a text of {length} characters lies outside it", f"0 to {length}", (start, stop)
            )
    length = 40
    _check_seeded(lambda rng: tuple(attempt(length, rng)))
    spans = [attempt(length, rng) for _ in range(DRAWS)]
    if any(not 0 <= start < stop <= length for start, stop in spans):
        odd = next(span for span in spans if not 0 <= span[0] < span[1] <= length)
        raise Wrong(
            f"a span of a text of {length} characters should not be empty, nor leave the text", got=odd
        )
    lengths = [stop - start for start, stop in spans]
    if len(set(lengths)) == 1:
        raise Wrong("every span has the same length: it should be random", "many lengths", lengths[0])
    _check_quarter(sum(lengths) / DRAWS, length)
    if len({start for start, _ in spans}) == 1:
        raise Wrong("every span begins at the same place: its start should be random", "many", spans[0][0])
    if not any(stop == length for _, stop in spans) or not any(start == 0 for start, _ in spans):
        raise Wrong(
            "no span begins at the first character, or none reaches the last",
            hint="rng.randint includes both ends",
        )
    for length in [length for length in (1, 2, 3, 4, 5) for _ in range(20)]:
        start, stop = attempt(length, rng)
        if start == stop:
            wrong = f"the span of a text of {length} characters is empty: at least one, if there is one"
            raise Wrong(wrong, "start < stop", (start, stop))


def _check_quarter(mean: float, length: float) -> None:
    if abs(mean / length - 0.25) > 0.02:
        hint = "uniform from 1 to length/2 - 1 has the mean length/4"
        raise Wrong(
            "the spans are not a quarter of the text on average", f"{length / 4:.2f}", f"{mean:.2f}", hint
        )


@exercise("rearrange", dataset.rearrange)
def check_rearrange(attempt: Callable) -> None:
    """Three cases written out, each wrong result recognized by its look."""
    _check_row(attempt("abcdef", 2, 4, 12), "ab⁇ef⁇cd□□□□", "cd")
    _check_row(attempt("abcdef", 0, 3, 12), "⁇def⁇abc□□□□", "abc")
    _check_row(attempt("abcd", 3, 4, 8), "abc⁇⁇d□□", "d")
    got = attempt("abababab", 2, 4, 12)
    if got != "ab⁇abab⁇ab□□":
        hint = "go by start and stop; replace() and index() find another place with the same letters"
        raise Wrong("wrong where the span's letters occur elsewhere, too", "ab⁇abab⁇ab□□", got, hint)


def _check_row(got: str, expected: str, span: str) -> None:
    if not isinstance(got, str):
        raise Wrong("a string is expected", expected, got)
    if got == expected:
        return
    if got.rstrip(PAD) == expected.rstrip(PAD):
        raise Wrong("the row is not padded to block_size", f"{len(expected)} long", f"{len(got)} long")
    if got.count(MASK) != 2:
        raise Wrong(
            f"{got.count(MASK)} mask characters where 2 belong: at the gap, and before the span",
            expected,
            got,
        )
    if got.rstrip(PAD).endswith(MASK):
        raise Wrong("the second mask belongs before the span, not behind it", expected, got)
    if got.split(MASK)[1].startswith(span):
        raise Wrong("the span stands in the middle: it moves to the end", expected, got)
    raise Wrong("not `prefix⁇suffix⁇span□…`", expected, got)


def split_xy(row: str) -> tuple[str, str]:
    """Input and target of next-character prediction."""
    return row[:-1], row[1:]


@exercise("split_xy", split_xy)
def check_split_xy(attempt: Callable) -> None:
    """x drops the last character, y the first."""
    x, y = attempt("ab⁇⁇c□□□")
    if x == y:
        raise Wrong("x and y are the same: y is shifted by one", ("ab⁇⁇c□□", "b⁇⁇c□□□"), (x, y))
    if (y, x) == ("ab⁇⁇c□□", "b⁇⁇c□□□"):
        raise Wrong("x and y are swapped: y is what comes next", ("ab⁇⁇c□□", "b⁇⁇c□□□"), (x, y))
    if (x, y) != ("ab⁇⁇c□□", "b⁇⁇c□□□"):
        raise Wrong(
            "x is the row without its last character, y without its first", ("ab⁇⁇c□□", "b⁇⁇c□□□"), (x, y)
        )


@exercise("corrupt_span", dataset.corrupt_span, draws=True)
def check_corrupt_span(attempt: Callable) -> None:
    """The parts together: nothing lost, all lengths, spans a quarter of the *truncated* text."""
    rng = random.Random(3)
    for document in [document for document in ("", "a", "abc", "abcd") for _ in range(20)]:
        row = attempt(document, BLOCK, rng)
        if not isinstance(row, str):
            raise Wrong("a string is expected", f"{BLOCK} characters", row)
        if len(row) != BLOCK or row.count(MASK) != 2:
            raise Wrong(f"{document!r}: the row should be {BLOCK} long with two masks", got=row)
    for document, block in ((LONG, BLOCK), (LONG, 128), (LONG[:10], 128)):
        rows = [attempt(document, block, rng) for _ in range(DRAWS)]
        for row in rows:
            _check_restores(row, document, block)
        if block == BLOCK:
            _check_uniform(Counter(len(restore(row)) for row in rows), BLOCK, "length")
        else:
            _check_spans(rows, document)
    leaning = [len(restore(attempt(LONG, BLOCK, rng, 3))) for _ in range(DRAWS)]
    if sum(leaning) / DRAWS < 21:  # 16 on average at skew 1, 22.25 at skew 3
        mean = f"{sum(leaning) / DRAWS:.1f}"
        raise Wrong("the skew changes nothing: hand it on to truncate", "22.3 on average at skew 3", mean)
    same = [attempt(LONG, BLOCK, random.Random(7)) for _ in range(2)]
    if same[0] != same[1]:
        hint = "draw from rng only, not from the module random"
        raise Wrong("the same generator gives two different rows", same[0], same[1], hint)


def _check_spans(rows: list[str], document: str) -> None:
    """Not empty, a quarter of the truncated text on average, of many lengths, anywhere."""
    parts = [row.rstrip(PAD).split(MASK) for row in rows]
    lengths, spans = [sum(map(len, part)) for part in parts], [len(part[2]) for part in parts]
    mean, quarter = sum(spans) / len(rows), sum(lengths) / len(rows) / 4
    if document != LONG and mean > 1.5 * quarter:
        what = "the span's length goes by the length that was drawn, but the document is shorter than that"
        hint = "take a quarter of len(text), after truncation"
        raise Wrong(f"{what}: 10 characters", f"{quarter:.2f} on average", f"{mean:.2f}", hint)
    if 0 in spans:
        empty = next(row for row, span in zip(rows, spans, strict=True) if span == 0)
        raise Wrong("an empty span: nothing is asked for", "at least one character", empty)
    if document != LONG:  # at 10 characters it makes a difference how a quarter is rounded
        return
    _check_quarter(mean, 4 * quarter)
    longest = [i for i, length in enumerate(lengths) if length == max(lengths)]
    if len({spans[i] for i in longest}) == 1:
        raise Wrong("every span has the same length: it should be random", "many", spans[longest[0]])
    if len({len(parts[i][0]) for i in longest}) == 1:
        where = len(parts[longest[0]][0])
        raise Wrong("every span begins at the same place: its start should be random", "many", where)
    if all(part[0] for part in parts) or all(part[1] for part in parts):
        raise Wrong("no span begins at the first character, or none reaches the last")


def _check_restores(row: str, document: str, block: int) -> None:
    if len(row) != block:
        raise Wrong("the row is not as long as the block", block, len(row))
    if row.count(MASK) != 2:
        raise Wrong("a row has two masks", 2, row)
    if not document.startswith(restore(row)):
        raise Wrong(
            "putting the span back does not give the beginning of the document", document[:block], row
        )


def share_kept(end: int, block_size: int) -> float:
    """The probability that a uniform truncation keeps the first `end` characters."""
    longest = longest_truncation(block_size)
    return min(1.0, max(0.0, (longest - end + 1) / (longest - MIN_LENGTH + 1)))


@exercise("share_kept", share_kept)
def check_share_kept(attempt: Callable) -> None:
    """The two ends, and the middle counted by hand."""
    for end, expected in ((112, 1 / 109), (4, 1.0), (80, 33 / 109), (113, 0.0), (1, 1.0)):
        got = as_number(attempt(end, 128), f"a place that ends at character {end}, block 128")
        if abs(got - expected) > CLOSE:
            hint = "count the lengths from 4 to 112 that are at least `end`; 112 itself is one of them"
            raise Wrong(
                f"a place that ends at character {end}, block 128", f"{expected:.4f}", f"{got:.4f}", hint
            )
