"""From a corpus to answers in three stages: pretrain, finetune, evaluate.

The functions make a `Trainer` for a stage and run it to a file; the command line and the notebooks
share them. `Pipeline` is for notebooks and the series: it keeps each stage's result in `runs/`, in a
folder named by a hash of all that went in, so that what was trained once is found again, and what
has changed is made anew. Knows nothing about notebooks or figures.
"""

import contextlib
import hashlib
import inspect
import json
import sys
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from types import CodeType

import torch

from a5lib import __version__
from a5lib.batches import CorruptionBatches, PaddedBatches, QuestionBatches, ReplayBatches
from a5lib.callbacks import Callback, History, StateSaver
from a5lib.checkpoint import load_model, save_params
from a5lib.corpus import TRAIN, WIKI, Corpus, Question
from a5lib.dataset import CharCorruptionDataset, Corrupt, NameDataset, corrupt_span
from a5lib.errors import InputError
from a5lib.evaluation import Evaluation, evaluate_places, london_baseline
from a5lib.files import read_object, write_json
from a5lib.model import GPT, WITH_BOTTLENECK, GPTConfig, Parts, build_model
from a5lib.perceiver_start import start_on_diagonals
from a5lib.ranks import ALONE, RankLost, Ranks
from a5lib.recipes import Recipe, choose_profile, choose_recipe
from a5lib.run_state import RunState
from a5lib.trainer import LossNotFinite, Trainer
from a5lib.vocab import CharVocab

SAVE_SECONDS = 120  # the most that a killed run loses


def default_device() -> str:
    """`cuda` where there is one, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def new_model(
    variant: str,
    recipe: Recipe,
    vocab: CharVocab,
    bottleneck_dim: int | None,
    seed: int,
    parts: Parts | None = None,
) -> GPT:
    """A freshly initialized model of the recipe's shape."""
    model = build_model(variant, shape_of(variant, recipe, vocab, bottleneck_dim), seed, parts)
    if recipe.diagonals and variant == "perceiver":
        start_on_diagonals(model, seed)
    return model


def shape_of(variant: str, recipe: Recipe, vocab: CharVocab, bottleneck_dim: int | None) -> GPTConfig:
    """The shape that a recipe gives a variant; most have no bottleneck."""
    bottleneck_dim = bottleneck_dim if variant in WITH_BOTTLENECK else None
    return recipe.profile.model_config(len(vocab), bottleneck_dim, recipe.dropout)


def pretraining(
    model: GPT,
    vocab: CharVocab,
    text: str,
    recipe: Recipe,
    corrupt: Corrupt = corrupt_span,
    device: str = "cpu",
    ranks: Ranks = ALONE,
) -> Trainer:
    """A trainer for span corruption on a corpus."""
    config = recipe.pretrain
    dataset = CharCorruptionDataset(text, model.config.block_size, corrupt, config.seed, vocab, recipe.skew)
    if recipe.padded:
        batches = PaddedBatches(dataset, recipe.batch, config.seed, device)
    else:
        batches = CorruptionBatches(dataset, recipe.batch, config.seed, device)
    return Trainer(model.to(device), batches, config, ranks=ranks)


def finetuning(
    model: GPT,
    vocab: CharVocab,
    questions: Sequence[Question],
    recipe: Recipe,
    pretrained_on: str | None,
    device: str = "cpu",
    ranks: Ranks = ALONE,
) -> Trainer:
    """A trainer for question-answer pairs.

    Args:
        pretrained_on: the corpus that the model has been pretrained on, for the recipe's replay; None for
            a fresh model, which must not see it.
    """
    config = recipe.scratch if pretrained_on is None else recipe.finetune
    dataset = NameDataset(vocab, questions, model.config.block_size, recipe.ascii_only)
    kind = PaddedBatches if recipe.padded else QuestionBatches
    batches = kind(dataset, recipe.finetune_batch, config.seed, device)
    if pretrained_on is not None and recipe.replay:
        documents = CharCorruptionDataset(
            pretrained_on, model.config.block_size, vocab=vocab, skew=recipe.skew
        )
        replayed = CorruptionBatches(documents, recipe.replay, config.seed, device)
        batches = ReplayBatches(batches, replayed)
    return Trainer(model.to(device), batches, config, ranks=ranks)


def run_to_file(
    trainer: Trainer,
    path: Path,
    made_from: dict,
    callbacks: Sequence[Callback] = (),
    save_seconds: float | None = None,
    resume: bool = True,
    at_end: Callable[[], None] = lambda: None,
) -> None:
    """Train to the end and write the parameters; on the way, keep the full state beside them.

    A run that was interrupted goes on from its state, to the same end.

    Args:
        save_seconds: how often the state is saved; default `SAVE_SECONDS`.
        resume: False begins anew, whatever state there is.
        at_end: called after the last step, before the parameters are there and the state is gone.

    Raises:
        OtherRun: the state there is of a run with other settings or data.
        InputError: no copy of the state is whole; another run is at work there; nowhere to write.
        LossNotFinite: see `Trainer.train`; the last saved state is good, and kept.
    """
    if not trainer.ranks.first:
        _follow(trainer)
        return
    with contextlib.ExitStack() as held:
        state = RunState(path, made_from)

        def begin() -> dict | None:
            held.enter_context(state)
            if not resume:
                state.remove()
            return state.load()

        saver = StateSaver(state, SAVE_SECONDS if save_seconds is None else save_seconds)
        trainer.callbacks = [*callbacks, saver]
        _take_up(trainer, trainer.ranks.from_first(begin), state.folder)
        try:
            with saver.on_signals():
                trainer.train()
        except (LossNotFinite, RankLost) as error:
            raise type(error)(f"{error} ({state.kept})") from None
        at_end()
        save_params(trainer.model, path, **made_from)
        state.remove()


def _follow(trainer: Trainer) -> None:
    """Train beside the first rank, which alone reads and writes files."""
    saver = StateSaver(None, 0)
    trainer.callbacks = [saver]
    with trainer.ranks.watched():
        saved = trainer.ranks.from_first(lambda: None)
    _take_up(trainer, saved, Path())
    with saver.on_signals():
        trainer.train()


def _take_up(trainer: Trainer, saved: dict | None, folder: Path) -> None:
    if saved is None:
        return
    try:
        trainer.load_state_dict(saved)
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError):
        what = f"{folder}: its state does not fit this run"
        raise InputError(f"{what}; begin anew with --resume never, or remove the folder") from None


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


# Notebooks and the series.


@dataclass(frozen=True)
class Stage:
    """A trained model in `runs/`: where it is, how long it took, and its training curve."""

    variant: str
    path: Path
    parts: Parts | None = None

    def model(self) -> GPT:
        """The model, read from its file, in evaluation mode."""
        return load_model(self.variant, self.path, parts=self.parts)

    @property
    def history(self) -> list[dict]:
        """Points of the training curve: step, tokens, seconds, loss, lr."""
        return self._kept["points"]

    @property
    def seconds(self) -> float:
        return self._kept["seconds"]

    @property
    def _kept(self) -> dict:
        return read_object(self.path.parent / "history.json", points=list, seconds=(int, float))


class Pipeline:
    """One profile, one corpus, one seed: trains what is asked for, once.

    Args:
        profile: a name, or empty for the default (see `choose_profile`).
        data: the corpus's folder; empty takes the profile's own.
        runs: where results are kept.
        recipe: `fast` or `handout`.

    Raises:
        InputError: bad names, bad data.
    """

    def __init__(
        self, profile: str = "", data: str = "", seed: int = 0, runs: str = "runs", recipe: str = "fast"
    ):
        self.profile = choose_profile(profile)
        self.corpus = Corpus(Path(data) if data else self.profile.folder)
        self.seed, self.device = seed, default_device()
        self.recipe = choose_recipe(recipe, self.profile, len(self.corpus.documents), seed)
        self.folder = Path(runs) / self.profile.name

    @property
    def vocab(self) -> CharVocab:
        return self.corpus.vocab

    def variation(self, bottleneck_dim: int | None = None, **changes) -> "Pipeline":
        """The same pipeline with another number of latents, or other fields of the recipe."""
        other = copy(self)
        profile = self.recipe.profile
        if bottleneck_dim is not None:
            profile = replace(profile, bottleneck_dim=bottleneck_dim)
        other.recipe = replace(self.recipe, profile=profile, **changes)
        return other

    def model_config(self, variant: str = "vanilla") -> GPTConfig:
        """The shape of a variant under this profile."""
        return shape_of(variant, self.recipe, self.vocab, self.recipe.profile.bottleneck_dim)

    def fresh_model(self, variant: str = "vanilla", parts: Parts | None = None) -> GPT:
        """An untrained model, on the CPU."""
        return new_model(
            variant, self.recipe, self.vocab, self.recipe.profile.bottleneck_dim, self.seed, parts
        )

    def pretrain(
        self,
        variant: str = "vanilla",
        corrupt: Corrupt = corrupt_span,
        parts: Parts | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> Stage:
        """Pretrain by span corruption, with your `corrupt` and your `parts` if given."""
        recipe = self.recipe.for_variant(variant)
        key = self._key("pretrain", variant, WIKI, asdict(recipe.pretrain), source_of(corrupt), parts)

        def make() -> Trainer:
            model = self.fresh_model(variant, parts)
            return pretraining(model, self.vocab, self.corpus.text, recipe, corrupt, self.device)

        return self._train("pretrain", variant, key, make, parts, callbacks)

    def finetune(
        self, pretrained: Stage | None, variant: str = "vanilla", callbacks: Sequence[Callback] = ()
    ) -> Stage:
        """Finetune on the training questions, from a pretrained stage, or from scratch where it is None."""
        variant = pretrained.variant if pretrained else variant
        parts = pretrained.parts if pretrained else None
        recipe = self.recipe.for_variant(variant)
        config = recipe.finetune if pretrained else recipe.scratch
        parent = pretrained.path.parent.name if pretrained else ""
        key = self._key("finetune", variant, TRAIN, asdict(config), parent, parts)

        def make() -> Trainer:
            model = pretrained.model() if pretrained else self.fresh_model(variant)
            text = self.corpus.text if pretrained else None
            return finetuning(model, self.vocab, self.corpus.train, recipe, text, self.device)

        return self._train("finetune" if pretrained else "scratch", variant, key, make, parts, callbacks)

    def evaluate(self, stage: Stage, questions: Sequence[Question] | None = None) -> Evaluation:
        """The stage's answers to questions (default: dev)."""
        questions = self.corpus.dev if questions is None else questions
        return evaluate_places(stage.model().to(self.device), self.vocab, questions)

    def london(self) -> Evaluation:
        """The London baseline on dev."""
        return london_baseline(self.corpus.dev)

    def record(self, name: str, value: float) -> None:
        """Keep a measure for the series's report, such as `vanilla.dev`, in runs/<profile>/measures.json."""
        self._record(lambda measures: measures.update({name: value}))

    def _record(self, change: Callable[[dict], None]) -> None:
        path = self.folder / "measures.json"
        made_from = {"seed": self.seed, "data": sha256(json.dumps(self._sha256))}
        measures = read_object(path, seconds=dict) if path.is_file() else {}
        if measures.get("made_from") != made_from:  # another seed's or corpus's: not to be mixed with ours
            measures = {"made_from": made_from, "seconds": {}}
        change(measures)
        write_json(path, measures)

    def _train(self, name, variant, key, make, parts, callbacks) -> Stage:
        stage = Stage(variant, self.folder / f"{variant}-{name}-{sha256(key)[:12]}" / "model.params", parts)
        history_path = stage.path.parent / "history.json"
        if not (stage.path.is_file() and history_path.is_file()):
            history, trainer = History(), make()

            def keep_history() -> None:
                write_json(history_path, {"seconds": round(trainer.seconds, 2), "points": history.as_dicts()})

            run_to_file(trainer, stage.path, json.loads(key), [history, *callbacks], at_end=keep_history)
        label = f"{name}.{variant}"
        self._record(lambda measures: measures["seconds"].update({label: stage.seconds}))
        return stage

    def _key(
        self, stage: str, variant: str, data_file: str, config: dict, source: str, parts: Parts | None
    ) -> str:
        """Everything that a stage's result depends on, as JSON."""
        recipe = self.recipe
        return json.dumps(
            {
                "stage": stage,
                "variant": variant,
                "config": asdict(self.model_config(variant)),
                "training": config,
                "batches": [
                    recipe.padded,
                    recipe.batch,
                    recipe.finetune_batch,
                    recipe.skew,
                    recipe.replay,
                    recipe.ascii_only,
                    recipe.diagonals,
                ],
                "data": [self._sha256[WIKI], self._sha256[data_file]],
                "seed": self.seed,
                "source": source,
                "parts": _named(parts),
                "library": library_hash(),
                "torch": torch.__version__,
                "device": self.device,
            }
        )

    @cached_property
    def _sha256(self) -> dict[str, str]:
        return self.corpus.sha256()


def source_of(*objects: Callable) -> str:
    """The source of functions and classes that are not the library's, to tell one version from another.

    One that lives in a file counts with the whole file. Of one made in a notebook, the functions and classes
    of other cells that it names count, too; a number that another cell sets does not.
    """
    return "\n".join(_source(o) for o in objects if not o.__module__.startswith("a5lib."))


def _named(parts: Parts | None) -> str:
    """Each part by its name, and by its source where it is not the library's."""
    classes = vars(parts).values() if parts else ()
    return "\n".join([f"{c.__module__}.{c.__qualname__}" for c in classes] + [source_of(*classes)])


def _source(o: Callable) -> str:
    file = getattr(sys.modules[o.__module__], "__file__", None)
    if file is not None:
        return Path(file).read_text("utf-8")
    # Made in a notebook. Of a class there, Python finds the source of the methods only.
    found, ahead = set(), [o]
    while ahead:
        each = ahead.pop()
        known = inspect.isclass(each) or inspect.isfunction(each)
        if not known or each.__module__ != o.__module__ or each in found:
            continue
        found.add(each)
        if inspect.isclass(each):
            ahead += [*each.__bases__, *vars(each).values()]
        else:
            ahead += [each.__globals__.get(name) for name in _names(each.__code__)]
    return "\n".join(sorted(map(inspect.getsource, filter(inspect.isfunction, found))))


def _names(code: CodeType) -> set[str]:
    """The global names in a function, those in functions within it included."""
    inner = [_names(constant) for constant in code.co_consts if inspect.iscode(constant)]
    return set(code.co_names).union(*inner)


_TRAINING_ROOMS = (
    "vocab", "corpus", "dataset", "batches", "attention", "variants", "model", "perceiver_start", "optim",
    "precision", "ranks", "trainer", "pipeline",
)  # fmt: skip


def library_hash() -> str:
    """A hash of the modules that decide what a training run gives."""
    folder = Path(__file__).parent
    return sha256(
        __version__ + "".join((folder / f"{room}.py").read_text("utf-8") for room in _TRAINING_ROOMS)
    )
