"""What tests/test_ranks.py lets torchrun start: `ranks_job.py VARIANT FOLDER [die | stop]`.

Trains a tiny model and writes FOLDER/model.params. `die`: the second rank ends in its third step, without a
word. `stop`: in its third step the second rank is asked to stop.
"""

import os
import sys
import time
from pathlib import Path

import torch
from conftest import DOCUMENTS, tiny_model

from a5lib.batches import CorruptionBatches
from a5lib.dataset import CharCorruptionDataset
from a5lib.errors import run_command
from a5lib.pipeline import run_to_file
from a5lib.ranks import joined, ranks_of_this_job
from a5lib.trainer import TrainConfig, Trainer

BLOCK = 32


def trainer_of(variant, ranks):
    """Batches of one to four rows, so that some ranks have none."""
    dataset = CharCorruptionDataset("\n".join(DOCUMENTS), BLOCK)
    model = tiny_model(variant, vocab_size=len(dataset.vocab), block_size=BLOCK)
    config = TrainConfig(3, lr=3e-3, muon_lr=0.02)
    return Trainer(model, CorruptionBatches(dataset, tokens=100), config, ranks=ranks)


def main():
    variant, folder, *end = sys.argv[1:]
    torch.set_num_threads(1)
    ranks = ranks_of_this_job()
    losses = []

    def meet_the_end(trainer):
        losses.append(trainer.loss)
        if trainer.step == 3 and ranks.rank == 1:
            if end == ["die"]:
                os._exit(1)
            if end == ["stop"]:
                os.kill(os.getpid(), 15)

    with joined(ranks, "cpu"):
        trainer = trainer_of(variant, ranks)
        # In the middle of a step, the others waiting.
        trainer.wrapped.register_forward_pre_hook(lambda *_: meet_the_end(trainer))
        run_to_file(trainer, Path(folder) / "model.params", {"variant": variant}, save_seconds=0)
        time.sleep(0.2 * ranks.rank)
        (Path(folder) / f"done.{ranks.rank}").touch()
    assert len(list(Path(folder).glob("done.*"))) == ranks.size, "left before all were done"
    if ranks.first:
        print("losses", *losses)


if __name__ == "__main__":
    run_command(main)
