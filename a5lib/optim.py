"""Optimizers and learning rates: AdamW as in the handout, and Muon for the fast recipe.

Knows nothing about models beyond the names and shapes of their parameters.
"""

import math
from collections import defaultdict

import torch
from torch import Tensor, nn

# Jordan et al. 2024: steep at 0, and singular values end in about 0.7 to 1.2.
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonalize(matrices: Tensor, steps: int = 5) -> Tensor:
    """Push the singular values of each matrix of a stack (N, rows, columns) towards 1.

    The quintic Newton–Schulz iteration of Muon, X <- aX + (bA + cA²)X with A = XXᵀ. One batched product
    serves all matrices of a shape, in their own type; torch's Muon goes one by one, always in bf16, which is
    slow on CPUs without it.
    """
    a, b, c = NEWTON_SCHULZ
    wide = matrices.size(-2) <= matrices.size(-1)
    X = matrices if wide else matrices.mT
    X = X / (X.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        A = X @ X.mT
        B = torch.baddbmm(A, A, A, beta=b, alpha=c)
        X = torch.baddbmm(X, B, X, beta=a)
    return X if wide else X.mT


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalized (Jordan et al. 2024), with decoupled weight decay, for weight matrices.

    Parameters of one shape are stepped together as one stack. The step is scaled by
    sqrt(max(1, rows / columns)), so that one rate fits all shapes. Its direction is computed in `dtype`.
    """

    def __init__(
        self,
        params,
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.dtype = dtype

    @torch.no_grad()
    def step(self) -> None:
        """One update of all parameters that have a gradient."""
        for group in self.param_groups:
            by_shape = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    by_shape[p.shape].append(p)
            for params in by_shape.values():
                self._step_stack(params, group)

    def _step_stack(self, params: list[nn.Parameter], group: dict) -> None:
        gradients = [p.grad for p in params]
        for p in params:
            if not self.state[p]:
                self.state[p]["momentum"] = torch.zeros_like(p)
        momenta = [self.state[p]["momentum"] for p in params]
        torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
        nesterov = torch.stack(torch._foreach_lerp(gradients, momenta, group["momentum"]))
        rows, columns = params[0].shape
        update = orthogonalize(nesterov.to(self.dtype)).to(nesterov.dtype) * math.sqrt(max(1, rows / columns))
        torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(params, list(update), alpha=-group["lr"])


def parameter_groups(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Parameters by how they are to be trained, in the order of their names.

    `matrices`: weights of the linear layers inside the blocks. `head`: the output weights.
    `rest`: embeddings, positions, the Perceiver's basis, the synthesizer's scores, layer norms and biases,
    never decayed.
    """
    groups: dict[str, list[nn.Parameter]] = {"matrices": [], "head": [], "rest": []}
    linear = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear)}
    for name, parameter in model.named_parameters():
        kind = "rest" if id(parameter) not in linear else "head" if name == "head.weight" else "matrices"
        groups[kind].append(parameter)
    return groups


def build_optimizers(
    model: nn.Module, config, dtype: torch.dtype = torch.float32
) -> list[torch.optim.Optimizer]:
    """The optimizers of a `TrainConfig`: AdamW, or Muon for the blocks' matrices and AdamW for the rest.

    Args:
        dtype: what Muon computes its directions in.
    """
    groups = parameter_groups(model)
    decayed = groups["head"] if config.muon_lr else groups["matrices"] + groups["head"]
    adamw = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": config.weight_decay},
            {"params": groups["rest"], "weight_decay": 0.0},
        ],
        lr=config.lr,
        betas=config.betas,
        fused=True,
    )
    if not config.muon_lr:
        return [adamw]
    muon = Muon(groups["matrices"], lr=config.muon_lr, weight_decay=config.weight_decay, dtype=dtype)
    return [muon, adamw]


def learning_rate_at(config, tokens: int, progress: float) -> float:
    """The factor on all learning rates of a `TrainConfig`, at a point of the run.

    Args:
        tokens: target positions seen so far, padding included (the handout counts so).
        progress: the share of all steps that is done, 0 to 1.

    `cosine` is the handout's: linear warm-up over `warmup_tokens`, then a cosine to 10 % at
    `final_tokens`. It is *not* clamped there, so a longer run sees the rate rise again.
    `linear` is constant, then falls in a straight line to 0 over the last `decay` of the run.
    """
    if tokens < config.warmup_tokens:
        return tokens / config.warmup_tokens
    if config.schedule == "cosine":
        past = (tokens - config.warmup_tokens) / max(1, config.final_tokens - config.warmup_tokens)
        return max(0.1, 0.5 * (1 + math.cos(math.pi * past)))
    return min(1.0, (1 - progress) / config.decay)
