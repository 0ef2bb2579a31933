"""An independent reference: the GPT and the Perceiver as plainly as the assignment tells them.

Written for these tests alone, from the equations and the list of state-dict names: float masks as
buffers, `masked_fill` with -1e10, no fused attention, nothing imported from a5lib.
"""

import math

import torch
from torch import nn


class Attention(nn.Module):
    """Queries from `x_q`, keys and values from `x_kv`; for self-attention both are the same."""

    def __init__(self, d, heads, block, p):
        super().__init__()
        self.key, self.query, self.value = nn.Linear(d, d), nn.Linear(d, d), nn.Linear(d, d)
        self.attn_drop, self.resid_drop = nn.Dropout(p), nn.Dropout(p)
        self.proj = nn.Linear(d, d)
        self.register_buffer("mask", torch.tril(torch.ones(block, block)).view(1, 1, block, block))
        self.n_head = heads

    def forward(self, x_kv, x_q=None):
        x_q = x_kv if x_q is None else x_q
        batch, tk, d = x_kv.size()
        tq, size = x_q.size(1), d // self.n_head
        k = self.key(x_kv).view(batch, tk, self.n_head, size).transpose(1, 2)
        q = self.query(x_q).view(batch, tq, self.n_head, size).transpose(1, 2)
        v = self.value(x_kv).view(batch, tk, self.n_head, size).transpose(1, 2)
        scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(size))
        scores = scores.masked_fill(self.mask[:, :, :tq, :tk] == 0, -1e10)
        y = self.attn_drop(torch.softmax(scores, dim=-1)) @ v
        y = y.transpose(1, 2).contiguous().view(batch, tq, d)
        return self.resid_drop(self.proj(y))


class Layer(nn.Module):
    """What all three kinds of block hold; `latents` adds the basis C of a down-projection."""

    def __init__(self, d, heads, block, p, latents=0):
        super().__init__()
        if latents:
            self.C = nn.Parameter(torch.randn(1, latents, d))
        self.ln1, self.ln2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attn = Attention(d, heads, block, p)
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d), nn.Dropout(p))

    def forward(self, x):
        x = x + self.attn(self.ln1(x))
        return x + self.mlp(self.ln2(x))

    def down(self, x_input):
        c = self.C.expand(x_input.size(0), -1, -1)
        x = c + self.attn(x_input, self.ln1(c))
        return x + self.mlp(self.ln2(x))

    def up(self, y, x_input):
        x = x_input + self.attn(self.ln1(y), x_input)
        return x + self.mlp(self.ln2(x))


class HandoutGPT(nn.Module):
    """Both variants; `bottleneck_dim` makes it the Perceiver. Returns logits (batch, T, vocabulary)."""

    def __init__(
        self, vocab_size, block_size=128, n_layer=4, n_head=8, n_embd=256, bottleneck_dim=None, dropout=0.1
    ):
        super().__init__()
        d, p = n_embd, dropout
        self.tok_emb = nn.Embedding(vocab_size, d)
        self.pos_emb = nn.Parameter(torch.randn(1, block_size, d) * 0.02)
        self.drop = nn.Dropout(p)
        self.perceiver = bottleneck_dim is not None
        inner = block_size
        if self.perceiver:
            self.down_block = Layer(d, n_head, block_size, p, latents=bottleneck_dim)
            self.up_block = Layer(d, n_head, block_size, p)
            inner, n_layer = bottleneck_dim, n_layer - 2
        self.blocks = nn.Sequential(*[Layer(d, n_head, inner, p) for _ in range(n_layer)])
        self.ln_f = nn.LayerNorm(d)
        self.head = nn.Linear(d, vocab_size, bias=False)

    def forward(self, idx):
        x = x_input = self.drop(self.tok_emb(idx) + self.pos_emb[:, : idx.size(1)])
        if self.perceiver:
            x = self.down_block.down(x)
        x = self.blocks(x)
        if self.perceiver:
            x = self.up_block.up(x, x_input)
        return self.head(self.ln_f(x))
