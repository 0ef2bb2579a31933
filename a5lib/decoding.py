"""Greedy decoding of many prompts at once, with a key-value cache.

Letters: B prompts, T length. Rows have different lengths: each is padded on the right, stands at its
own position, and a causal model never lets a real position see the padding behind it. Knows nothing
about questions or files.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from a5lib.errors import InputError
from a5lib.model import GPT
from a5lib.vocab import PAD_ID

NOTHING = -1  # in the place of an id: the row was done before
# Rows decoded at a time. On a CPU few: their lengths are more alike, and what is computed stays in its cache.
ROWS_ON_CPU, ROWS_ELSEWHERE = 64, 512
Pick = Callable[[Tensor], Tensor]  # logits (B, V) to ids (B,)


def most_likely(logits: Tensor) -> Tensor:
    """(B,): the greedy choice from logits (B, V)."""
    return logits.argmax(dim=-1)


@torch.inference_mode()
def greedy_decode(
    model: GPT,
    prompts: Sequence[Tensor],
    max_new: int = 32,
    stop_id: int | None = None,
    use_cache: bool = True,
    batch_size: int | None = None,
    pick: Pick = most_likely,
) -> list[list[int]]:
    """The most likely continuation of each prompt, one character at a time.

    Args:
        prompts: ids, each (T,) int64, of any lengths.
        stop_id: a row is done after its first `stop_id`; None decodes `max_new` for all.
        use_cache: False recomputes the whole sequence at every step, to compare.
        batch_size: rows decoded at a time; None takes what suits the device.
        pick: how each step's ids come from its logits; one that draws them makes this sampling.

    Returns:
        The new ids of each row: at most `max_new`, ending with `stop_id` where it was reached, and
        fewer where the block is full.

    Raises:
        InputError: an empty prompt, or one that leaves no room in the model's block.
    """
    for prompt in prompts:
        if not 1 <= len(prompt) < model.config.block_size:
            raise InputError(
                f"a prompt of {len(prompt)} characters: the model's block of {model.config.block_size} "
                "must hold it and one character more; ask a shorter question"
            )
    was_training = model.training
    model.eval()
    # Like lengths together: a batch is as wide as its longest row.
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    if batch_size is None:
        batch_size = ROWS_ON_CPU if model.tok_emb.weight.device.type == "cpu" else ROWS_ELSEWHERE
    new: list[list[int]] = [[] for _ in prompts]
    for begin in range(0, len(order), batch_size):
        rows = order[begin : begin + batch_size]
        decoded = _decode_batch(model, [prompts[i] for i in rows], max_new, stop_id, use_cache, pick)
        for row, ids in zip(rows, decoded, strict=True):
            new[row] = ids
    model.train(was_training)
    return new


def _decode_batch(model, prompts, max_new, stop_id, use_cache, pick) -> list[list[int]]:
    device = model.tok_emb.weight.device
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)  # (B,)
    idx = pad_sequence(list(prompts), batch_first=True, padding_value=PAD_ID).to(device)  # (B, T)
    longest = min(idx.size(1) + max_new, model.config.block_size)
    steps = _cached_steps if use_cache and model.cacheable(longest) else _uncached_steps
    room = model.config.block_size - lengths
    done = torch.zeros_like(lengths, dtype=torch.bool)
    columns = []
    for n, step in zip(range(max_new), steps(model, idx, lengths, max_new, pick, done), strict=False):
        columns.append(step.masked_fill(done, NOTHING))
        done |= (step == stop_id) if stop_id is not None else False
        done |= n + 1 >= room  # nothing more fits
        if done.all():
            break
    new = torch.stack(columns, dim=1).tolist() if columns else [[] for _ in prompts]
    return [[i for i in row if i != NOTHING] for row in new]


def _cached_steps(
    model: GPT, idx: Tensor, lengths: Tensor, max_new: int, pick: Pick, done: Tensor
) -> Iterator[Tensor]:
    """Each step's ids (B,): the prompts are read once, what they share by one row, then a position a step.

    `done` (B,), which the caller keeps up to date, says which rows' ids are no longer asked for.
    """
    B, T = idx.shape
    block_size = model.config.block_size
    cache = model.new_cache(min(T + max_new, block_size))
    positions = torch.arange(T, device=idx.device).expand(B, T)
    shared = _shared_beginning(idx, lengths)  # of questions, `Where was `
    if shared and B > 1:
        model.extend(idx[:1, :shared], positions[:1, :shared], cache)
        for layer in cache:
            layer.repeat(B)
    else:
        shared = 0
    logits = model.extend(idx[:, shared:], positions[:, shared:], cache)  # (B, T - shared, V)
    # (B, V): after each row's last character
    logits = logits[torch.arange(B, device=idx.device), lengths - 1 - shared]
    position, rows = lengths, torch.arange(B, device=idx.device)
    while True:
        ids = pick(logits)
        yield torch.full_like(lengths, PAD_ID).index_copy(0, rows, ids)
        going_on = ~done[rows]
        # Where half of the rows are done, go on without them. If ids are drawn, all rows draw on, so that
        # what one gets does not depend on when others end.
        if pick is most_likely and 2 * int(going_on.sum()) <= len(rows):
            rows, ids, position = rows[going_on], ids[going_on], position[going_on]
            for layer in cache:
                layer.keep(going_on)
        # A row whose block is full stands still; what it would say is not read.
        logits = model.extend(ids[:, None], position.clamp(max=block_size - 1)[:, None], cache)[:, 0]
        position = position + 1


def _shared_beginning(idx: Tensor, lengths: Tensor) -> int:
    """How many characters all rows begin with; each keeps one at least for itself."""
    same = (idx == idx[:1]).all(dim=0).long().cumprod(dim=0).sum()
    return min(int(same), int(lengths.min()) - 1)


def _uncached_steps(
    model: GPT, idx: Tensor, lengths: Tensor, max_new: int, pick: Pick, done: Tensor
) -> Iterator[Tensor]:
    """The same ids, from the whole sequence at every step."""
    B, T = idx.shape
    block_size = model.config.block_size
    idx = torch.nn.functional.pad(idx, (0, min(max_new, block_size - T)), value=PAD_ID)
    row, position = torch.arange(B, device=idx.device), lengths
    while True:
        width = int(position.clamp(max=block_size).max())
        ids = pick(model.next_logits(idx[:, :width], position.clamp(max=block_size)))
        yield ids
        idx[row, position.clamp(max=idx.size(1) - 1)] = ids
        position = position + 1
