"""Messages out of a limited process: a JSON object a line. Whatever else comes is passed over."""

import contextlib
import json
import os
from collections.abc import Callable
from typing import Any

Send = Callable[[dict], None]
END = {"end": True}  # the last message of a process that came to its end


def sender(descriptor: int) -> Send:
    """A function that writes its message, a dict, to an open pipe."""

    def send(message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(descriptor, data) :]

    return send


def read_messages(received: bytes) -> tuple[list[dict], bool]:
    """What was sent, without what is no message; and whether the end was sent, too."""
    messages = []
    for line in received.split(b"\n"):
        with contextlib.suppress(ValueError, RecursionError):
            message = json.loads(line)
            if isinstance(message, dict) and _is_shallow(message):
                messages.append(message)
    complete = bool(messages) and messages[-1] == END
    return [m for m in messages if m != END], complete


def _is_shallow(value: Any, depth: int = 4) -> bool:
    """Whether lists and dicts stand in each other only as deep as our own messages have them."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth >= 0 and all(_is_shallow(item, depth - 1) for item in inside)
