"""Parameters in and out. All writes are atomic.

``NAME.params``        a plain state dict with the handout's names
``NAME.params.json``   what made it: variant, shape, characters, recipe, seed

A file is taken for hostile until it is read. Loading never runs code from it (``weights_only=True``), never
believes a size that its bytes do not bear out, and compares the checksums, which torch does not.
Knows nothing about how a model is trained.
"""

import os
import pickle
import warnings
import zipfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from a5lib.errors import InputError, located
from a5lib.files import atomic_path, read_object, write_json
from a5lib.model import GPT, GPTConfig, Parts, build_model
from a5lib.vocab import CharVocab

State = dict[str, torch.Tensor]
HANDOUT_HEADS = 8  # the tensors do not tell how many heads there are, except a rope's
ROPE_CACHE = "blocks.0.attn.rope_cache"
DERIVED = (".mask", ".rope_cache")  # ends of the names of what is computed from the shape, not learned
FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
MOST_DERIVED = 2**26  # elements of masks that a file need not hold; the handout's shape has 65,536


def _torch_save(value: Any, path: Path) -> None:
    # Given a path, torch writes its name into the archive: the same weights would differ in their bytes.
    # Given a file on a full disk, it raises a RuntimeError of its own.
    with path.open("wb") as file:
        try:
            torch.save(value, file)
        except RuntimeError as error:
            raise OSError(0, str(error)) from error


def torch_load(path: str | Path) -> Any:
    """What `torch.save` wrote, onto the CPU, tensors and plain values only.

    Raises:
        InputError: missing, damaged, or a pickle that holds more than tensors and plain values.
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file; train it first, or check the name")
    try:
        _expect_whole(path)
        with warnings.catch_warnings(action="ignore"):  # about pickles that are refused right after
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        what = "no parameters file, or one with code in it; it was not loaded"
        raise InputError(f"{path}: {what}; write it with torch.save(model.state_dict(), …)") from None
    except Exception:  # a damaged file can lead the reader into any error
        raise InputError(f"{path}: damaged, or no parameters file; make or copy it again") from None


def _expect_whole(path: Path) -> None:
    """torch compares no checksums: it would load flipped bits as weights. Nor does it ever pack a file."""
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            return  # no archive: torch's old format, or nothing of torch's
    with zipfile.ZipFile(path) as archive:
        packed = any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist())
        if packed or archive.testzip():
            raise zipfile.BadZipFile


def info_path(path: str | Path) -> Path:
    """`vanilla.model.params` -> `vanilla.model.params.json`."""
    return Path(f"{path}.json")


def save_params(model: GPT, path: str | Path, /, **info: Any) -> None:
    """Write a model's state dict, and beside it a JSON file with its shape and `info`."""
    # The JSON first: a process killed in between leaves no parameters without it.
    write_json(info_path(path), {"config": asdict(model.config), **info})
    with atomic_path(path) as temporary:
        _torch_save({name: tensor.cpu() for name, tensor in model.state_dict().items()}, temporary)


def load_state(path: str | Path) -> State:
    """The state dict of a `.params` file, ours or another program's (`module.` prefixes are dropped).

    Raises:
        InputError: as `torch_load`; or what it holds is no state dict.
    """
    state = torch_load(path)
    named = isinstance(state, dict) and all(isinstance(name, str) for name in state)
    if not named or not state or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise InputError(f"{path}: holds no state dict (names and tensors)")
    for name, tensor in state.items():
        _expect_plain(tensor, f"{path}: {name[:60]!r}")
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def _expect_plain(tensor: torch.Tensor, what: str) -> None:
    """Numbers that stand in the file one by one: a view can claim a thousand times what it holds."""
    plain = tensor.dtype in FLOATS and tensor.layout == torch.strided and tensor.device.type == "cpu"
    if not plain or tensor.is_nested:
        raise InputError(f"{what} is no plain tensor of floating-point numbers; save the model's state dict")
    if tensor.nbytes > tensor.untyped_storage().nbytes():
        raise InputError(f"{what} claims to be larger than what the file holds; do not trust this file")


def config_of_state(state: State, path: str | Path) -> GPTConfig:
    """The shape of a model from its tensors alone, with the handout's 8 heads (a rope's cache tells its own).

    Raises:
        InputError: the tensors are not those of a GPT of this course.
    """
    try:
        vocab_size, n_embd = state["tok_emb.weight"].shape
        rope = state.get(ROPE_CACHE)
        block_size = state["pos_emb"].shape[1] if rope is None else rope.shape[0]
        n_head = HANDOUT_HEADS if rope is None else n_embd // (2 * rope.shape[1])
        bottleneck_dim = _bottleneck_of(state, block_size)
        n_blocks = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
    except (KeyError, IndexError, ValueError, ZeroDivisionError):
        raise InputError(f"{path}: its tensors are not those of this course's models") from None
    if n_head < 1 or n_embd % n_head:
        what = f"{n_embd} channels do not divide into the handout's {HANDOUT_HEADS} heads"
        raise InputError(f"{path}: {what}; put the file {info_path(path).name} beside it")
    n_layer = n_blocks + 2 if "down_block.C" in state else n_blocks
    with located(str(path)):
        return GPTConfig(vocab_size, block_size, n_layer, n_head, n_embd, bottleneck_dim)


def _bottleneck_of(state: State, block_size: int) -> int | None:
    """A perceiver's basis has a row for each latent; perceiver_ar shows them in its inner masks only."""
    if "down_block.C" in state:
        return state["down_block.C"].shape[1]
    inner = state.get("blocks.1.attn.mask")
    return None if inner is None or inner.shape[-1] == block_size else inner.shape[-1]


def _variant_of(state: State, config: GPTConfig) -> str:
    if "down_block.C" in state:
        return "perceiver"
    if "pos_emb" not in state:
        return "rope"
    if "blocks.0.attn.w2" in state:
        return "synthesizer"
    return "vanilla" if config.bottleneck_dim is None else "perceiver_ar"


def config_of_params(path: str | Path, state: State) -> GPTConfig:
    """The shape of the model in a `.params` file: from the JSON beside it, else from the tensors.

    Raises:
        InputError: the JSON is damaged.
    """
    file = info_path(path)
    if not file.is_file():
        return config_of_state(state, path)
    described = read_object(file, config=dict)["config"]
    try:
        shape = {f.name: described[f.name] for f in fields(GPTConfig) if f.name in described}
        whole = all(type(value) is int for name, value in shape.items() if name != "dropout" and value)
        with located(str(file)):
            config = GPTConfig(**shape) if whole else None
    except (KeyError, TypeError):
        config = None
    if config is None:
        raise InputError(f"{file}: does not describe a model; remove it to go by the tensors")
    return config


def load_model(
    variant: str,
    path: str | Path,
    vocab: CharVocab | None = None,
    bottleneck_dim: int | None = None,
    parts: Parts | None = None,
) -> GPT:
    """The model that a `.params` file holds, in evaluation mode.

    Args:
        vocab, bottleneck_dim: what the caller expects; None takes the file's.

    Raises:
        InputError: as `load_state`; another variant, vocabulary, bottleneck or shape than expected.
    """
    state = load_state(path)
    config = config_of_params(path, state)
    found = _variant_of(state, config)
    if variant != found:
        raise InputError(f"{path}: holds a {found} model, not a {variant}")
    if vocab is not None:
        _expect_vocabulary(path, config, vocab)
    if bottleneck_dim is not None and config.bottleneck_dim not in (None, bottleneck_dim):
        has = f"has {config.bottleneck_dim} latents, --bottleneck_dim asks for {bottleneck_dim}"
        raise InputError(f"{path}: {has}; give the number it was made with")
    if parts is None:
        _expect_size(variant, config, state, path)
    model = build_model(variant, config, parts=parts)
    fill(model, state, path)
    return model.eval()


def _expect_size(variant: str, config: GPTConfig, state: State, path: str | Path) -> None:
    """Compare a shape with the tensors before any memory is taken for it."""
    if config.n_layer > len(state):
        raise InputError(f"{path}: said to have {config.n_layer} layers; its tensors are fewer than that")
    try:
        with torch.device("meta"):  # has shapes and no numbers
            skeleton = build_model(variant, config)
    except RuntimeError:  # more elements than can be counted
        what = "said to be larger than any machine's memory"
        raise InputError(f"{path}: {what}; remove {info_path(path).name}") from None
    _expect_tensors(skeleton, state, path)
    if sum(t.numel() for name, t in skeleton.state_dict().items() if name not in state) > MOST_DERIVED:
        raise InputError(f"{path}: its masks are missing, and too large to be made anew")


def _expect_vocabulary(path: str | Path, config: GPTConfig, vocab: CharVocab) -> None:
    if config.vocab_size != len(vocab):
        has = f"knows {config.vocab_size} characters, the corpus has {len(vocab)}"
        raise InputError(f"{path}: {has}; give the corpus it was trained on")
    # As many characters, yet others: the model would run, and answer in the wrong letters.
    file = info_path(path)
    known = read_object(file).get("characters") if file.is_file() else None
    if known and known != "".join(vocab.characters):
        odd = min(set(str(known)) ^ set(vocab.characters), default="another order")
        raise InputError(f"{path}: learned other characters ({odd!r}); give the corpus it was trained on")


def fill(model: GPT, state: State, path: str | Path) -> None:
    """Copy a state dict into a model. What is derived, not learned, a file may lack.

    Raises:
        InputError: tensors that are missing, too many, or of another shape, the first of them named; or
            numbers that are not finite.
    """
    derived = _expect_tensors(model, state, path)
    learned = {name: tensor for name, tensor in state.items() if name not in derived}
    for name, tensor in learned.items():
        if not tensor.isfinite().all():
            raise InputError(f"{path}: {name} holds numbers that are not finite; train it again")
    model.load_state_dict({**model.state_dict(), **learned})


def _expect_tensors(model: GPT, state: State, path: str | Path) -> set[str]:
    """The state dict has the model's names and shapes; returns the names that it may lack."""
    own = model.state_dict()
    derived = {name for name in own if name.endswith(DERIVED)}
    for name in sorted((own.keys() - derived) ^ {n for n in state if not n.endswith(DERIVED)}):
        is_own = name in own
        raise InputError(f"{path}: {name[:60]} is {'missing' if is_own else 'not part of this model'}")
    for name, tensor in state.items():
        if name in own and own[name].shape != tensor.shape:
            shapes = f"{tuple(tensor.shape)}, the model's is {tuple(own[name].shape)}"
            raise InputError(f"{path}: {name} has shape {shapes}; it was made for another size")
    return derived
