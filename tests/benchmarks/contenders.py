"""Who is compared in training: each does one step when asked, and says how many real targets it saw.

plain             written for this comparison as the assignment tells it: documents corrupted one by one, rows
                  padded to the block, attention written out, AdamW, fp32
transformers      Hugging Face's GPT-2 of the same shape, padded to the block as its users run it
transformers on our batches    the same model on ours, which hold nearly no padding
ours, fp32, AdamW              our model and batches without Muon and 16-bit products
ours              the `fast` recipe as it is

All have that recipe's dropout, so that none draws random numbers which another does not.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import nn
from torch.utils.data import DataLoader

from a5lib.batches import Batch, CorruptionBatches
from a5lib.corpus import Corpus
from a5lib.dataset import CharCorruptionDataset
from a5lib.pipeline import new_model, pretraining
from a5lib.recipes import HANDOUT_PRETRAIN_LR, Recipe
from a5lib.vocab import PAD_ID
from tests.handout_style import HandoutGPT

Step = Callable[[], int]  # trains one step; returns its real targets
DECAY = 0.1
ROWS = 128  # documents in a batch of the assignment


def contenders(corpus: Corpus, recipe: Recipe, device: str) -> dict[str, Step]:
    """All of them, with models of the recipe's shape; where there is no `transformers`, without its two."""
    plain_recipe = replace(recipe, pretrain=replace(recipe.pretrain, muon_lr=0.0, precision="fp32"))
    found = {"plain": _plain(corpus, recipe, device)}
    try:
        found["transformers"] = _transformers(corpus, recipe, device, padded=True)
        found["transformers on our batches"] = _transformers(corpus, recipe, device, padded=False)
    except ImportError:
        print("transformers is not installed: pip install -r requirements-bench.txt")
    return found | {
        "ours, fp32, AdamW": _ours(corpus, plain_recipe, device),
        "ours": _ours(corpus, recipe, device),
    }


def _shape(corpus: Corpus, recipe: Recipe) -> dict[str, int]:
    profile = recipe.profile
    return {
        "vocab_size": len(corpus.vocab),
        "block_size": profile.block_size,
        "n_layer": profile.n_layer,
        "n_head": profile.n_head,
        "n_embd": profile.n_embd,
    }


def _plain(corpus: Corpus, recipe: Recipe, device: str) -> Step:
    torch.manual_seed(0)
    model = HandoutGPT(**_shape(corpus, recipe), dropout=recipe.dropout).to(device)
    batches = _padded(corpus, recipe, device)

    def loss_of(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(model(x).flatten(0, 1), y.flatten(), ignore_index=PAD_ID)

    return _adamw_step(model, loss_of, batches)


def _transformers(corpus: Corpus, recipe: Recipe, device: str, padded: bool) -> Step:
    from transformers import GPT2Config, GPT2LMHeadModel

    shape = _shape(corpus, recipe)
    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=shape["vocab_size"],
            n_positions=shape["block_size"],
            n_embd=shape["n_embd"],
            n_layer=shape["n_layer"],
            n_head=shape["n_head"],
            embd_pdrop=recipe.dropout,
            attn_pdrop=recipe.dropout,
            resid_pdrop=recipe.dropout,
            bos_token_id=PAD_ID,
            eos_token_id=PAD_ID,
        )
    ).to(device)
    model.train()

    def loss_of(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        labels = y.masked_fill(y == PAD_ID, -100)
        logits = model(x).logits  # its own loss would shift the labels, which ours already are
        return nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())

    batches = _padded(corpus, recipe, device) if padded else _by_length(corpus, recipe, device)
    return _adamw_step(model, loss_of, batches)


def _ours(corpus: Corpus, recipe: Recipe, device: str) -> Step:
    recipe = replace(recipe, pretrain=replace(recipe.pretrain, max_epochs=1e6))  # as long as is asked for
    model = new_model("vanilla", recipe, corpus.vocab, None, seed=0)
    trainer = pretraining(model, corpus.vocab, corpus.text, recipe, device=device)
    steps = trainer.steps()

    def step() -> int:
        before = trainer.real_tokens
        next(steps)
        return trainer.real_tokens - before

    return step


def _padded(corpus: Corpus, recipe: Recipe, device: str) -> Iterator[Batch]:
    """The assignment's batches, for ever: documents corrupted one by one, rows as long as the block."""
    dataset = CharCorruptionDataset(corpus.text, recipe.profile.block_size, vocab=corpus.vocab)
    while True:
        for x, y in DataLoader(dataset, batch_size=ROWS):
            yield x.to(device), y.to(device)


def _by_length(corpus: Corpus, recipe: Recipe, device: str) -> Iterator[Batch]:
    dataset = CharCorruptionDataset(
        corpus.text, recipe.profile.block_size, vocab=corpus.vocab, skew=recipe.skew
    )
    batches, epoch = CorruptionBatches(dataset, recipe.batch, device=device), 0
    while True:
        yield from batches.epoch(epoch)
        epoch += 1


def _adamw_step(model: nn.Module, loss_of: Callable, batches: Iterator[Batch]) -> Step:
    """One step as the assignment makes it: AdamW that decays matrices alone, gradients cut to norm 1."""
    matrices = [p for p in model.parameters() if p.dim() == 2]
    others = [p for p in model.parameters() if p.dim() != 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}],
        lr=HANDOUT_PRETRAIN_LR,
        betas=(0.9, 0.95),
    )

    def step() -> int:
        x, y = next(batches)
        loss = loss_of(x, y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss.item()
        return int((y != PAD_ID).sum())

    return step
