"""Stages kept in `runs/`: found again when nothing changed, made anew when anything did."""

import json
import linecache
import types
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import DOCUMENTS
from torch import nn

from a5lib import pipeline
from a5lib.checkpoint import load_state
from a5lib.corpus import Corpus, project_data
from a5lib.dataset import corrupt_span
from a5lib.errors import InputError
from a5lib.model import VARIANTS, Parts
from a5lib.pipeline import Pipeline, source_of
from a5lib.recipes import PROFILES, choose_recipe
from a5lib.trainer import Trainer
from a5lib.variants import RotaryAttention


@pytest.fixture
def make(corpus_folder, monkeypatch):
    """A pipeline on the tiny corpus; `trained` counts the trainings."""
    monkeypatch.setattr(pipeline, "default_device", lambda: "cpu")
    trained = []
    train = Trainer.train
    monkeypatch.setattr(Trainer, "train", lambda self: (trained.append(1), train(self)))

    def made(**changes):
        return Pipeline(**{"profile": "smoke", "data": "."} | changes)

    made.trained = trained
    return made


@pytest.mark.parametrize(
    ("profile", "documents", "passes"),
    [("full", 2937, 210), ("full", 12_000, 52), ("quick", 2400, 27), ("quick", 600, 27), ("smoke", 7, 0.5)],
)
def test_a_small_corpus_is_read_more_often_where_there_is_time(profile, documents, passes):
    """2,937 documents are the course's, which the LOG has 210 passes of."""
    assert choose_recipe("fast", PROFILES[profile], documents).pretrain.max_epochs == passes


@pytest.mark.parametrize("variant", VARIANTS)
def test_from_text_to_answers(make, variant):
    run = make()
    pretrained = run.pretrain(variant)
    finetuned, scratch = run.finetune(pretrained), run.finetune(None, variant)
    for stage in (finetuned, scratch):
        evaluation = run.evaluate(stage)
        assert evaluation.total == 3 and evaluation.accuracy is not None
    assert run.evaluate(finetuned, run.corpus.test).total == 2
    assert run.london().correct == 1
    assert not torch.equal(load_state(finetuned.path)["head.weight"], load_state(scratch.path)["head.weight"])
    assert finetuned.model().config == run.model_config(variant) and not finetuned.model().training
    run.record(f"{variant}.dev", 12.5)
    measures = json.loads((run.folder / "measures.json").read_text())
    assert measures[f"{variant}.dev"] == 12.5
    assert set(measures["seconds"]) == {f"{name}.{variant}" for name in ("pretrain", "finetune", "scratch")}
    assert finetuned.history[-1]["loss"] > 0 and finetuned.seconds > 0


def test_only_the_perceiver_makes_more_passes(make):
    run = make().variation(pretrain=replace(make().recipe.pretrain, max_epochs=3))
    stages = {variant: run.pretrain(variant) for variant in ("vanilla", "perceiver")}
    steps = {variant: stage.history[-1]["step"] for variant, stage in stages.items()}
    assert steps["perceiver"] * 3 == steps["vanilla"] * 4 > 0
    tuned = {variant: run.finetune(stage).history[-1] for variant, stage in stages.items()}
    assert tuned["perceiver"]["step"] == 2 * tuned["vanilla"]["step"] > 0
    recipe = run.recipe.for_variant("perceiver")
    assert (recipe.finetune.lr, recipe.finetune.muon_lr) == (3e-4, 2e-3)
    assert run.recipe.for_variant("perceiver").for_variant("perceiver") == run.recipe.for_variant("perceiver")
    assert run.recipe.for_variant("perceiver_ar") is run.recipe


def test_what_was_trained_is_found_again(make):
    first = make().finetune(make().pretrain())
    again = make().finetune(make().pretrain())
    assert again.path == first.path and len(make.trained) == 2


def test_what_changed_is_made_anew(make):
    """The seed, the reader's function, the data: a result that does not follow them is a wrong result."""

    def whole(document, block_size, rng):
        return corrupt_span(document, block_size, rng)

    paths = [make().pretrain().path, make(seed=1).pretrain().path, make().pretrain(corrupt=whole).path]
    paths.append(make().finetune(make(seed=1).pretrain()).path)
    paths.append(make().finetune(make().pretrain()).path)
    Path("wiki.txt").write_text(Path("wiki.txt").read_text("utf-8") + "one more\n", "utf-8")
    paths.append(make().pretrain().path)
    assert len(set(paths)) == 6 == len(make.trained)


class Flat(nn.Module):
    """An attention that is none."""

    def __init__(self, config):
        super().__init__()
        self.flat = nn.Linear(config.n_embd, config.n_embd)

    def forward(self, x):
        return self.flat(x)


def test_the_readers_own_code_trains(make):
    seen = []

    def own(document, block_size, rng):
        seen.append(document)
        return corrupt_span(document, block_size, rng)

    stage = make().pretrain(corrupt=own, parts=Parts(attention=Flat))
    assert set(DOCUMENTS) <= set(seen)
    assert "blocks.0.attn.flat.weight" in load_state(stage.path)
    assert make().evaluate(make().finetune(stage)).total == 3
    assert make().pretrain(parts=Parts(attention=RotaryAttention)).path != make().pretrain().path


def test_an_interrupted_stage_goes_on_to_the_same_end(make, monkeypatch):
    """Parameters and curve: one that begins in the middle shows a run that never was."""

    def long(runs):
        run = make(runs=runs)
        run.recipe = replace(run.recipe, scratch=replace(run.recipe.scratch, max_epochs=25))
        return run

    def interrupt(trainer):
        if trainer.step == 16:
            raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "SAVE_SECONDS", 0)
    whole = long("whole").finetune(None)
    with pytest.raises(KeyboardInterrupt):
        long("cut").finetune(None, callbacks=[interrupt])
    resumed = long("cut").finetune(None)
    assert resumed.path.read_bytes() == whole.path.read_bytes()
    assert sorted(p.name for p in resumed.path.parent.iterdir()) == [
        "history.json", "model.params", "model.params.json"
    ]  # fmt: skip
    curves = [[(p["step"], p["tokens"], p["loss"]) for p in stage.history] for stage in (resumed, whole)]
    assert curves[0] == curves[1] and [step for step, *_ in curves[0]] == [10, 20, 25]


def test_bad_names_and_data_are_refused(make, tmp_path):
    for changes, says in (
        ({"profile": "big"}, "there are smoke, quick, full"),
        ({"recipe": "slow"}, "there are fast, handout"),
        ({"data": str(tmp_path / "absent")}, "no such file"),
        ({"seed": -1}, "seed -1"),
    ):
        with pytest.raises(InputError, match=says):
            make(**changes)


def test_the_source_of_what_a_notebook_defines():
    """Python has no source for a class made in a notebook, only for its methods: this must not end a run."""
    code = "class Own:\n    def forward(self, x):\n        return x + 1\n\ndef own(x):\n    return x + 2\n"
    code += "\ndef asks(xs):\n    return [own(x) for x in xs], asks\n\nclass Heir(Own):\n    itself = asks\n"
    linecache.cache["<cell 1>"] = (len(code), None, code.splitlines(True), "<cell 1>")
    module = types.ModuleType("notebook")
    exec(compile(code, "<cell 1>", "exec"), module.__dict__)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "notebook", module)
        assert "x + 1" in source_of(module.Own) and "x + 2" in source_of(module.own)
        assert all(text in source_of(module.Heir) for text in ("x + 1", "x + 2", "own(x) for"))
        assert "x + 1" not in source_of(module.asks)
    assert source_of(corrupt_span) == ""
    assert "An attention that is none" in source_of(Flat)


@pytest.mark.parametrize("folder", ["", "quick", "one_phrasing"])
def test_the_embedded_corpora_can_be_asked_about(folder):
    """Every character of a question and a place must be in the text that defines the vocabulary: `?` too."""
    corpus = Corpus(project_data() / folder)
    asked = "".join(q.text + (q.place or "") for q in (*corpus.train, *corpus.dev, *corpus.test))
    assert set(asked) - set(corpus.text) == set()
