"""The checks of the series' exercises, a module for each notebook. Importing this registers them all.

A check's sentences name the mistake that the attempt shows, in the order in which people make them
most: first what stops everything else (types, lengths), then the subtle ones (bounds, distributions).
"""

from a5lib.classroom.exercises import birthplaces, finetuning, pretraining, span_corruption  # noqa: F401
