"""On the course's own files, where $A5_COURSE_DATA names their folder (they are not in the repository)."""

import os
import shutil
from pathlib import Path

import pytest
import torch

from a5lib import dataset, london_baseline, run
from a5lib.corpus import COURSE_SHA256, Corpus, fetch_course_data
from a5lib.dataset import NameDataset
from a5lib.evaluation import london_baseline as always
from a5lib.evaluation import most_frequent_place
from a5lib.model import GPTConfig, build_model
from a5lib.vocab import CharVocab

FOLDER = os.environ.get("A5_COURSE_DATA")
pytestmark = pytest.mark.skipif(not FOLDER, reason="A5_COURSE_DATA is not set")


@pytest.fixture(scope="module")
def corpus():
    return Corpus(Path(FOLDER))


@pytest.fixture
def there(tmp_path, monkeypatch):
    for name in COURSE_SHA256:
        shutil.copy(Path(FOLDER) / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("A5_PROFILE", "smoke")
    return tmp_path


def test_the_files_are_the_known_ones(corpus):
    """Known ones are not fetched again."""
    assert fetch_course_data(corpus.folder, url="http://127.0.0.1:9/none").folder == corpus.folder


def test_its_numbers(corpus):
    """The empty last line is no document; London counts on dev (25 of 500), not on train (91 of 2,000)."""
    assert (len(corpus.vocab), len(corpus.documents)) == (256, 2937)
    assert (len(corpus.train), len(corpus.dev), len(corpus.test)) == (2000, 500, 437)
    assert (min(map(len, corpus.documents)), max(map(len, corpus.documents))) == (38, 516)
    assert most_frequent_place(corpus.train) == "London" and always(corpus.train).correct == 91
    assert str(always(corpus.dev)) == "Correct: 25 out of 500: 5.0%"
    assert len(CharVocab("\n".join(corpus.documents))) == 256


@pytest.mark.parametrize(("variant", "expected"), [("vanilla", 3_323_392), ("perceiver", 3_339_776)])
def test_parameters(corpus, variant, expected):
    with torch.device("meta"):
        model = build_model(variant, GPTConfig(len(corpus.vocab), bottleneck_dim=64))
    assert sum(p.numel() for p in model.parameters()) == expected


def test_every_question_fits_the_block(corpus):
    for ascii_only in (True, False):
        data = NameDataset(corpus.vocab, corpus.train, 128, ascii_only)
        assert len(data) == 2000
    changed = sum(not q.text.isascii() for q in corpus.train)
    assert changed == 124


def test_the_small_commands(there, capsys):
    london_baseline.main([])
    dataset.main(["namedata"])
    dataset.main(["charcorruption"])
    out = capsys.readouterr().out
    assert out.startswith("Correct: 25 out of 500: 5.0%\n2937 documents, 256 characters\n")


@pytest.mark.parametrize("variant", ["vanilla", "perceiver"])
def test_the_whole_sequence_at_a_small_budget(there, capsys, variant):
    common = f"{variant} wiki.txt" + (" --bottleneck_dim 64" if variant == "perceiver" else "")
    finetune = f"finetune {common} --finetune_corpus_path birth_places_train.tsv --max_epochs 0.1"
    evaluate = f"evaluate {common} --reading_params_path f"
    for command in (
        f"pretrain {common} --writing_params_path p --max_epochs 0.05",
        f"{finetune} --reading_params_path p --writing_params_path f",
        f"{evaluate} --eval_corpus_path birth_dev.tsv --outputs_path dev",
        f"{evaluate} --eval_corpus_path birth_test_inputs.tsv --outputs_path test",
    ):
        run.main(command.split())
    assert [len(Path(f).read_text("utf-8").splitlines()) for f in ("dev", "test")] == [500, 437]
    out = capsys.readouterr().out
    assert " out of 500: " in out and "437 predictions, no score" in out
