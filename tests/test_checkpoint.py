"""Files: written whole or not at all, read without running anything, and refused with a reason."""

import json
import os
import pickle
import stat
import zipfile

import pytest
import torch
from conftest import tiny_model

from a5lib.checkpoint import info_path, load_model, load_state, save_params
from a5lib.errors import InputError
from a5lib.files import atomic_path, read_json, require_writable, write_json, write_text
from a5lib.model import VARIANTS
from a5lib.vocab import CharVocab

VOCAB = CharVocab("abcdefghi")  # 11 with □ and ⁇, as many as tiny_model knows


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.params"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(path):
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old" and os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("write failed")])
def test_a_full_disk_is_one_clear_line(path, monkeypatch, error):
    """torch reports a full disk as a RuntimeError of its own."""
    save_params(tiny_model(seed=1), path)
    before = path.read_bytes()

    def fail(value, file):
        file.write(b"half")
        raise error

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(InputError, match=r"model\.params.*cannot be written .* free some space"):
        save_params(tiny_model(), path)
    assert path.read_bytes() == before
    assert not any(p.name.startswith(".") for p in path.parent.rglob("*"))


def test_the_same_weights_are_the_same_bytes_whatever_the_name(path):
    save_params(tiny_model(), path)
    save_params(tiny_model(), path.parent / "another.name")
    assert path.read_bytes() == (path.parent / "another.name").read_bytes()


def test_written_files_have_the_permissions_of_any_other(path):
    """mkstemp's files are private: a grader could not read them."""
    before = os.umask(0o022)
    try:
        save_params(tiny_model(), path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("variant", VARIANTS)
def test_saved_and_loaded_is_the_same_model(variant, path):
    model = tiny_model(variant, std=0.5)
    save_params(model, path, characters="".join(VOCAB.characters), seed=3)
    loaded = load_model(variant, path, VOCAB, model.config.bottleneck_dim)
    assert loaded.config == model.config and not loaded.training
    own, read = model.state_dict(), loaded.state_dict()
    assert all(torch.equal(own[name], read[name]) for name in own)
    info = json.loads(info_path(path).read_text())
    assert info["seed"] == 3 and info["config"]["n_head"] == 2


def test_other_programs_files_load(path):
    """`module.` before each name (DataParallel), no masks, no JSON: 8 heads are assumed."""
    model = tiny_model("perceiver", std=0.5, n_head=8)
    state = {f"module.{n}": t for n, t in model.state_dict().items() if not n.endswith("mask")}
    torch.save(state, path)
    loaded = load_model("perceiver", path)
    assert loaded.config.n_head == 8
    x = torch.arange(2, 11)[None]
    assert torch.equal(loaded(x)[0], model(x)[0])


def test_perceiver_ar_is_told_from_vanilla_by_its_inner_masks(path):
    model = tiny_model("perceiver_ar", std=0.5, n_head=8)
    torch.save(model.state_dict(), path)  # no JSON
    assert load_model("perceiver_ar", path).config.bottleneck_dim == 5
    with pytest.raises(InputError, match="holds a perceiver_ar model, not a vanilla"):
        load_model("vanilla", path)


class Evil:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("raw", [True, False])
def test_a_pickle_with_code_is_refused_and_not_run(path, raw):
    marker = path.parent / "it_ran"
    content = {"tok_emb.weight": Evil(marker)}
    if raw:
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path)
    with pytest.raises(InputError, match="code in it; it was not loaded"):
        load_model("vanilla", path)
    assert not marker.exists()


def contents():
    good = pickle.dumps({"a": 1})
    yield from (b"", b"Where was ...\n", b"PK\x03\x04" + bytes(50), good[:5], bytes(range(256)))
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        yield bytes(torch.randint(256, (64,), generator=generator).tolist())


def test_damaged_files_are_input_errors_whatever_is_in_them(path):
    """torch raises anything at all for them: IndexError, struct.error, RuntimeError."""
    save_params(tiny_model(), path)
    whole = path.read_bytes()
    for content in (*contents(), whole[: len(whole) // 2], whole[:-30], whole[100:]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"model\.params: (damaged|no parameters file)"):
            load_state(path)


@pytest.mark.parametrize(
    "value", [{}, [1], {"a": 1}, {1: torch.zeros(1)}, torch.zeros(2), {"a": torch.zeros(1)}]
)
def test_what_is_no_model_is_refused(path, value):
    torch.save(value, path)
    with pytest.raises(InputError, match=r"holds no state dict|not those of this course"):
        load_model("vanilla", path)


@pytest.mark.parametrize(
    ("variant", "expected", "says"),
    [
        ("vanilla", {}, "holds a perceiver model, not a vanilla"),
        ("perceiver", {"bottleneck_dim": 6}, "has 5 latents, --bottleneck_dim asks for 6"),
        ("perceiver", {"vocab": CharVocab("abcdefghijk")}, "knows 11 characters, the corpus has 13"),
        ("perceiver", {"vocab": CharVocab("abcdefghz")}, "learned other characters .'i'"),
    ],
)
def test_another_model_than_expected_is_refused(path, variant, expected, says):
    """Also as many characters, but others: it would answer, in the wrong letters."""
    save_params(tiny_model("perceiver"), path, characters="".join(VOCAB.characters))
    with pytest.raises(InputError, match=says):
        load_model(variant, path, **expected)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s.pop("ln_f.bias"), "ln_f.bias is missing"),
        (lambda s: s.update(extra=torch.zeros(1)), "extra is not part"),
        (lambda s: s.update(pos_emb=torch.zeros(1, 9, 8)), "pos_emb has shape .* another size"),
        (lambda s: s.update({"blocks.0.attn.mask": torch.zeros(1, 1, 3, 3)}), "attn.mask has shape"),
    ],
)
def test_tensors_that_do_not_fit_are_named(path, change, says):
    model = tiny_model()
    save_params(model, path)
    state = dict(model.state_dict())
    change(state)
    torch.save(state, path)
    with pytest.raises(InputError, match=says):
        load_model("vanilla", path)


def test_without_the_json_channels_must_fit_8_heads(path):
    torch.save(tiny_model(n_embd=12).state_dict(), path)
    with pytest.raises(
        InputError, match=r"12 channels .* 8 heads; put the file model\.params\.json beside it"
    ):
        load_model("vanilla", path)


@pytest.mark.parametrize("text", ["", "[]", '{"config": {"n_layer": 2}}', '{"config": {"n_layer": "x"}}'])
def test_a_damaged_json_is_refused(path, text):
    save_params(tiny_model(), path)
    info_path(path).write_text(text)
    with pytest.raises(InputError, match=r"model\.params\.json.*remove it"):
        load_model("vanilla", path)


def test_a_flipped_bit_in_the_weights_is_found(path):
    """torch compares no checksums: it would load the wrong weight without a word."""
    save_params(tiny_model(std=0.5), path)
    whole, weight = path.read_bytes(), tiny_model(std=0.5).state_dict()["head.weight"].numpy().tobytes()
    at = whole.index(weight) + 3
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    assert torch.load(path, weights_only=True)["head.weight"].shape == (11, 8)
    with pytest.raises(InputError, match=r"model\.params: damaged"):
        load_state(path)


def test_a_packed_file_is_not_unpacked(path):
    """A thousand megabytes of zeros pack into one; what torch writes is never packed."""
    save_params(tiny_model(), path)
    with (
        zipfile.ZipFile(path) as whole,
        zipfile.ZipFile(path.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for name in whole.namelist():
            bomb.writestr(name, whole.read(name))
    with pytest.raises(InputError, match="damaged, or no parameters file"):
        load_state(path.with_suffix(".zip"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"n_embd": 10**6}, r"has shape .*, the model's is .*1000000\); it was made for another size"),
        ({"n_embd": 2**62, "n_head": 1}, "larger than any machine's memory; remove model.params.json"),
        ({"n_layer": 10**9}, "said to have 1000000000 layers"),
        ({"vocab_size": 10**9}, "tok_emb.weight has shape"),
        ({"block_size": 10**9}, "pos_emb has shape"),
        ({"n_embd": 8.0}, "model.params.json: does not describe a model"),
        ({"dropout": float("nan")}, "model.params.json: dropout nan: must be"),
        ({"n_head": True}, "model.params.json: does not describe a model"),
    ],
)
def test_a_size_that_the_tensors_do_not_have_takes_no_memory(path, change, says):
    save_params(tiny_model(), path)
    info = json.loads(info_path(path).read_text())
    write_json(info_path(path), {**info, "config": info["config"] | change})
    with pytest.raises(InputError, match=says):
        load_model("vanilla", path)


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        (torch.ones(1).expand(10**6, 10**6), "claims to be larger than what the file holds"),
        (torch.full((11, 8), float("nan")), "tok_emb.weight holds numbers that are not finite"),
        (torch.ones(11, 8, dtype=torch.int64), "no plain tensor of floating-point numbers"),
        (torch.ones(11, 8).to_sparse(), "no plain tensor of floating-point numbers"),
        (torch.empty(11, 8, device="meta"), "no plain tensor of floating-point numbers"),
    ],
    ids=["expanded", "nan", "integers", "sparse", "meta"],
)
def test_tensors_that_are_no_weights_are_refused(path, tensor, says):
    save_params(tiny_model(), path)
    torch.save({**tiny_model().state_dict(), "tok_emb.weight": tensor}, path)
    with pytest.raises(InputError, match=says):
        load_model("vanilla", path)


def test_require_writable_checks_and_makes_nothing(tmp_path):
    plain = tmp_path / "plain"
    plain.touch()
    for bad in (tmp_path, plain / "x", plain / "deep" / "x", tmp_path / ("x" * 300)):
        with pytest.raises(InputError, match=r"is a folder|cannot be written"):
            require_writable(bad)
    require_writable(tmp_path / "new" / "deep" / "x")
    assert os.listdir(tmp_path) == ["plain"]
    write_json(tmp_path / "new" / "deep" / "x", {"é": 1})
    assert read_json(tmp_path / "new" / "deep" / "x") == {"é": 1}
