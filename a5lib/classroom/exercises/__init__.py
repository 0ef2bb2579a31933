"""The checks of the exercises: a module for each notebook, two for 04. Importing this registers them all.

A check's sentences name the mistake that the attempt shows, in the order in which people make them
most: first what stops everything else (types, lengths), then the subtle ones (bounds, distributions).
"""

from a5lib.classroom.exercises import (  # noqa: F401
    averaging,
    birthplaces,
    char_gpt,
    copying,
    finetuning,
    multi_head,
    perceiver,
    pretraining,
    retrieved,
    sampled_keys,
    span_corruption,
    variants,
)
