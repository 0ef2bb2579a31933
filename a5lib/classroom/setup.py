"""The last line of every notebook's set-up cell: `a5 = ready("05_birthplaces", …)`.

What differs between Colab, a laptop and a batch run is dealt with here, so that it is mended in one place.
"""

import os
from pathlib import Path

from a5lib.classroom.colab import drive_folder, install, on_colab
from a5lib.classroom.durations import how_long
from a5lib.classroom.notebook import mine_folder
from a5lib.classroom.progress import remember_in
from a5lib.pipeline import Pipeline

ROOT = Path(__file__).resolve().parents[2]
DRIVE = "drive"


def ready(
    notebook: str, profile: str = "", data: str = "", seed: int = 0, runs: str = "", edition: str = "student"
) -> Pipeline:
    """The pipeline for a notebook's parameters, in the course's folder; says what it found.

    Args:
        notebook: its name, to say how long it takes.
        runs: where results are kept; empty takes `$A5_RUNS`, else `runs/` in the course's folder; `drive`
            is a folder on the reader's Google Drive (on Colab).
        edition: of the notebook. What a solved one is given to keep goes to a folder of its own, and its
            points are no student's.

    Raises:
        InputError: an unknown profile, data that is not there, or `drive` where there is none.
    """
    if on_colab():
        install(ROOT)
    from a5lib.display.style import use_style

    os.chdir(ROOT)  # a notebook server starts kernels in the notebook's folder
    kept = str(drive_folder()) if runs == DRIVE else runs or os.environ.get("A5_RUNS", "runs")
    a5 = Pipeline(profile=profile, data=data, seed=seed, runs=kept)
    a5.reader = "solved" if edition == "solved" else "mine"
    remember_in(None if edition == "solved" else mine_folder(a5))
    use_style()
    asked, lines = len(a5.corpus.train) + len(a5.corpus.dev), len(a5.corpus.documents)
    print(f"Profile {a5.profile.name} on {_machine(a5)}, seed {seed}: {lines:,} lines, {asked:,} questions.")
    print(how_long(notebook, a5.device, a5.profile.name))
    if on_colab() and runs != DRIVE:
        print(f'What is trained goes when this machine goes; runs = "{DRIVE}" above keeps it on your Drive.')
    return a5


def _machine(a5: Pipeline) -> str:
    if a5.device == "cpu":
        return f"a CPU with {os.cpu_count()} cores"
    import torch

    return f"a GPU ({torch.cuda.get_device_name()})"
