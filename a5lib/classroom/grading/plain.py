"""A student's text, made fit to be shown anywhere; and how large a MB is. Knows nothing else."""

import unicodedata
from typing import Any

MB = 1 << 20


def clean(value: Any, most: int = 300) -> str:
    """A student's text without control characters, escapes and the like, at most `most` characters."""
    text = value if isinstance(value, str) else ""
    kept = (c for c in text[: 2 * most] if c in "\n\t" or unicodedata.category(c)[0] != "C")
    return "".join(kept)[:most]
