"""The numbers of a run: how big the model, how long and how fast it trains.

A *profile* says how much the machine can do: the model's shape, the data, the budget.
A *recipe* says how to train: `handout` is the assignment's, to the letter; `fast` is ours.
Every number of the fast recipe is here because a measurement says so: ``tests/benchmarks/LOG.md``.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from a5lib.corpus import project_data
from a5lib.errors import InputError
from a5lib.model import GPTConfig
from a5lib.trainer import TrainConfig

HANDOUT_PRETRAIN_LR, HANDOUT_FINETUNE_LR = 6e-3, 6e-4


@dataclass(frozen=True)
class Profile:
    """What a machine can do.

    Attributes:
        data: the folder of `data/` in which a file is looked up when it is not in the working directory.
        epochs: passes over the corpus in pretraining, fast recipe.
        readings: documents that pretraining reads at least: a small corpus is read more often.
        tokens: characters in a batch of pretraining, fast recipe.
    """

    name: str
    n_layer: int
    n_head: int
    n_embd: int
    bottleneck_dim: int
    data: str
    epochs: float
    tokens: int
    readings: int = 0
    block_size: int = 128

    @property
    def folder(self) -> Path:
        """Where this profile's data files are."""
        return project_data() / self.data

    def model_config(
        self, vocab_size: int, bottleneck_dim: int | None = None, dropout: float = 0.0
    ) -> GPTConfig:
        """This profile's model for a vocabulary; a `bottleneck_dim` makes it a perceiver's."""
        shape = (self.block_size, self.n_layer, self.n_head, self.n_embd)
        return GPTConfig(vocab_size, *shape, bottleneck_dim, dropout)


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("smoke", 2, 4, 64, 32, "quick", epochs=0.5, tokens=2048),
        Profile("quick", 4, 4, 128, 64, "quick", epochs=27, tokens=2048),
        Profile("full", 4, 8, 256, 64, ".", epochs=52, tokens=4096, readings=617_000),
    )
}


def choose_profile(name: str = "") -> Profile:
    """A profile by name; an empty name means `$A5_PROFILE`, else `full` where there is a GPU, else `quick`.

    Raises:
        InputError: no such profile.
    """
    name = name or os.environ.get("A5_PROFILE", "")
    if not name:
        import torch

        name = "full" if torch.cuda.is_available() else "quick"
    if name not in PROFILES:
        raise InputError(f"profile {name!r}: there are {', '.join(PROFILES)}")
    return PROFILES[name]


@dataclass(frozen=True)
class Recipe:
    """How to train in the three situations of the assignment, and on what kind of batches.

    Attributes:
        pretrain, finetune, scratch: rates and budgets; `scratch` is finetuning without pretraining.
        dropout: of the model, in training.
        padded: batches as the handout makes them: in order, every row padded to the block, counted in rows.
        batch: pretraining batch: characters, or rows where padded.
        finetune_batch: rows.
        skew: of the truncation lengths (see `CorruptionBatches`).
        replay: characters of corrupted documents beside each batch of questions when finetuning a pretrained
            model; 0 for none.
        ascii_only: drop non-ASCII characters from finetuning rows, as the handout does.
        diagonals: a fresh perceiver starts with its heads on chosen places (see `perceiver_start`).
        more_for_perceiver: the `perceiver` makes more passes (see `for_variant`).
    """

    name: str
    profile: Profile
    pretrain: TrainConfig
    finetune: TrainConfig
    scratch: TrainConfig
    dropout: float
    padded: bool
    batch: int
    finetune_batch: int
    skew: float
    replay: int
    ascii_only: bool
    diagonals: bool
    more_for_perceiver: bool

    def for_variant(self, variant: str) -> "Recipe":
        """The recipe as a variant needs it: the perceiver stores facts late, and gives them back reluctantly.

        It is pretrained for a third more passes, and finetuned for twice as many at twice the rates.
        """
        if variant != "perceiver" or not self.more_for_perceiver:
            return self
        pretrain = replace(self.pretrain, max_epochs=self.pretrain.max_epochs * 4 / 3)
        finetune = replace(_scaled(self.finetune, 2), max_epochs=self.finetune.max_epochs * 2)
        return replace(self, pretrain=pretrain, finetune=finetune, more_for_perceiver=False)


def fast_recipe(profile: Profile, n_documents: int) -> Recipe:
    """Muon for the blocks' matrices, batches by length, truncations skewed to the long side."""
    smoke = profile.name == "smoke"
    epochs = max(profile.epochs, round(profile.readings / max(1, n_documents)))
    pretrain = TrainConfig(max_epochs=epochs, lr=3e-3, muon_lr=0.02, decay=0.8, precision="auto")
    finetune = replace(pretrain, max_epochs=1 if smoke else 5, lr=1.5e-4, muon_lr=1e-3, decay=1.0)
    return Recipe(
        name="fast",
        profile=profile,
        pretrain=pretrain,
        finetune=finetune,
        scratch=replace(finetune, max_epochs=1 if smoke else 15, lr=1.5e-3, muon_lr=0.01),
        dropout=0.0,
        padded=False,
        batch=profile.tokens,
        finetune_batch=16,
        skew=3.0,
        replay=profile.tokens // 2,
        ascii_only=False,
        diagonals=True,
        more_for_perceiver=True,
    )


def handout_recipe(profile: Profile, n_documents: int) -> Recipe:
    """The assignment's hyperparameters, and its shape; `smoke` stops after a few steps.

    The cosine ends at 200 passes over the corpus and is not clamped: in 650 the rate rises again.
    """
    few = 3 if profile.name == "smoke" else 0
    full = PROFILES["full"]
    pretrain = TrainConfig(
        max_epochs=650,
        lr=HANDOUT_PRETRAIN_LR,
        schedule="cosine",
        warmup_tokens=512 * 20,
        final_tokens=200 * n_documents * full.block_size,
        max_steps=few,
    )
    return Recipe(
        name="handout",
        profile=replace(full, data=profile.data),
        pretrain=pretrain,
        finetune=replace(pretrain, max_epochs=10, lr=HANDOUT_FINETUNE_LR),
        scratch=replace(pretrain, max_epochs=75, lr=HANDOUT_FINETUNE_LR),
        dropout=0.1,
        padded=True,
        batch=128,
        finetune_batch=256,
        skew=1.0,
        replay=0,
        ascii_only=True,
        diagonals=False,
        more_for_perceiver=False,
    )


RECIPES = ("fast", "handout")


def choose_recipe(name: str, profile: Profile, n_documents: int, seed: int = 0) -> Recipe:
    """A recipe by name, for a profile and a corpus, with one seed for all its stages.

    Raises:
        InputError: no such recipe.
    """
    if name not in RECIPES:
        raise InputError(f"recipe {name!r}: there are {', '.join(RECIPES)}")
    recipe = fast_recipe(profile, n_documents) if name == "fast" else handout_recipe(profile, n_documents)
    stages = ("pretrain", "finetune", "scratch")
    return replace(recipe, **{stage: replace(getattr(recipe, stage), seed=seed) for stage in stages})


def with_rates(recipe: Recipe, pretrain_lr: float, finetune_lr: float) -> Recipe:
    """The recipe under other learning rates, given as the handout gives them.

    Under `handout` they are the rates. Under `fast`, whose rates are several, all of a stage's rates
    are multiplied by given / handout's own, so the handout's commands mean the recipe as it is.

    Raises:
        InputError: a rate that is not above 0.
    """
    for flag, rate in (("--pretrain_lr", pretrain_lr), ("--finetune_lr", finetune_lr)):
        if not 0 < rate < float("inf"):
            raise InputError(f"{flag} {rate}: must be above 0")
    return replace(
        recipe,
        pretrain=_scaled(recipe.pretrain, pretrain_lr / HANDOUT_PRETRAIN_LR),
        finetune=_scaled(recipe.finetune, finetune_lr / HANDOUT_FINETUNE_LR),
        scratch=_scaled(recipe.scratch, finetune_lr / HANDOUT_FINETUNE_LR),
    )


def _scaled(config: TrainConfig, factor: float) -> TrainConfig:
    return replace(config, lr=config.lr * factor, muon_lr=config.muon_lr * factor)
