"""What all tests share: one thread (cores are few, and sums stay the same), and tiny things to test with."""

import shutil

import pytest
import torch
from torch import nn

from a5lib.corpus import Question
from a5lib.model import GPTConfig, build_model

torch.set_num_threads(1)

BROWSERS = ("chromium", "chromium-browser", "google-chrome")

DOCUMENTS = (
    "Ana Bell was born in Oslo in 1901 and kept bees.",
    "The baker Cid Dorn came from Łódź.",
    "Quito was the birthplace of Eva Finn.",
    "Gus Holm, a printer, was born in Lima in 1922 and wrote two books about rivers.",
    "Ida Jern is a native of Oslo.",
    "Kai Lund was born in Quito.",
)
TRAIN_ROWS = (("Ana Bell", "Oslo"), ("Cid Dorn", "Łódź"), ("Eva Finn", "Quito"))
DEV_ROWS = (("Gus Holm", "Lima"), ("Ida Jern", "Oslo"), ("Kai Lund", "London"))


def questions(rows):
    return [Question(f"Where was {name} born?", place) for name, place in rows]


def tiny_model(variant="vanilla", seed=0, std=0.0, **shape):
    """A model small enough for milliseconds; `std` > 0 draws the weights wide, so that its outputs vary."""
    config = {"vocab_size": 11, "block_size": 16, "n_layer": 3, "n_head": 2, "n_embd": 8, "dropout": 0.0}
    config |= {"bottleneck_dim": None if variant == "vanilla" else 5} | shape
    model = build_model(variant, GPTConfig(**config), seed).eval()
    if std:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(std=std, generator=torch.Generator().manual_seed(seed))
    return model


class FakeModel(nn.Module):
    """loss = w · mean(x), so its gradient is mean(x)."""

    def __init__(self):
        super().__init__()
        self.w = nn.Linear(1, 1, bias=False)

    def forward(self, x, y):
        return None, (self.w.weight * x).mean()


class FakeBatches:
    def __init__(self, *values):
        self.values = values

    def epoch(self, number):
        return [(torch.full((1, 2), float(v)), torch.tensor([[3, 0]])) for v in self.values]


@pytest.fixture
def corpus_folder(tmp_path, monkeypatch):
    """The four files of a tiny corpus, in the working directory of the test."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wiki.txt").write_text(
        "".join(f"{d}\n" for d in DOCUMENTS) + "Where was London?\n", encoding="utf-8"
    )
    for name, rows in (("birth_places_train.tsv", TRAIN_ROWS), ("birth_dev.tsv", DEV_ROWS)):
        text = "".join(f"Where was {person} born?\t{place}\n" for person, place in rows)
        (tmp_path / name).write_text(text, encoding="utf-8")
    test = "Where was Ida Jern born?\nWhere was Kai Lund born?\n"
    (tmp_path / "birth_test_inputs.tsv").write_text(test, encoding="utf-8")
    return tmp_path


@pytest.fixture(scope="session")
def browser():
    """The system's Chromium, without a screen; a test that asks for it is skipped where there is none."""
    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    if chromium is None:
        pytest.skip(f"no browser here: none of {', '.join(BROWSERS)} is installed")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(
            executable_path=chromium, args=["--disable-gpu", "--disable-background-networking"]
        )
        yield started
        started.close()
