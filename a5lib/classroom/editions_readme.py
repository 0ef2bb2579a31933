"""What `make editions` fills in in the README: the table of notebooks, and the address of the repository.

It stands between ``<!-- NAME: filled in by make editions -->`` and ``<!-- /NAME -->``. A notebook's row comes
from its source (title, points, and ``a5: {about: …}`` under ``jupyter:`` in the header) and ``durations``.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from a5lib.classroom.durations import MINUTES, minutes_alone, span
from a5lib.classroom.editions_build import BADGE, fill, folder_of, repository_address
from a5lib.classroom.points import PREDICTIONS, QUESTIONS, TABLE

README = "README.md"
BLOCK = re.compile(r"(<!-- (\w+): filled in by make editions -->\n).*?(<!-- /\2 -->)", re.S)
POINTS = re.compile(r"^# > \*\*[^\n]*· ([\d.]+) points?\b", re.M)
CLONE = """\
```sh
git clone --depth 1 {{repository}}
cd {{folder}}
```
"""


def filled_readme(root: Path, sources: Sequence[Path]) -> str:
    """The README of the course in folder `root` as it has to be; `sources` are the notebooks' sources.

    Raises:
        InputError: a pyproject.toml without an address.
    """
    address = repository_address(root)
    blocks = {
        "notebooks": _table(sources, address) + _remarks(sources),
        "clone": CLONE.replace("{{repository}}", address).replace("{{folder}}", folder_of(address)),
    }
    text = (root / README).read_text(encoding="utf-8")
    return BLOCK.sub(lambda block: block[1] + blocks.get(block[2], "") + block[3], text)


def readme_faults(root: Path, sources: Sequence[Path]) -> list[str]:
    """A line if the README is stale; an empty list if not, or if there is none."""
    path = root / README
    if not path.exists() or path.read_text(encoding="utf-8") == filled_readme(root, sources):
        return []
    return [f"{README}: is stale; run `make editions`"]


def _table(sources: Sequence[Path], address: str) -> str:
    """A row for each notebook; the GPU's column only where something was measured."""
    import jupytext

    gpu = bool(MINUTES["cuda"])
    rows = [["", "notebook", "you write", "your minutes", "the machine's, on 2 cores"]]
    rows[0] += ["the machine's, on a GPU"] * gpu + ["points", "in Colab"]
    rows.append(["---"] * len(rows[0]))
    for source in sources:
        text, name = source.read_text(encoding="utf-8"), source.stem
        header = jupytext.read(source, fmt="py:percent").metadata.get("a5", {})
        title = re.search(r"^# # (?:\d+ · )?(.*)", text, re.M)[1]
        yours = re.search(r"\*\*Takes\*\* (\d+) minutes", text)
        machine = [MINUTES[kind].get(name) for kind in ["cpu", *["cuda"] * gpu]]
        row = [name[:2], f"[{title}](notebooks/{name}.ipynb)", header.get("about", "")]
        row += [yours[1] if yours else ""]
        row += ["not measured" if minutes is None else f"{minutes:g}" for minutes in machine]
        row += [f"{sum(map(float, POINTS.findall(text))):g}", fill(BADGE, address, name)]
        rows.append(row)
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _remarks(sources: Sequence[Path]) -> str:
    """What the minutes and the points mean."""
    text = "The machine's minutes are those of profile `quick`, after the notebooks before it"
    text += ", and of `full` on a GPU." if MINUTES["cuda"] else "; none have been measured on a GPU yet."
    more = {source.stem[:2]: minutes_alone(source.stem, "cpu") for source in sources}
    alone = ", ".join(f"{span(minutes)} more for {number}" for number, minutes in more.items() if minutes)
    predictions = sum(item.points for item in TABLE if item.kind == PREDICTIONS)
    if alone:
        text += f"\nA notebook opened alone makes the models that it needs first: {alone}."
    total = sum(QUESTIONS.values())
    text += f"\nOf the assignment's {total} points, {predictions:g} are for files of predictions."
    return f"\n{text}\n"
