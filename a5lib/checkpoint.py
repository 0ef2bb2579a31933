"""Parameters in and out, and the full state of a training run. All writes are atomic.

``NAME.params``        a plain state dict with the handout's names
``NAME.params.json``   what made it: variant, shape, characters, recipe, seed
``NAME.params.state/`` the state of a run that is under way; gone when the run has ended

Loading never runs code from a file: ``weights_only=True``. Knows nothing about how a model is trained.
"""

import os
import pickle
import shutil
import warnings
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from a5lib.errors import InputError
from a5lib.files import atomic_path, read_json, write_json
from a5lib.model import GPT, GPTConfig, Parts, build_model
from a5lib.vocab import CharVocab

State = dict[str, torch.Tensor]
HANDOUT_HEADS = 8  # the tensors do not tell how many heads there are, except a rope's
ROPE_CACHE = "blocks.0.attn.rope_cache"
DERIVED = (".mask", ".rope_cache")  # ends of the names of what is computed from the shape, not learned


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
        with warnings.catch_warnings(action="ignore"):  # about pickles that are refused right after
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        what = "no parameters file, or one with code in it; it was not loaded"
        raise InputError(f"{path}: {what}; write it with torch.save(model.state_dict(), …)") from None
    except Exception:  # a damaged file can lead the reader into any error
        raise InputError(f"{path}: damaged, or no parameters file; make or copy it again") from None


def info_path(path: str | Path) -> Path:
    """`vanilla.model.params` -> `vanilla.model.params.json`."""
    return Path(f"{path}.json")


def save_params(model: GPT, path: str | Path, /, **info: Any) -> None:
    """Write a model's state dict, and beside it a JSON file with its shape and `info`."""
    with atomic_path(path) as temporary:
        _torch_save({name: tensor.cpu() for name, tensor in model.state_dict().items()}, temporary)
    write_json(info_path(path), {"config": asdict(model.config), **info})


def load_state(path: str | Path) -> State:
    """The state dict of a `.params` file, ours or another program's (`module.` prefixes are dropped).

    Raises:
        InputError: as `torch_load`; or what it holds is no state dict.
    """
    state = torch_load(path)
    named = isinstance(state, dict) and all(isinstance(name, str) for name in state)
    if not named or not state or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise InputError(f"{path}: holds no state dict (names and tensors)")
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


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
    if not info_path(path).is_file():
        return config_of_state(state, path)
    try:
        known = {field.name for field in fields(GPTConfig)}
        return GPTConfig(**{k: v for k, v in read_json(info_path(path))["config"].items() if k in known})
    except (KeyError, TypeError, AttributeError):
        raise InputError(
            f"{info_path(path)}: does not describe a model; remove it to go by the tensors"
        ) from None


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
    model = build_model(variant, config, parts=parts)
    fill(model, state, path)
    return model.eval()


def _expect_vocabulary(path: str | Path, config: GPTConfig, vocab: CharVocab) -> None:
    if config.vocab_size != len(vocab):
        has = f"knows {config.vocab_size} characters, the corpus has {len(vocab)}"
        raise InputError(f"{path}: {has}; give the corpus it was trained on")
    # As many characters, yet others: the model would run, and answer in the wrong letters.
    known = read_json(info_path(path)).get("characters") if info_path(path).is_file() else None
    if known and known != "".join(vocab.characters):
        odd = min(set(known) ^ set(vocab.characters))
        raise InputError(f"{path}: learned other characters ({odd!r}); give the corpus it was trained on")


def fill(model: GPT, state: State, path: str | Path) -> None:
    """Copy a state dict into a model. What is derived, not learned, a file may lack.

    Raises:
        InputError: tensors that are missing, too many, or of another shape, the first of them named.
    """
    own = model.state_dict()
    derived = {name for name in own if name.endswith(DERIVED)}
    for name in sorted((own.keys() - derived) ^ {n for n in state if not n.endswith(DERIVED)}):
        raise InputError(f"{path}: {name} is {'missing' if name in own else 'not part of this model'}")
    for name, tensor in state.items():
        if name in own and own[name].shape != tensor.shape:
            shapes = f"{tuple(tensor.shape)}, the model's is {tuple(own[name].shape)}"
            raise InputError(f"{path}: {name} has shape {shapes}; it was made for another size")
    model.load_state_dict({**own, **{n: t for n, t in state.items() if n not in derived}})


# The state of a run that is under way.


def state_folder(path: str | Path) -> Path:
    """Where the run that will write `path` keeps its state."""
    return Path(f"{path}.state")


def save_run(path: str | Path, made_from: dict, trainer_state: dict) -> None:
    """Write the full state of the run that will end in the parameters file `path`."""
    with atomic_path(state_folder(path) / "latest.pt") as temporary:
        _torch_save({"made_from": made_from, "trainer": trainer_state}, temporary)


def load_run(path: str | Path, made_from: dict) -> dict | None:
    """The trainer state that `save_run` wrote, or None where there is none.

    Raises:
        InputError: the state is damaged, or of a run with other settings or data (the first is named).
    """
    file = state_folder(path) / "latest.pt"
    if not file.is_file():
        return None
    saved = torch_load(file)
    if not isinstance(saved, dict) or saved.keys() != {"made_from", "trainer"}:
        raise InputError(f"{file}: is no state of a run; remove {file.parent} to begin anew")
    now, then = _flat(made_from), _flat(saved["made_from"])
    for name in sorted(now.keys() | then.keys()):
        if now.get(name) != then.get(name):
            raise InputError(
                f"{file}: was saved with {name} = {then.get(name)!r}, this run has {now.get(name)!r}; "
                "repeat the first command, or begin anew with --resume never"
            )
    return saved["trainer"]


def _flat(settings: dict, prefix: str = "") -> dict[str, Any]:
    """Nested settings in one dict, named like `training.lr`."""
    flat = {}
    for name, value in settings.items():
        nested = isinstance(value, dict)
        flat.update(_flat(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value})
    return flat


def remove_run(path: str | Path) -> None:
    """Remove a run's state, after its end."""
    shutil.rmtree(state_folder(path), ignore_errors=True)
