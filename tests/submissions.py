# ruff: noqa: E501
"""Submissions to grade: a sound one, from models that were never trained, and hostile ones."""

import io
import json
import pickle
import stat
import zipfile

import torch
from conftest import tiny_model

from a5lib.checkpoint import save_params
from a5lib.classroom.editions_build import build
from a5lib.classroom.grading.flags import NOTEBOOKS
from a5lib.classroom.grading.handin import MODELS, NINE, SIDECARS, SPLITS
from a5lib.evaluation import evaluate_places

SHAPE = {"block_size": 128, "n_layer": 3, "n_head": 2, "n_embd": 16}


def notebook(*cells, **more):
    """A notebook of code cells, as bytes."""
    made = [{"cell_type": "code", "source": cell, "metadata": {}, "outputs": []} for cell in cells]
    return json.dumps({"cells": made, "nbformat": 4, "nbformat_minor": 5, "metadata": {}, **more}).encode()


def solved(stem):
    """A notebook with all exercises solved, as bytes, never run."""
    import nbformat

    source = NOTEBOOKS / "source" / f"{stem}.py"
    notebook = build(source)[1]
    for cell in notebook.cells:
        cell.source = cell.source.replace(', edition="solved"', "")
    return nbformat.writes(notebook).encode()


def student(stem):
    """The student edition, untouched."""
    return (NOTEBOOKS / f"{stem}.ipynb").read_bytes()


def sound_files(corpus, folder):
    """The nine files and the JSON files beside the parameters, by name, from models drawn at random."""
    for seed, model in enumerate(MODELS):
        network = tiny_model(
            model.variant, seed, std=0.3, vocab_size=len(corpus.vocab), **SHAPE,
            bottleneck_dim=None if model.variant == "vanilla" else 8,
        )  # fmt: skip
        save_params(network, folder / model.params)
        for split in SPLITS:
            asked = {"dev": corpus.dev, "test": corpus.test}[split]
            answers = evaluate_places(network, corpus.vocab, asked).predictions
            rows = "".join(answer.replace("\n", " ") + "\n" for answer in answers)
            (folder / model.predictions(split)).write_text(rows, encoding="utf-8")
    return {name: (folder / name).read_bytes() for name in sorted({*NINE, *SIDECARS})}


def zipped(files, compression=zipfile.ZIP_STORED):
    """A zip archive of files by name, as bytes; a name may be a ZipInfo."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def member(name, mode=0o644, kind=stat.S_IFREG):
    made = zipfile.ZipInfo(name)
    made.external_attr = (kind | mode) << 16
    return made


class Code:
    """A pickle that would write a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def pickle_with_code(path):
    file = io.BytesIO()
    torch.save({"tok_emb.weight": Code(path)}, file)
    return file.getvalue()


def old_pickle_with_code(path):
    return pickle.dumps(Code(path))


def bomb(megabytes=400):
    """Zeros, with a header that tells of ten bytes."""
    file = io.BytesIO()
    archive = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED)
    with archive, archive.open("vanilla.model.params", "w") as inside:
        for _ in range(megabytes):
            inside.write(bytes(1 << 20))
    data = bytearray(file.getvalue())
    central = data.rindex(b"PK\x01\x02")
    data[central + 24 : central + 28] = (10).to_bytes(4, "little")
    return bytes(data)


def encrypted():
    data = bytearray(zipped({"vanilla.model.params": b"x" * 40}))
    data[data.index(b"PK\x03\x04") + 6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def with_odd_name(says_utf8):
    """An archive with a member whose name is no UTF-8, which the archive claims or does not."""
    data = bytearray(zipped({"caf__.txt": b"x"}).replace(b"caf__", b"caf\xff\xfe"))
    if says_utf8:
        for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            data[data.index(header) + flags + 1] |= 8
    return bytes(data)


# Archives that are refused as a whole: what is in them, and a word of the message.
REFUSED = {
    "not a zip": (lambda: b"hello", "no zip archive"),
    "an empty file": (lambda: b"", "no zip archive"),
    "half a zip": (lambda: zipped({"a": b"x" * 1000})[:500], "no zip archive"),
    "path traversal": (lambda: zipped({"../../tmp/evil.ipynb": b"x"}), "leads outside"),
    "backslashes": (lambda: zipped({"..\\..\\evil.ipynb": b"x"}), "leads outside"),
    "an absolute path": (lambda: zipped({"/etc/cron.d/evil.ipynb": b"x"}), "leads outside"),
    "a drive": (lambda: zipped({"C:evil.ipynb": b"x"}), "leads outside"),
    "a link": (lambda: zipped({member("06.ipynb", kind=stat.S_IFLNK): b"/etc/shadow"}), "is a link"),
    "a zip bomb with a lying header": (bomb, "damaged"),
    "a zip bomb": (
        lambda: zipped({"a.ipynb": bytes(40 << 20)}, zipfile.ZIP_DEFLATED), "come out of it",
    ),
    "a name that is no UTF-8": (lambda: with_odd_name(True), "not UTF-8"),
    "encrypted": (encrypted, "encrypted"),
    "the same name twice": (
        lambda: zipped({member("a.ipynb"): b"1", member("a.ipynb"): b"2"}), "two members",
    ),
    "one file in two folders": (
        lambda: zipped({"a/vanilla.model.params": b"1", "b/vanilla.model.params": b"2"}), "there twice",
    ),
    "thousands of members": (lambda: zipped({f"{i}.txt": b"" for i in range(4000)}), "members"),
    "another compression": (lambda: zipped({"a.ipynb": b"x" * 99}, zipfile.ZIP_LZMA), "compression"),
    "fifty notebooks": (lambda: zipped({f"{i}.ipynb": b"{}" for i in range(50)}), "more than 40"),
}  # fmt: skip

GOOD_CELL = """
def split_xy(row):
    return row[:-1], row[1:]

split_xy = check("split_xy", split_xy)
"""

# Cells of one notebook: how its process ends, and whether the exercise after the cell is still checked.
HOSTILE_CELLS = {
    "endless loop": ("while True: pass", "well", True),
    "endless loop that catches everything": (
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass", None, None,
    ),
    "endless loop in a function that is checked": (
        "def share_kept(end, block):\n    while True: pass\ncheck('share_kept', share_kept)", None, None,
    ),
    "sys.exit": ("import sys; sys.exit(0)", "well", True),
    "os._exit": ("import os; os._exit(0)", "ended early", False),
    "exit in a function that is checked": (
        "def share_kept(end, block):\n    import os; os._exit(0)\ncheck('share_kept', share_kept)", "ended early",
        False,
    ),
    "fork bomb": (
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", None, None,
    ),
    "fork bomb in threads": (
        "import threading, time\nwhile True:\n    threading.Thread(target=time.sleep, args=(99,)).start()", "well",
        True,
    ),
    "daemon": (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(600)\n"
        "    os._exit(0)", None, None,
    ),
    "memory hog": ("hog = []\nwhile True: hog.append(bytearray(1 << 26))", None, None),
    "memory hog in torch": ("import torch\nhog = torch.zeros(1 << 40)", "well", True),
    "gigabytes of output": ("for _ in range(2000): print('x' * (1 << 20))", "well", True),
    "gigabytes on descriptor 1": ("import os\nfor _ in range(2000): os.write(1, b'x' * (1 << 20))", "well", True),
    "gigabytes through every descriptor": (
        "import os\nfor n in range(3, 64):\n    try:\n        for _ in range(200): os.write(n, b'x' * (1 << 20))\n"
        "    except OSError: pass", "reported more", False,
    ),
    "fills the disk": (
        "n = 0\nwhile True:\n    n += 1\n    open(f'f{n}', 'wb').write(bytes(1 << 23))", "wrote more", None,
    ),
    "crash": ("import ctypes; ctypes.string_at(0)", "ended by the system", False),
    "abort": ("import os; os.abort()", "ended by the system", False),
    "stops itself": ("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", None, None),
    "kills all": ("import os, signal\ntry: os.kill(-1, signal.SIGKILL)\nexcept OSError: pass", None, None),
    "kills its parent": (
        "import os, signal\ntry: os.kill(os.getppid() or 1, signal.SIGKILL)\nexcept OSError: pass", None, None,
    ),
    "raises KeyboardInterrupt": ("raise KeyboardInterrupt", "well", True),
    "endless recursion": ("def f(): f()\nf()", "well", True),
    "deep recursion in C": (
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(): return [f() for _ in '1']\nf()", None, None,
    ),
    "does not parse": ("def (:", "well", True),
    "deeply nested": ("(" * 100_000 + ")" * 100_000, "well", True),
    "a null": ("x = 1\x00", "well", True),
    "magics": ("%matplotlib inline\n!ls\nprint?\nx = 1", "well", True),
    "cell magic": ("%%bash\nrm -rf /", "well", True),
}  # fmt: skip

NOT_NOTEBOOKS = {
    "no JSON": b"hello",
    "JSON of another kind": b"[1, 2]",
    "deeply nested JSON": b'{"cells": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "cells that are no cells": b'{"cells": [1, null, {"cell_type": 3}]}',
    "not UTF-8": b"\xff\xfe{",
}
