"""Notebooks 05 to 08: questions, corruption, training, loading, evaluation."""

import math
from collections import Counter, OrderedDict

import numpy as np
import torch
from torch import nn

from a5lib.vocab import MASK, PAD

# 05


def vocabulary_by_loop(text):
    ids = {PAD: 0, MASK: 1}
    for c in sorted(set(text)):
        if c not in ids:
            ids[c] = len(ids)
    return ids


def vocabulary_by_zip(text):
    chars = [PAD, MASK] + sorted(c for c in set(text) if c not in PAD + MASK)
    return dict(zip(chars, range(len(chars)), strict=True))


def vocabulary_in_numpy(text):
    chars = [c for c in np.unique(list(text)).tolist() if c not in (PAD, MASK)]
    return OrderedDict((c, i) for i, c in enumerate([PAD, MASK, *chars]))


def pair_as_a_list(question, place, block_size):
    row = list((question + MASK + place + MASK).ljust(block_size, PAD))
    target = row[1:]
    for i in range(len(question) - 1):
        target[i] = PAD
    return ["".join(row[:-1]), "".join(target)]


def pair_by_formatting(question, place, block_size=128):
    answer = f"{MASK}{place}{MASK}"
    x = f"{question}{answer}{PAD * block_size}"[: block_size - 1]
    y = f"{PAD * (len(question) - 1)}{answer}{PAD * block_size}"[: block_size - 1]
    return x, y


def pair_number_by_number(question, place, block_size):
    row = question + MASK + place + MASK
    x = y = ""
    for t in range(block_size - 1):
        x += row[t] if t < len(row) else PAD
        y += row[t + 1] if len(question) <= t + 1 < len(row) else PAD
    return x, y


def count_by_loop(predictions, questions):
    right = 0
    for i in range(len(questions)):
        if predictions[i] == questions[i].place:
            right += 1
    return right


def london_by_hand(train, dev):
    counts = {}
    for question in train:
        counts[question.place] = counts.get(question.place, 0) + 1
    best = max(counts, key=counts.get)
    return 100.0 * len([1 for question in dev if question.place == best]) / len(dev)


def london_in_numpy(train, dev):
    places, counts = np.unique([q.place for q in train], return_counts=True)
    return np.mean(np.array([q.place for q in dev]) == places[counts.argmax()]) * 100


def london_in_torch(train, dev):
    best = Counter(q.place for q in train).most_common()[0][0]
    return torch.tensor([float(q.place == best) for q in dev]).mean() * 100


def step_with_the_zeros_last(model, optimizer, x, y):
    model.train()
    _, loss = model(x, y)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    return float(loss.detach())


def step_clipped_by_hand(model, optimizer, x, y):
    model.train()
    model.zero_grad()
    with torch.enable_grad():
        logits, loss = model(idx=x, targets=y)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    norm = math.sqrt(sum(g.square().sum().item() for g in gradients))
    for p, g in zip(model.parameters(), gradients, strict=True):
        p.grad = g * min(1.0, 1.0 / norm)
    optimizer.step()
    return loss.detach().cpu().item()


def step_by_groups(model, optimizer, x, y, clip=1):
    model = model.train()
    optimizer.zero_grad()
    loss = model(x, targets=y)[1].mean()
    loss.backward()
    torch.nn.utils.clip_grad_norm_([p for g in optimizer.param_groups for p in g["params"]], clip)
    optimizer.step()
    return loss.tolist()


# 06


def truncate_by_floor(document, block_size, rng, skew=1.0):
    longest = math.floor(block_size * 0.875)
    return document[: 4 + math.floor(rng.random() ** (1 / skew) * (longest - 3))]


def truncate_by_choice(document, block_size, rng, skew=1.0):
    lengths = range(4, int(block_size * 7 / 8) + 1)
    if skew == 1:
        return document[: rng.choice(lengths)]
    return document[: lengths[int(len(lengths) * rng.random() ** (1 / skew))]]


def truncate_by_randint(document, block_size, rng, skew=1.0):
    longest = block_size * 7 // 8
    n = rng.randint(4, longest) if skew == 1.0 else 4 + int((longest - 3) * rng.random() ** (1 / skew))
    return "".join(list(document)[:n])


def span_by_randint(length, rng):
    if length < 4:
        return 0, min(length, 1)
    span = rng.randint(1, 2 * round(length / 4) - 1)
    start = rng.randint(0, length - span)
    return start, start + span


def span_by_float(length, rng):
    span = min(length, max(1, int(0.5 + rng.uniform(0.25, 1.75) * length / 4)))
    start = int(rng.random() * (length - span + 1))
    return [start, start + span]


def span_by_gauss(length, rng):
    span = min(max(1, round(rng.gauss(length / 4, length / 16))), length)
    start = rng.randrange(length - span + 1)
    return np.int64(start), np.int64(start + span)


def rearrange_in_parts(text, start, stop, block_size):
    prefix, span, suffix = text[:start], text[start:stop], text[stop:]
    return "".join([prefix, MASK, suffix, MASK, span]).ljust(block_size, PAD)


def rearrange_character_by_character(text, start, stop, block_size):
    row = [c for i, c in enumerate(text) if i < start] + [MASK]
    row += [c for i, c in enumerate(text) if i >= stop] + [MASK]
    row += [c for i, c in enumerate(text) if start <= i < stop]
    while len(row) < block_size:
        row.append(PAD)
    return "".join(row)


def rearrange_by_format(text, start, stop, block_size, mask=MASK):
    return f"{text[:start]}{mask}{text[stop:]}{mask}{text[start:stop]}".format().ljust(block_size, "\u25a1")


def corrupted_by(truncate, choose_span, rearrange):
    def corrupt(document, block_size, rng, skew=1.0):
        text = truncate(document, block_size, rng, skew)
        start, stop = choose_span(len(text), rng)
        return rearrange(text, start, stop, block_size)

    return corrupt


def corrupt_as_the_handout_asks(document, block_size, rng, skew=1.0):
    """All in one, the length drawn among those that the document has."""
    longest = min(len(document), int(block_size * 7 / 8))
    n = 4 + int((longest - 3) * rng.random() ** (1 / skew)) if longest > 4 else longest
    text = document[:n]
    span = min(max(1, int(rng.random() * len(text) / 2 + 0.5)), len(text))
    at = rng.randint(0, len(text) - span)
    return (text[:at] + MASK + text[at + span :] + MASK + text[at : at + span]).ljust(block_size, PAD)


def share_kept_by_counting(end, block_size):
    lengths = range(4, int(block_size * 7 / 8) + 1)
    return sum(n >= end for n in lengths) / len(lengths)


# 07


def rate_in_steps(tokens, warmup_tokens, final_tokens):
    if tokens <= warmup_tokens:
        return float(tokens) / float(max(1, warmup_tokens))
    progress = (tokens - warmup_tokens) / (final_tokens - warmup_tokens)
    rate = 0.5 + 0.5 * math.cos(progress * math.pi)
    return rate if rate > 0.1 else 0.1


def padding_in_torch(lengths, batch_size):
    rows = torch.tensor(lengths).split(batch_size)
    return 1 - sum(lengths) / sum(part.max() * len(part) for part in rows)


def padding_row_by_row(lengths, batch_size):
    pads = positions = 0
    for i in range(len(lengths)):
        batch = lengths[i // batch_size * batch_size :][:batch_size]
        pads += max(batch) - lengths[i]
        positions += max(batch)
    return pads / positions


def decayed_by_name(model):
    never = ("bias", "emb", "ln", ".C")
    return [name for name, _ in model.named_parameters() if not any(part in name for part in never)]


def decayed_by_module(model):
    names = set()
    for where, module in model.named_modules():
        for name, _ in module.named_parameters(recurse=False):
            if isinstance(module, nn.Linear) and name.endswith("weight"):
                names.add(f"{where}.{name}")
    return names


def decayed_by_shape(model):
    tables = {id(p) for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
    return {n for n, p in model.named_parameters() if p.dim() == 2 and id(p) not in tables}


# 08


def load_by_copying(model, path):
    state = torch.load(path, map_location=torch.device("cpu"), weights_only=True)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            tensor.copy_(state[name])
    return model


def load_by_lambda(model, path, device="cpu"):
    model.load_state_dict(torch.load(str(path), map_location=lambda storage, location: storage))
    return model.to(device)


def load_assigning(model, path):
    with open(path, "rb") as file:
        model.load_state_dict(torch.load(file, "cpu", weights_only=True), strict=True, assign=True)
    return model.eval()


def clean_by_slicing(state):
    clean = OrderedDict()
    for name in state:
        clean[name[len("module.") :] if name.startswith("module.") else name] = state[name]
    return clean


def clean_by_replacing(state):
    return {(n.replace("module.", "", 1) if n[:7] == "module." else n): t.clone() for n, t in state.items()}


def answer_by_index(generated):
    after = generated[generated.index(MASK) + 1 :]
    return after if MASK not in after else after[: after.index(MASK)]


def answer_by_partition(generated):
    return generated.partition(MASK)[2].partition(MASK)[0]


def accuracy_by_loop(model, write, questions):
    mode, right = model.training, 0
    model.train(False)
    try:
        for question in questions:
            with torch.inference_mode():
                right += answer_by_index(write(model, f"{question.text}{MASK}")) == question.place
    finally:
        model.train(mode)
    return right / len(questions) * 100


@torch.no_grad()
def accuracy_in_numpy(model, write, questions):
    before = model.training
    model.eval()
    matches = [write(model, q.text + MASK).split(MASK)[1] == q.place for q in questions]
    if before:
        model.train()
    return 100 * np.mean(matches)


def accuracy_in_torch(model, write, questions):
    modes = {module: module.training for module in model.modules()}
    with torch.set_grad_enabled(False):
        model.eval()
        texts = list(map(lambda q: write(model, q.text + MASK), questions))  # noqa: C417
    for module, mode in modes.items():
        module.training = mode
    pairs = zip(texts, questions, strict=True)
    return torch.tensor([answer_by_partition(t) == q.place for t, q in pairs]).float().mean() * 100


RIGHT = {
    "build_vocabulary": [vocabulary_by_loop, vocabulary_by_zip, vocabulary_in_numpy],
    "encode_pair": [pair_as_a_list, pair_by_formatting, pair_number_by_number],
    "count_correct": [
        count_by_loop,
        lambda predictions, questions: int(
            np.sum(np.array(predictions) == np.array([q.place for q in questions]))
        ),
        lambda p, q: torch.tensor([a == b.place for a, b in zip(p, q, strict=True)]).sum(),
        lambda p, q: len(list(filter(lambda pair: pair[0] == pair[1].place, zip(p, q, strict=True)))),
    ],
    "london_percent": [london_by_hand, london_in_numpy, london_in_torch],
    "training_step": [step_with_the_zeros_last, step_clipped_by_hand, step_by_groups],
    "truncate": [truncate_by_floor, truncate_by_choice, truncate_by_randint],
    "choose_span": [span_by_randint, span_by_float, span_by_gauss],
    "rearrange": [rearrange_in_parts, rearrange_character_by_character, rearrange_by_format],
    "split_xy": [
        lambda row: (row[: len(row) - 1], row[1 : len(row)]),
        lambda row: ["".join(row[i + shift] for i in range(len(row) - 1)) for shift in (0, 1)],
        lambda row: tuple("".join(part) for part in zip(*zip(row, row[1:], strict=False), strict=True)),
    ],
    "corrupt_span": [
        corrupted_by(truncate_by_floor, span_by_randint, rearrange_in_parts),
        corrupted_by(truncate_by_choice, span_by_float, rearrange_by_format),
        corrupted_by(truncate_by_randint, span_by_gauss, rearrange_character_by_character),
        corrupt_as_the_handout_asks,
    ],
    "share_kept": [
        share_kept_by_counting,
        lambda end, size: float(np.clip((int(size * 7 / 8) - end + 1) / (int(size * 7 / 8) - 3), 0, 1)),
        lambda end, size: torch.tensor([n >= end for n in range(4, size * 7 // 8 + 1)]).float().mean(),
    ],
    "rate_factor": [
        rate_in_steps,
        lambda tokens, warmup_tokens, final_tokens: min(
            tokens / warmup_tokens,
            max(0.1, 0.5 * (1 + np.cos(np.pi * (tokens - warmup_tokens) / (final_tokens - warmup_tokens)))),
        ) if tokens < warmup_tokens else max(
            0.1, 0.5 * (1 + np.cos(np.pi * (tokens - warmup_tokens) / (final_tokens - warmup_tokens)))),
        lambda t, w, f: torch.tensor(t / w) if t < w else torch.cos(
            torch.tensor(math.pi * (t - w) / (f - w))).add(1).div(2).clamp(min=0.1),
    ],
    "final_tokens": [
        lambda pretrain_documents, finetune_questions, block_size: 200 * pretrain_documents * block_size,
        lambda documents, questions, block: 2e2 * documents * block,
        lambda *sizes: np.prod([200, sizes[0], sizes[2]]),
    ],
    "decayed": [decayed_by_name, decayed_by_module, decayed_by_shape],
    "padding_share": [
        padding_in_torch, padding_row_by_row,
        lambda lengths, n: 1 - sum(lengths) / sum(
            max(lengths[i : i + n]) * len(lengths[i : i + n]) for i in range(0, len(lengths), n)),
    ],
    "load_pretrained": [load_by_copying, load_by_lambda, load_assigning],
    "clean_names": [clean_by_slicing, clean_by_replacing,
                    lambda state: {n[7:] if n.startswith("module.") else n: state[n] for n in state}],
    "answer_of": [answer_by_index, answer_by_partition, lambda generated: (generated + MASK).split(MASK)[1]],
    "dev_accuracy": [accuracy_by_loop, accuracy_in_numpy, accuracy_in_torch],
    "standard_error": [
        lambda correct, total: 100 * (correct * (total - correct) / total**3) ** 0.5,
        lambda correct, total: 100 * np.std([1] * correct + [0] * (total - correct)) / np.sqrt(total),
        lambda correct, total: 100 * torch.tensor(correct / total * (1 - correct / total) / total).sqrt(),
    ],
}  # fmt: skip


def by_the_drawn_length(document, block_size, rng, skew=1.0):
    """A quarter of what was drawn, whatever the document has."""
    n = 4 + int((int(block_size * 7 / 8) - 3) * rng.random() ** (1 / skew))
    text = document[:n]
    span = rng.randint(1, max(1, 2 * (n // 4) - 1))
    at = rng.randint(0, max(0, len(text) - span))
    return (text[:at] + MASK + text[at + span :] + MASK + text[at : at + span]).ljust(block_size, PAD)


def corrupt_with(choose_span=span_by_float, truncate=truncate_by_floor, rearrange=rearrange_in_parts):
    return corrupted_by(truncate, choose_span, rearrange)


def at_the_start(length, rng):
    start, stop = span_by_float(length, rng)
    return 0, stop - start


def of_one_length(length, rng):
    span = max(length // 4, min(length, 1))
    start = rng.randint(0, length - span)
    return start, start + span


def span_maybe_empty(length, rng):
    span = rng.randint(0, length // 2)
    start = rng.randint(0, length - span)
    return start, start + span


def crashing_on_short_ones(document, block_size, rng, skew=1.0):
    longest = min(len(document), int(block_size * 7 / 8))
    return document[: rng.randint(4, longest)]


def rounding(document, block_size, rng, skew=1.0):
    longest = int(block_size * 7 / 8)
    return document[: 4 + round((longest - 4) * rng.random() ** (1 / skew))]


def one_mask_missing(text, start, stop, block_size):
    return (text[:start] + MASK + text[stop:] + text[start:stop]).ljust(block_size, PAD)


def pads_missing(text, start, stop, block_size):
    return text[:start] + MASK + text[stop:] + MASK + text[start:stop]


def pads_counted_wrong(text, start, stop, block_size):
    return pads_missing(text, start, stop, block_size) + PAD * (block_size - len(text))


def masks_in_the_wrong_order(text, start, stop, block_size):
    return (text[:start] + MASK + text[start:stop] + MASK + text[stop:]).ljust(block_size, PAD)


def step_without(what):
    def step(model, optimizer, x, y):
        if what != "train":
            model.train()
        loss = model(x, y)[1]
        if what != "zero":
            optimizer.zero_grad()
        loss.backward()
        if what != "clip":
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return step


def load_without_map_location(model, path):
    model.load_state_dict(torch.load(path, weights_only=True))
    return model


def load_code_and_all(model, path):
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=False))
    return model


def load_and_forget(model, path):
    torch.load(path, map_location="cpu", weights_only=True)
    return model


def accuracy_in_training_mode(model, write, questions):
    with torch.no_grad():
        answers = [answer_by_partition(write(model, q.text + MASK)) for q in questions]
    return 100 * sum(a == q.place for a, q in zip(answers, questions, strict=True)) / len(questions)


def accuracy_with(ending="", gradients=False, back=True):
    def accuracy(model, write, questions):
        model.eval()
        with torch.set_grad_enabled(gradients):
            answers = [answer_by_partition(write(model, q.text + MASK)) for q in questions]
        model.train(back)
        right = sum(a == q.place + ending for a, q in zip(answers, questions, strict=True))
        return 100 * right / len(questions)

    return accuracy


WRONG = [
    ("build_vocabulary", lambda t: {c: i for i, c in enumerate([PAD, MASK, *({*t} - {PAD})])}, "no fixed"),
    ("build_vocabulary", lambda t: {c: i for i, c in enumerate(dict.fromkeys(PAD + MASK + t))}, "are met"),
    ("build_vocabulary", lambda t: {c: i for i, c in enumerate(sorted({*t, PAD, MASK}))}, "□ has the id 0"),
    ("build_vocabulary", lambda t: {c: i for i, c in enumerate(sorted(set(t)))}, "one entry for each"),
    ("london_percent", lambda train, dev: london_by_hand(train, train), "the score on train"),
    ("london_percent", lambda train, dev: london_by_hand(dev, dev), "choosing the place on dev"),
    ("london_percent", lambda t, dev: 100 * sum(q.place == "London" for q in dev) / len(dev), "on train"),
    ("count_correct", lambda p, q: sum(a == b.place + "\n" for a, b in zip(p, q, strict=True)), "a newline"),
    ("training_step", step_without("zero"), "not zeroed"),
    ("training_step", step_without("clip"), "not clipped"),
    ("training_step", step_without("train"), "evaluation mode"),
    ("truncate", crashing_on_short_ones, "ValueError in line"),
    ("truncate", rounding, "far too rare"),
    ("truncate", lambda d, b, rng, skew=1.0: d[: 4 + int((112 - 3) * rng.random() ** (1 / skew))], "outside"),
    ("choose_span", span_maybe_empty, "empty"),
    ("choose_span", lambda n, rng: at_the_start(n, rng), "begins at the same place"),
    ("choose_span", of_one_length, "the same length"),
    ("rearrange", one_mask_missing, "1 mask"),
    ("rearrange", pads_missing, "not padded"),
    ("rearrange", pads_counted_wrong, "not padded"),
    ("rearrange", masks_in_the_wrong_order, "the span stands in the middle"),
    ("split_xy", lambda row: (row, row), "the same"),
    ("corrupt_span", by_the_drawn_length, "goes by the length that was drawn"),
    ("corrupt_span", corrupt_with(at_the_start), "begins at the same place"),
    ("corrupt_span", corrupt_with(of_one_length), "the same length"),
    ("corrupt_span", corrupt_with(span_maybe_empty), "empty"),
    ("corrupt_span", corrupt_with(truncate=rounding), "far too rare"),
    ("corrupt_span", corrupt_with(rearrange=one_mask_missing), "two masks"),
    ("corrupt_span", corrupt_with(rearrange=pads_missing), "32 long"),
    ("corrupt_span", corrupt_with(truncate=crashing_on_short_ones), "ValueError in line"),
    ("rate_factor", lambda t, w, f: t / w if t < w else (1 + np.cos(np.pi * (t - w) / (f - w))) / 2, "floor"),
    ("rate_factor", lambda t, w, f: t / w if t < w else max(
        0.1, 0.5 * (1 + math.cos(math.pi * min(1, (t - w) / (f - w))))), "does not clamp"),
    ("final_tokens", lambda documents, questions, block: 200 * questions * block, "goes by the questions"),
    ("decayed", lambda model: {n for n, _ in model.named_parameters() if n.endswith("weight")}, "LayerNorm"),
    ("decayed", lambda model: [n for n, p in model.named_parameters() if p.dim() >= 2], "an embedding"),
    ("decayed", lambda m: {n for n, _ in m.named_parameters() if "ln" not in n and "emb" not in n}, "a bias"),
    ("load_pretrained", load_without_map_location, "written on a GPU"),
    ("load_pretrained", load_code_and_all, "code in the file was run"),
    ("load_pretrained", load_and_forget, "still the fresh ones"),
    ("clean_names", lambda state: {n.replace("module.", ""): t for n, t in state.items()}, "a part of it"),
    ("clean_names", lambda state: state, "still begin with"),
    ("clean_names", lambda state: {n[7:]: t for n, t in state.items()}, "where nothing has the prefix"),
    ("dev_accuracy", accuracy_in_training_mode, "left in training mode"),
    ("dev_accuracy", accuracy_with(ending="\n"), "without a newline"),
    ("dev_accuracy", accuracy_with(gradients=True), "gradients are kept"),
    ("dev_accuracy", accuracy_with(back=False), "is left in evaluation mode"),
]  # fmt: skip
