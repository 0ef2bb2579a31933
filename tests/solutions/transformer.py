"""Notebook 04 and the Perceiver of 09: matrices, einsum, loops over heads, torch's fused attention."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from a5lib.attention import CausalCrossAttention
from a5lib.model import mlp

# 04


def mask_by_loops(T):
    mask = torch.zeros(T, T, dtype=torch.bool)
    for t in range(T):
        for s in range(t + 1):
            mask[t, s] = True
    return mask


def weights_by_loops(q, k, mask):
    weights = torch.zeros(*q.shape[:-1], k.shape[-2])
    for b in range(q.shape[0]):
        for h in range(q.shape[1]):
            for t in range(q.shape[2]):
                seen = mask[t].nonzero()[:, 0]
                scores = torch.stack([q[b, h, t] @ k[b, h, s] for s in seen]) / q.shape[-1] ** 0.5
                weights[b, h, t, seen] = scores.exp() / scores.exp().sum()
    return weights


def weights_by_einsum(q, k, mask):
    scores = torch.einsum("...td,...sd->...ts", q, k) * q.shape[-1] ** -0.5
    return F.softmax(scores + torch.where(mask, 0.0, -1e10), dim=-1)


def weights_in_place(q, k, mask):
    scores = torch.matmul(q, k.transpose(-2, -1)).div_(math.sqrt(q.size(-1)))
    scores.masked_fill_(mask.logical_not(), -torch.inf)
    return scores.sub_(scores.amax(-1, keepdim=True)).exp_().div_(scores.sum(-1, keepdim=True))


def split_by_slices(x, n_head):
    D = x.shape[-1] // n_head
    return torch.stack([x[..., h * D : (h + 1) * D] for h in range(n_head)], dim=1)


def attention_head_by_head(self, x):
    B, T, C = x.shape
    D, outputs = C // self.n_head, []
    for h in range(self.n_head):
        part = slice(h * D, (h + 1) * D)
        q, k, v = self.query(x)[..., part], self.key(x)[..., part], self.value(x)[..., part]
        scores = (q @ k.mT / math.sqrt(D)).masked_fill(self.mask[0, 0, :T, :T] == 0, float("-inf"))
        outputs.append(self.attn_drop(scores.softmax(-1)) @ v)
    return self.resid_drop(self.proj(torch.cat(outputs, dim=-1)))


def attention_by_einsum(self, x):
    B, T, C = x.shape
    q, k, v = (layer(x).reshape(B, T, self.n_head, -1) for layer in (self.query, self.key, self.value))
    scores = torch.einsum("bthd,bshd->bhts", q, k) * (C // self.n_head) ** -0.5
    weights = torch.softmax(scores + (1 - self.mask[:, :, :T, :T]) * -1e10, dim=-1)
    y = torch.einsum("bhts,bshd->bthd", self.attn_drop(weights), v)
    return self.resid_drop(self.proj(y.reshape(B, T, C)))


def attention_fused(self, x):
    B, T, C = x.shape
    q, k, v = (
        layer(x).view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        for layer in (self.query, self.key, self.value)
    )
    p = self.attn_drop.p if self.attn_drop.training else 0.0
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=p)
    return self.resid_drop(self.proj(y.transpose(1, 2).contiguous().view(B, T, C)))


def block_in_place_on_its_own(self, x):
    x = x.clone()
    x += self.attn(self.ln1(x))
    x += self.mlp(self.ln2(x))
    return x


def block_in_one_line(self, x):
    return (y := x + self.attn(self.ln1(x))) + self.mlp(self.ln2(y))


def block_named(self, x):
    attended = torch.add(x, self.attn(self.ln1(x)))
    return torch.add(attended, self.mlp(self.ln2(attended)))


def parameters_of_a_model(config):
    from a5lib.model import build_model

    model = build_model("vanilla", config, 0)
    count = dict.fromkeys(("embeddings", "attention", "MLPs", "layer norms", "head"), 0)
    for name, p in model.named_parameters():
        part = "embeddings" if "emb" in name else "attention" if ".attn." in name else "head"
        part = "MLPs" if ".mlp." in name else "layer norms" if "ln" in name else part
        count[part] += p.numel()
    return count


def parameters_layer_by_layer(config):
    C = config.n_embd
    count = {"attention": 0, "MLPs": 0, "layer norms": 2 * C}
    for _ in range(config.n_layer):
        count["attention"] += 4 * C * C + 4 * C
        count["MLPs"] += C * 4 * C + 4 * C + 4 * C * C + C
        count["layer norms"] += 4 * C
    count["head"] = C * config.vocab_size
    count["embeddings"] = count["head"] + config.block_size * C
    return count


def parameters_in_numpy(config):
    V, T, L, C = np.array([config.vocab_size, config.block_size, config.n_layer, config.n_embd])
    return {
        "embeddings": (V + T) * C, "attention": L * 4 * C * (C + 1), "MLPs": L * C * (8 * C + 5),
        "layer norms": (4 * L + 2) * C, "head": V * C,
    }  # fmt: skip


def sees_by_jacobian(forward, x):
    jacobian = torch.autograd.functional.jacobian(forward, x)  # (T, E, T, C)
    return (jacobian != 0).any(dim=3).any(dim=1)


def sees_by_noise(forward, x):
    before, T = forward(x), len(x)
    seen = torch.zeros(T, T, dtype=torch.bool)
    for s in range(T):
        other = x.clone()
        other[s] = torch.randn(x.shape[1]).double()
        seen[:, s] = ((forward(other) - before) ** 2).sum(dim=1) > 0
    return seen


def sees_in_lists(forward, x):
    before = forward(x.clone())
    found = []
    for s in range(x.size(0)):
        other = torch.cat([x[:s], (x[s] * torch.tensor([-3.0, 2.0, 5.0, 0.5]).double())[None], x[s + 1 :]])
        found.append([bool(d) for d in (forward(other) - before).abs().max(dim=1).values > 1e-12])
    return np.array(found).T


def distribution_by_sorting(logits, temperature=1.0, top_k=None):
    scaled = logits / temperature
    if top_k:
        threshold = scaled.sort(dim=-1, descending=True).values[..., top_k - 1, None]
        scaled = torch.where(scaled >= threshold, scaled, torch.tensor(-torch.inf))
    return F.softmax(scaled, dim=-1)


def distribution_by_scatter(logits, temperature=1.0, top_k=None):
    k = logits.shape[-1] if top_k is None else top_k
    values, indices = torch.topk(logits, k, dim=-1)
    return torch.zeros_like(logits).scatter(-1, indices, (values / temperature).softmax(-1))


def distribution_in_numpy(logits, temperature=1.0, top_k=None):
    x = logits.double().numpy() / temperature
    p = np.exp(x - x.max(-1, keepdims=True))
    if top_k is not None:
        p = np.where(p >= np.sort(p, -1)[..., -top_k][..., None], p, 0)
    return p / p.sum(-1, keepdims=True)


# 09


class Down(nn.Module):
    """As the assignment's hint has it, the basis repeated over the batch."""

    def __init__(self, config):
        super().__init__()
        self.C = nn.Parameter(torch.empty(1, config.bottleneck_dim, config.n_embd))
        nn.init.xavier_uniform_(self.C)
        self.ln1 = nn.LayerNorm(config.n_embd)
        self.ln2 = nn.LayerNorm(config.n_embd)
        self.attn = CausalCrossAttention(config)
        self.mlp = nn.Sequential(
            nn.Linear(config.n_embd, 4 * config.n_embd),
            nn.GELU(),
            nn.Linear(4 * config.n_embd, config.n_embd),
            nn.Dropout(config.dropout),
        )

    def forward(self, x_input):
        basis = self.C.repeat(x_input.shape[0], 1, 1)
        x = basis + self.attn(x_input, self.ln1(basis))
        x = x + self.mlp(self.ln2(x))
        return x


class ShortDown(Down):
    """The basis by hand, no more rows of it than there are inputs."""

    def __init__(self, config):
        super().__init__(config)
        bound = math.sqrt(6 / (config.bottleneck_dim + config.n_embd))
        self.C = nn.Parameter((2 * torch.rand(1, config.bottleneck_dim, config.n_embd) - 1) * bound)

    def forward(self, x_input):
        m = min(self.C.size(1), x_input.size(1))
        x = self.C[:, :m].expand(len(x_input), -1, -1)
        x = x + self.attn(x_kv=x_input, x_q=self.ln1(x))
        return x + self.mlp(self.ln2(x))


class DownOtherOrder(nn.Module):
    """Made in another order, with other arguments."""

    def __init__(self, config, latents=None):
        super().__init__()
        d, m = config.n_embd, latents or config.bottleneck_dim
        self.mlp, self.attn = mlp(config), CausalCrossAttention(config)
        self.ln2, self.ln1 = nn.LayerNorm((d,)), nn.LayerNorm((d,))
        self.register_parameter("C", nn.Parameter(nn.init.xavier_uniform_(torch.empty(m, d))[None]))

    def forward(self, x, **_):
        latents = self.C
        latents = self.attn(x, self.ln1(latents)) + latents
        return self.mlp(self.ln2(latents)) + latents


class Up(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.ln1 = nn.LayerNorm(config.n_embd)
        self.ln2 = nn.LayerNorm(config.n_embd)
        self.attn = CausalCrossAttention(config)
        self.mlp = mlp(config)

    def forward(self, y, x_input):
        x = x_input + self.attn(self.ln1(y), x_input)
        return x + self.mlp(self.ln2(x))


class UpInPlaceOnItsOwn(Up):
    def forward(self, y, x_input):
        x = self.attn(x_kv=self.ln1(y), x_q=x_input).clone()
        x += x_input
        return torch.add(x, self.mlp(self.ln2(x)))


class UpWithOtherNames(Up):
    def forward(self, latents, inputs, scale=1.0):
        middle = torch.stack([inputs, self.attn(self.ln1(latents), inputs)]).sum(dim=0)
        return scale * self.mlp(self.ln2(middle)) + middle


def dependencies_by_backward(x, logits):
    rows = []
    for t in range(logits.shape[1]):
        x.grad = None
        logits[0, t].pow(2).sum().backward(retain_graph=True)
        rows.append(x.grad[0].abs().sum(dim=-1) > 0)
    return torch.stack(rows)


def dependencies_number_by_number(x, logits):
    seen = torch.zeros(logits.shape[1], x.shape[1], dtype=torch.bool)
    for t in range(logits.shape[1]):
        for v in range(logits.shape[2]):
            (gradient,) = torch.autograd.grad(logits[0, t, v], x, retain_graph=True)
            seen[t] |= (gradient[0] != 0).any(dim=1)
    return seen


def dependencies_in_numpy(x, logits):
    weights = torch.randn(logits.shape[2]).double()
    rows = [torch.autograd.grad(row @ weights, x, retain_graph=True)[0][0].numpy() for row in logits[0]]
    return np.any(np.array(rows) != 0, axis=-1)


RIGHT = {
    "causal_mask": [mask_by_loops, lambda T: torch.ones(T, T).tril().bool(), lambda T: np.tri(T, dtype=bool),
                    lambda T: np.tri(T, dtype=bool).T[::-1, ::-1],
                    lambda T: ~torch.triu(torch.ones(T, T, dtype=torch.bool), 1),
                    lambda T: torch.arange(T)[:, None] >= torch.arange(T)],
    "masked_weights": [weights_by_loops, weights_by_einsum, weights_in_place],
    "split_heads": [split_by_slices, lambda x, n_head: x.view(*x.shape[:2], n_head, -1).transpose(1, 2),
                    lambda x, n_head: torch.einsum("bthd->bhtd", x.reshape(len(x), x.size(1), n_head, -1)),
                    lambda x, n_head: x.numpy().reshape(*x.shape[:2], n_head, -1).swapaxes(1, 2)],
    "merge_heads": [lambda y: y.transpose(1, 2).contiguous().view(y.size(0), y.size(2), -1),
                    lambda y: torch.cat([y[:, h] for h in range(y.shape[1])], dim=-1),
                    lambda y: y.permute(0, 2, 1, 3).flatten(-2)],
    "attention_forward": [attention_head_by_head, attention_by_einsum, attention_fused],
    "block_forward": [block_in_place_on_its_own, block_in_one_line, block_named],
    "count_parameters": [parameters_of_a_model, parameters_layer_by_layer, parameters_in_numpy],
    "sees": [sees_by_jacobian, sees_by_noise, sees_in_lists],
    "next_distribution": [distribution_by_sorting, distribution_by_scatter, distribution_in_numpy],
    "DownProjectBlock": [Down, ShortDown, DownOtherOrder],
    "UpProjectBlock": [Up, UpInPlaceOnItsOwn, UpWithOtherNames],
    "dependencies": [dependencies_by_backward, dependencies_number_by_number, dependencies_in_numpy],
    "share_past": [
        lambda lengths, m: sum(len(range(m, n)) for n in lengths) / sum(lengths),
        lambda lengths, m: np.clip(np.array(lengths) - m, 0, None).sum() / np.sum(lengths),
        lambda lengths, m: torch.tensor(lengths).sub(m).relu().sum() / sum(lengths),
    ],
    "last_positions": [
        lambda lengths, m: (lengths - m).clamp(min=0)[:, None] + torch.arange(m),
        lambda lengths, m: [[max(int(n) - m, 0) + i for i in range(m)] for n in lengths],
        lambda lengths, m: torch.stack([torch.arange(s, s + m) for s in (lengths - m).relu().tolist()]),
        lambda lengths, m: np.maximum(lengths.numpy()[:, None] - m, 0) + np.arange(m),
    ],
    "attention_cost": [
        lambda L, length, m: 2 * length * m + (L - 2) * m**2,
        lambda L, length, m, d: (length * m + (L - 2) * m * m) * d,
        lambda L, length, m, d=256: 2 * d * (m * length + length * m) + 2.0 * d * m**2 * (L - 2),
        lambda L, length, m: sum([length * m, *[m * m] * (L - 2), m * length]),
    ],
}  # fmt: skip


def attention_with_dropout_left_on(self, x):
    q, k, v = (
        f(x).unflatten(-1, (self.n_head, -1)).transpose(1, 2) for f in (self.query, self.key, self.value)
    )
    mask = self.mask[:, :, : x.size(1), : x.size(1)] == 0
    weights = (q @ k.mT / math.sqrt(q.size(-1))).masked_fill(mask, float("-inf")).softmax(-1)
    return self.proj((F.dropout(weights, 0.1) @ v).transpose(1, 2).flatten(2))


def attention_over_the_wrong_axis(self, x):
    q, k, v = (
        f(x).unflatten(-1, (self.n_head, -1)).transpose(1, 2) for f in (self.query, self.key, self.value)
    )
    mask = self.mask[:, :, : x.size(1), : x.size(1)] == 0
    weights = (q @ k.mT / math.sqrt(q.size(-1))).masked_fill(mask, float("-inf")).softmax(-2)
    return self.proj((weights @ v).transpose(1, 2).flatten(2))


class PlainBasis(Down):
    def __init__(self, config):
        super().__init__(config)
        del self.C
        self.C = nn.init.xavier_uniform_(torch.empty(1, config.bottleneck_dim, config.n_embd))


class MovedBasis(Down):
    def __init__(self, config):
        super().__init__(config)
        C = self.C.data
        del self.C
        self.C = nn.Parameter(C).to("cpu")


class NormalBasis(Down):
    def __init__(self, config):
        super().__init__(config)
        nn.init.normal_(self.C, std=0.02)


class ShrunkConfig(Down):
    def __init__(self, config):
        super().__init__(config)
        config.block_size = config.bottleneck_dim


class WrongResidual(Down):
    def forward(self, x_input):
        x = x_input + self.attn(x_input, self.ln1(self.C))
        return x + self.mlp(self.ln2(x))


class Swapped(Down):
    def forward(self, x_input):
        x = self.C + self.attn(self.ln1(self.C), x_input)
        return x + self.mlp(self.ln2(x))


class WithoutNorm(Down):
    def forward(self, x_input):
        x = self.C + self.attn(x_input, self.C)
        return x + self.mlp(self.ln2(x))


WRONG = [
    ("causal_mask", lambda T: torch.ones(T, T).triu().bool(), "upside down"),
    ("causal_mask", lambda T: torch.ones(T, T).tril(1).bool(), "off by one"),
    ("causal_mask", lambda T: torch.ones(T, T).tril(-1).bool(), "off by one"),
    ("masked_weights", lambda q, k, m: (q @ k.mT).masked_fill(~m, -1e9).softmax(-1), "not divided by √D"),
    ("masked_weights", lambda q, k, m: (q @ k.mT / 4).masked_fill(~m, -1e9).softmax(-1), "it is √D"),
    ("masked_weights", lambda q, k, m: (q @ k.mT / 2).masked_fill(~m, -1e9).softmax(-2), "the wrong axis"),
    ("attention_forward", attention_with_dropout_left_on, "dropout is left on in evaluation"),
    ("attention_forward", attention_over_the_wrong_axis, "the wrong axis"),
    ("merge_heads", lambda y: y.reshape(y.size(0), y.size(2), -1), "without transposing back"),
    ("DownProjectBlock", PlainBasis, "a plain tensor"),
    ("DownProjectBlock", MovedBasis, ".to(device)"),
    ("DownProjectBlock", NormalBasis, "C is not Xavier uniform"),
    ("DownProjectBlock", ShrunkConfig, "changes the config's block_size"),
    ("DownProjectBlock", WrongResidual, "the residual is of the wrong input"),
    ("DownProjectBlock", Swapped, "query and key swapped"),
    ("DownProjectBlock", WithoutNorm, "LayerNorm forgotten"),
    ("attention_cost", lambda L, length, m: L * length**2, "this is vanilla"),
    ("attention_cost", lambda L, length, m: L * length * m, "every layer is charged for l"),
]
