"""What a model costs, three ways: in closed form, counted as it runs, and measured in time and memory.

Letters: l length of the sequence, m latents, L layers, d width (n_embd), h heads, V vocabulary.
The conventions:

- A cost is that of one sequence, alone: a batch norms and projects the perceiver's basis only once.
- A multiply-add is one multiplication and one addition: 2 FLOPs.
- Scores fill their whole rectangle, queries by keys: what the mask hides is computed, then thrown away.
- A sum of n numbers costs n. Moving numbers costs nothing: embeddings, splitting heads, gathering rows.
- Integers and booleans are free. Dropout is off, and the loss is not part of the model.

At the handout's shape (l = 128, m = 64, L = 4, d = 256, V = 256) this gives 444.6 million multiply-adds
against the perceiver's 272.6, of which 33.6 and 12.6 in scores and sums. Knows nothing about training.

Read it in this order, in which the modules may import each other::

    closed_form  exponents  instruments  workloads  counting  measuring
"""

from a5lib.complexity.closed_form import (
    attention_share,
    flops,
    layers,
    multiply_adds,
    pays_from,
    saved_by_bottleneck,
    saved_by_halving,
)
from a5lib.complexity.counting import count_flops
from a5lib.complexity.exponents import Series, crossing, growth, slope
from a5lib.complexity.measuring import Point, along, sweep
from a5lib.complexity.workloads import AttentionShape, ModelShape

__all__ = [
    "AttentionShape",
    "ModelShape",
    "Point",
    "Series",
    "along",
    "attention_share",
    "count_flops",
    "crossing",
    "flops",
    "growth",
    "layers",
    "multiply_adds",
    "pays_from",
    "saved_by_bottleneck",
    "saved_by_halving",
    "slope",
    "sweep",
]
