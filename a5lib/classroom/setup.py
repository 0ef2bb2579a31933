"""The last line of every notebook's set-up cell: `a5 = ready(…)`.

What differs between Colab, a laptop and a batch run is dealt with here, so that it is mended in one place.
"""

import os
from pathlib import Path

from a5lib.classroom.notebook import mine_folder
from a5lib.classroom.progress import remember_in
from a5lib.pipeline import Pipeline

ROOT = Path(__file__).resolve().parents[2]


def ready(
    profile: str = "", data: str = "", seed: int = 0, runs: str = "", edition: str = "student"
) -> Pipeline:
    """The pipeline for a notebook's parameters, in the course's folder; says what it found.

    Args:
        runs: where results are kept; empty takes `$A5_RUNS`, else `runs/` in the course's folder.
        edition: of the notebook. What a solved one is given to keep goes to a folder of its own, and its
            points are no student's.

    Raises:
        InputError: an unknown profile, or data that is not there.
    """
    from a5lib.display.style import use_style

    os.chdir(ROOT)  # a notebook server starts kernels in the notebook's folder
    runs = runs or os.environ.get("A5_RUNS", "runs")
    a5 = Pipeline(profile=profile, data=data, seed=seed, runs=runs)
    a5.reader = "solved" if edition == "solved" else "mine"
    remember_in(None if edition == "solved" else mine_folder(a5))
    use_style()
    machine = "a GPU" if a5.device == "cuda" else f"a CPU with {os.cpu_count()} cores"
    asked, lines = len(a5.corpus.train) + len(a5.corpus.dev), len(a5.corpus.documents)
    print(f"Profile {a5.profile.name} on {machine}, seed {seed}: {lines:,} lines, {asked:,} questions.")
    return a5
