"""The written answers as one page for a browser or a printer, a question a page.

A grader opens it, so what a student wrote is taken as text: tags are shown, not obeyed, and the page forbids
itself scripts, and everything that would have to be fetched. Knows nothing about points.
"""

import base64
import html
import io
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from a5lib.files import atomic_path

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
STYLE = """
body { font: 12pt/1.5 Georgia, serif; max-width: 42em; margin: 2em auto; padding: 0 1em; color: #222 }
section { break-after: page; border-bottom: 1px solid #ccc; padding-bottom: 2em }
section:last-of-type { break-after: auto; border: 0 }
h2 { font-size: 1.2em } .question { color: #555; font-style: italic } .none { color: #a00 }
pre, code { font-family: monospace; white-space: pre-wrap; overflow-wrap: anywhere }
p { overflow-wrap: anywhere }
@media print { body { margin: 0 } section { border: 0 } }
"""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@dataclass(frozen=True)
class Answer:
    """A question's name and wording, and what the student wrote, in Markdown; empty for nothing."""

    name: str
    question: str
    text: str


def page(answers: Sequence[Answer], title: str = "Written answers", draw: bool = False) -> str:
    """The whole page as HTML.

    Args:
        draw: whether formulas become pictures (by matplotlib); if not, and where one cannot be drawn, it
            stays as it was typed. To draw a stranger's formulas may take as long as the stranger likes.
    """
    sections = "\n".join(_section(answer, draw) for answer in answers)
    head = (
        f'<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>"
    )
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{sections}\n</body>\n</html>\n'
    )


def _section(answer: Answer, draw: bool) -> str:
    written = _as_html(answer.text, draw) if answer.text.strip() else '<p class="none">Not answered.</p>'
    asked = f'<p class="question">{html.escape(answer.question)}</p>\n' if answer.question else ""
    return f"<section>\n<h2>{html.escape(answer.name)}</h2>\n{asked}{written}\n</section>"


def _as_html(markdown: str, draw: bool) -> str:
    """A little of Markdown, on text escaped first: paragraphs, lists, code, bold, italics, formulas."""
    parts = re.split(r"(?m)^```[^\n]*\n(.*?)^```[ \t]*$", html.escape(markdown), flags=re.DOTALL)
    blocks = []
    for index, part in enumerate(parts):
        if index % 2:
            blocks.append(f"<pre>{part.rstrip()}</pre>")
        else:
            blocks += [_block(block, draw) for block in re.split(r"\n\s*\n", part) if block.strip()]
    return "\n".join(blocks)


def _block(text: str, draw: bool) -> str:
    lines = text.strip("\n").split("\n")
    for kind, mark in (("ul", r"\s*[-*+] +"), ("ol", r"\s*\d+[.)] +")):
        if all(re.match(mark, line) for line in lines):
            items = "".join(f"<li>{_inline(re.sub(mark, '', line, count=1), draw)}</li>" for line in lines)
            return f"<{kind}>{items}</{kind}>"
    if re.match(r"#{1,6} ", lines[0]):
        rest = _block("\n".join(lines[1:]), draw) if lines[1:] else ""
        return f"<p><b>{_inline(lines[0].lstrip('# '), draw)}</b></p>{rest}"
    joined = "\n".join(line.removeprefix("&gt; ") for line in lines)
    return f"<p>{_inline(joined, draw)}</p>"


def _inline(text: str, draw: bool) -> str:
    parts = re.split(r"(`[^`]+`|\$\$[^$]+\$\$|\$[^$]+\$)", text)  # code and formulas are not looked into
    for index, part in enumerate(parts):
        if index % 2 == 0:
            part = re.sub(r"(?: {2,}|\\)\n", "<br>\n", part)
            part = re.sub(r"\*\*(\S(?:[^*]*\S)?)\*\*", r"<b>\1</b>", part)
            parts[index] = re.sub(r"(?<![\w*])[*_](\S(?:[^*_]*\S)?)[*_](?![\w*])", r"<i>\1</i>", part)
        elif part.startswith("`"):
            parts[index] = f"<code>{part[1:-1]}</code>"
        elif draw and (drawn := _drawn(html.unescape(part))):
            parts[index] = f"<br>{drawn}<br>" if part.startswith("$$") else drawn
    return "".join(parts)


UNKNOWN_TO_MATPLOTLIB = {
    r"\lVert": r"\Vert", r"\rVert": r"\Vert", r"\lvert": "|", r"\rvert": "|", r"\tfrac": r"\frac",
    r"\qquad": r"\quad\quad", r"\text": r"\mathrm", r"\top": "T", r"\le": r"\leq", r"\ge": r"\geq",
    r"\ne": r"\neq", r"\!": "",
}  # fmt: skip


def _drawn(formula: str) -> str | None:
    """A formula as a picture inside the page, on the line's height; None where it cannot be drawn."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import math_to_image

    source = " ".join(formula.strip("$").split())
    if formula.startswith("$$"):
        source = source.replace(r"\frac", r"\dfrac")
    for unknown, known in UNKNOWN_TO_MATPLOTLIB.items():
        source = re.sub(
            re.escape(unknown) + ("" if unknown == r"\!" else r"(?![A-Za-z])"),
            lambda _, known=known: known,
            source,
        )
    source = re.sub(r"\\(d?frac) ?(\w) ?(\w)", r"\\\1{\2}{\3}", source)  # \frac12
    source = re.sub(r"\\(sqrt|mathcal|mathbb) ?(\\[A-Za-z]+|\w)", r"\\\1{\2}", source)  # \mathcal N
    source = re.sub(r"\\[bB]igg?(?![A-Za-z])", "", source)
    picture = io.BytesIO()
    try:
        font = FontProperties(size=12, math_fontfamily="stix")
        depth = math_to_image(f"${source}$", picture, prop=font, dpi=72, format="svg")
    except Exception:  # the parser has many ways to refuse
        return None
    svg = re.sub(rb"(?s)<metadata>.*?</metadata>", b"", picture.getvalue())  # it holds the date
    data = base64.b64encode(svg).decode()
    alt = html.escape(formula)
    return f'<img style="vertical-align:-{depth:.1f}pt" alt="{alt}" src="data:image/svg+xml;base64,{data}">'


def write_pdf(page_path: Path, pdf_path: Path, seconds: float = 60) -> bool:
    """Print a page to PDF where there is a Chromium; returns whether there is one and it worked."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        return False
    with tempfile.TemporaryDirectory() as profile, atomic_path(pdf_path) as temporary:
        command = [
            browser, "--headless", "--disable-gpu", f"--user-data-dir={profile}", "--no-pdf-header-footer",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--print-to-pdf={temporary}", page_path.resolve().as_uri(),
        ]  # fmt: skip
        if getattr(os, "geteuid", lambda: 1)() == 0:
            command.insert(1, "--no-sandbox")  # Chromium's own does not work for root
        try:
            subprocess.run(command, capture_output=True, timeout=seconds, check=False)
        except (OSError, subprocess.TimeoutExpired):
            temporary.write_bytes(b"")
        made = temporary.read_bytes()[:5] == b"%PDF-"
        if not made:
            temporary.write_bytes(b"")
    if not made:
        pdf_path.unlink(missing_ok=True)
    return made
