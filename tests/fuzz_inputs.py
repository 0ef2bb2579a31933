"""What `fuzz` draws: files that are damaged or say something odd, and command lines."""

import copy
import json
from typing import Any

import torch
from hypothesis import strategies as st

PIECES = [
    b"\0", b"\xff", b"\xef\xbb\xbf", b"\r", b"\n", b"\t", b" ", "⁇".encode(), "□".encode(), b"\xed\xb2\x80",
    b"{", b"[" * 2000, b"9" * 5000, b"NaN", b"-1", b"1e999", b"null", b'"', b"x" * 100_000, b"PK\x03\x04",
    b"\x80\x02}q\x00.",
]  # fmt: skip


@st.composite
def damaged(draw, good: bytes) -> bytes:
    """A good file that was cut, overwritten or added to in up to three places; or something else."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    content = good
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(content)))
        length = draw(st.sampled_from([0, 1, 1, 4, 64, len(content)]))
        piece = draw(
            st.one_of(st.binary(max_size=8), st.sampled_from(PIECES), st.just(content[at : at + 99]))
        )
        content = content[:at] + piece + content[at + length :]
    return content


ODD = st.one_of(
    st.sampled_from(
        [None, True, -1, 0, 1, 7, 10**9, 10**30, 0.5, float("nan"), float("inf"), "", "x", [], {}, [[]]]
    ),
    st.integers(),
    st.text(max_size=5),
    st.lists(st.integers(0, 300), max_size=3),
)


@st.composite
def distorted(draw, good: Any, odd: st.SearchStrategy = ODD) -> Any:
    """A value of dicts and lists with one thing in it replaced, removed or added."""
    value = [copy.deepcopy(good)]
    where, key = value, 0
    while isinstance(where[key], (dict, list)) and where[key] and draw(st.integers(0, 5)):
        where = where[key]
        key = draw(st.sampled_from(sorted(where, key=str) if isinstance(where, dict) else range(len(where))))
    change = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
    if change == "remove" and where is not value:
        del where[key]
    elif change == "add" and isinstance(where, dict):
        where[draw(st.text(max_size=5))] = draw(odd)
    else:
        where[key] = draw(odd)
    return value[0]


def json_bytes(good: Any) -> st.SearchStrategy:
    """JSON files, with damage to the text or to what it says."""
    text = json.dumps(good).encode()
    return st.one_of(damaged(text), distorted(good).map(lambda value: json.dumps(value).encode()))


ONE = torch.ones(1)
ODD_TENSORS = st.sampled_from([
    torch.zeros(0), torch.tensor(1.0), torch.ones(8), torch.full((8,), float("nan")),
    ONE.expand(10**6, 10**6), ONE.expand(50, 10**9), ONE.expand(1, 10**9, 8), ONE.as_strided((8,), (0,)),
    torch.empty(10**9, 8, device="meta"), torch.eye(8).to_sparse(), torch.ones(3, 3, dtype=torch.int64),
    torch.ones(8, dtype=torch.complex64), torch.ones(8, dtype=torch.bfloat16),
    torch.ones(8, dtype=torch.bool), torch.ones(8).to(torch.float8_e5m2), [], {}, None, "x", 10**9,
])  # fmt: skip


# Command lines.

RUN_FLAGS = [
    "--writing_params_path", "--reading_params_path", "--finetune_corpus_path", "--eval_corpus_path",
    "--outputs_path", "--pretrain_lr", "--finetune_lr", "--bottleneck_dim", "--tb_expt_name", "--recipe",
    "--profile", "--max_epochs", "--seed", "--device", "--save_seconds", "--resume",
]  # fmt: skip
OTHER_FLAGS = [
    "--seed",
    "--data",
    "--runs",
    "--timeout",
    "--people",
    "--phrasings",
    "--out",
    "--key",
    "--profile",
]
ODD_FLAGS = ["--", "-x", "--help", "--se", "---"]
VALUES = st.one_of(
    st.sampled_from([
        "", "0", "-1", "1", "5", "1e-3", "1e308", "-0.0", "nan", "inf", "-inf", "9" * 40, "1_0", "0x10", "٣",
        "cuda", "never", "handout", "perceiver", "wiki.txt", "dev.tsv", "model.params", "folder",
        "folder/new", "absent", "wiki.txt/below", "x" * 300, "../" * 40, "a\0b", "\udc80",
        "line\nend", "~", "/dev/null/x", "/proc/self/x", "\x1b[31m",
    ]),
    st.text(max_size=8),
    st.integers().map(str),
    st.floats().map(str),
)  # fmt: skip


@st.composite
def command_lines(draw, commands: dict[str, list[str]]) -> tuple[str, list[str]]:
    """The name of a command, and arguments of which one or two are wrong or odd."""
    name = draw(st.sampled_from(["run"] * 6 + sorted(commands)))
    words = draw(st.sampled_from(commands[name])).split()
    flags = st.sampled_from((RUN_FLAGS if name == "run" else OTHER_FLAGS) * 2 + ODD_FLAGS)
    for _ in range(draw(st.integers(1, 2))):
        change = draw(st.sampled_from(["value", "remove", "add", "add", "add"]))
        at = draw(st.integers(0, len(words) - 1)) if words else 0
        if change == "value" and words:
            words[at] = draw(VALUES)
        elif change == "remove" and words:
            del words[at]
        else:
            words.append(f"{draw(flags)}={draw(VALUES)}")
    return name, words
