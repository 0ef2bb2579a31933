"""FLOPs, counted while a model runs: a price for each operation that it asks torch for.

However a layer is written, it comes down to calls of a few basic operations: `nn.Linear` to an ``addmm``,
``@`` between heads to a ``bmm``. A `TorchDispatchMode` stands where they all pass by, with their tensors.
On the device ``meta`` these have shapes and no numbers, so nothing is computed: only shapes have a price.

The way back is not counted. Of the matrix products it is twice the way there: a product's gradients are
two products of its own size, one for each factor. (A fused kernel computes the scores a second time.)
"""

from collections import Counter

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from a5lib.complexity.closed_form import GELU, LAYER_NORM, SOFTMAX
from a5lib.complexity.workloads import ModelShape, fitted
from a5lib.model import GPTConfig


def count_flops(config: GPTConfig, variant: str, length: int) -> dict[str, int]:
    """Every floating-point operation of a forward pass, under the names of `flops`, to which it is equal.

    Attention is written out: what goes on within a fused kernel does not pass by.

    Raises:
        NotImplementedError: an operation that has no price, so that none can be missed.
    """
    if length > config.block_size:
        config = fitted(config, length, config.bottleneck_dim)
    shape = ModelShape(config, variant, length, fused=False)
    run = shape.run(1, "meta")
    with _Ledger() as ledger, torch.no_grad():
        run.forward()
    return dict(ledger.flops)


PRODUCTS = {"mm", "bmm", "addmm"}  # addmm: with a bias
PRICES = {  # name of the operation: (item of the account, FLOPs for each number that comes out)
    "add": ("additions", 1),
    "native_layer_norm": ("layer norms", LAYER_NORM),
    "gelu": ("GELU", GELU),
    "relu": ("ReLU", 1),
    "mul": ("rotations", 1),
    "sub": ("rotations", 1),
    "div": ("softmax", 1),  # the scale, √(d / h)
    "masked_fill": ("softmax", 1),
    "_softmax": ("softmax", SOFTMAX),
}
VIEWS = {"view", "_unsafe_view", "t", "transpose", "expand", "permute", "unsqueeze", "slice", "select"}
FREE = VIEWS | {"alias", "detach", "clone", "_to_copy", "embedding", "gather", "stack", "cat"}


class _Ledger(TorchDispatchMode):
    """Writes down the price of each operation that passes by."""

    def __init__(self):
        super().__init__()
        self.flops = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        output = func(*args, **(kwargs or {}))
        result = output if isinstance(output, Tensor) else output[0]  # a norm's mean and spread come after it
        name = func.overloadpacket.__name__
        if not result.is_floating_point() or name in FREE:
            return output
        if name in PRODUCTS:
            inner = args[-1].size(-2)  # (..., n, inner) times (..., inner, p)
            self.flops["matrix products"] += 2 * inner * result.numel()
            self.flops["biases"] += result.numel() * (name == "addmm")
        elif name in PRICES:
            item, price = PRICES[name]
            self.flops[item] += price * result.numel()
        else:
            raise NotImplementedError(f"{func}: this operation has no price")
        return output
