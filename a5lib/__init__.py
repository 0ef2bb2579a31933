"""a5lib: a small library for a course on how Transformers store and give back knowledge.

Read it from the ground up, in the order in which the modules may import each other::

    errors  files  vocab  corpus  world  dataset  batches  attention  variants  model
    perceiver_start  optim  precision  ranks  checkpoint  run_state  trainer  callbacks  decoding
    evaluation  confidence  provenance  recipes  pipeline  london_baseline  soft_lookup  complexity
    experiments  display  classroom  series  sweep  run

``vocab`` to ``evaluation`` is the core: it needs torch and numpy only. Nothing is fetched or
computed at import.
"""

__version__ = "0.1.0"
