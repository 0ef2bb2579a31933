"""The variants of other years: each sees the past and only that, and each does what its paper says."""

from dataclasses import replace

import pytest
import torch
from conftest import tiny_model
from torch.testing import assert_close

from a5lib.attention import CausalSelfAttention, causal_mask
from a5lib.checkpoint import load_model
from a5lib.errors import InputError
from a5lib.model import VARIANTS, GPTConfig, build_model
from a5lib.optim import parameter_groups
from a5lib.run import main
from a5lib.variants import RotaryAttention, SynthesizerAttention, rotary_angles, rotate

OTHERS = ("rope", "synthesizer")
CONFIG = GPTConfig(11, block_size=16, n_head=2, n_embd=8, dropout=0.0)


def ids(B, T, seed=0):
    return torch.randint(2, 11, (B, T), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("T", [2, 5, 9, 16])
def test_no_variant_looks_ahead(variant, T):
    """Each input is changed in turn: no logit before it moves. (perceiver_ar has logits for the last 5.)"""
    model, x = tiny_model(variant, std=0.5, seed=3), ids(1, T)
    before = model(x)[0][0]
    first = T - len(before)
    moved = 0
    for t in range(T):
        changed = x.clone()
        changed[0, t] = 2 + (x[0, t] - 1) % 9
        after = model(changed)[0][0]
        cut = max(0, t - first)
        assert_close(after[:cut], before[:cut], rtol=0, atol=1e-5)
        moved += not torch.equal(after[cut:], before[cut:])
    assert moved == T, "every input is seen by somebody: the test is one"


@pytest.mark.parametrize("variant", OTHERS)
def test_dependencies_are_the_causal_triangle(variant):
    """By gradients, exactly. In a full block the synthesizer's last key has no score, but x_t is its own."""
    model, seen = tiny_model(variant, std=0.5), []
    model.tok_emb.register_forward_hook(lambda _, __, out: seen.append(out))
    logits = model(ids(1, 16))[0][0]
    rows = [torch.autograd.grad(row.square().sum(), seen[0], retain_graph=True)[0][0] for row in logits]
    assert torch.equal((torch.stack(rows) != 0).any(dim=-1), causal_mask(16))


def test_rotating_is_multiplying_complex_numbers():
    x = torch.randn(3, 2, 7, 6, dtype=torch.double)
    angles = rotary_angles(7, 6).double()
    turned = torch.view_as_complex(x.unflatten(-1, (3, 2))) * torch.polar(torch.ones_like(angles), angles)
    assert_close(rotate(x, angles.cos(), angles.sin()), torch.view_as_real(turned).flatten(-2))
    assert torch.equal(rotate(x, angles.cos(), angles.sin())[:, :, 0], x[:, :, 0]), "position 0 stays"


def test_the_angles_by_hand():
    angles = rotary_angles(3, 4)
    assert_close(angles, torch.tensor([[0, 0], [1, 0.01], [2, 0.02]]))
    with pytest.raises(InputError, match="head of 3 channels"):
        rotary_angles(3, 3)
    with pytest.raises(InputError, match="must be even"):
        build_model("rope", GPTConfig(11, n_embd=9, n_head=3))


def test_rotary_scores_depend_on_the_distance_alone():
    """The same query and key, equally far apart anywhere in the block: one score."""
    layer = RotaryAttention(CONFIG).double()
    q, k = torch.randn(2, 1, 1, 16, 4, dtype=torch.double)[:, :, :, :1].expand(-1, -1, -1, 16, -1)
    scores = (layer.placed(q, None) @ layer.placed(k, None).mT)[0, 0]  # (16, 16)
    for distance in range(-15, 16):
        diagonal = scores.diagonal(-distance)
        assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=1e-5, atol=1e-6)
    assert scores[:, 0].std() > 0.01


def test_rotary_attention_without_angles_is_plain_attention():
    rotary, plain = RotaryAttention(CONFIG), CausalSelfAttention(CONFIG)
    plain.load_state_dict({n: t for n, t in rotary.state_dict().items() if n != "rope_cache"})
    x = torch.randn(2, 9, 8)
    assert not torch.allclose(rotary(x), plain(x), atol=1e-4)
    rotary.rope_cache[..., 0], rotary.rope_cache[..., 1] = 1, 0
    assert torch.equal(rotary(x), plain(x))


def test_a_synthesizer_by_the_equation():
    """relu(x A1 + b1) A2 + b2, head by head and position by position, in loops."""
    torch.manual_seed(0)
    layer = SynthesizerAttention(CONFIG)
    x = torch.randn(1, 5, 8)
    hidden, values = layer.w1(x)[0].relu(), layer.value(x)[0]
    rows = torch.zeros(5, 8)
    for head in (slice(0, 4), slice(4, 8)):
        for t in range(5):
            scores = [hidden[t, head] @ layer.w2[:, j] + layer.b2[j] for j in range(t + 1)]
            for weight, value in zip(torch.stack(scores).softmax(dim=0), values, strict=False):
                rows[t, head] += weight * value[head]
    assert_close(layer(x)[0], layer.proj(rows))


def test_a_synthesizers_weights_do_not_depend_on_what_is_read():
    """Two inputs change places: the output of a later position is what the same weights make of them."""
    layer = SynthesizerAttention(CONFIG).double()
    layer.w2.data.normal_()
    x = torch.randn(1, 6, 8, dtype=torch.double)
    constant = x.clone()
    constant[0, :3] = x[0, :3].mean(dim=0)
    rolled = x[:, [1, 2, 0, 3, 4, 5]], x[:, [2, 0, 1, 3, 4, 5]]
    mean = (layer(x) + sum(map(layer, rolled))) / 3  # of the three orders, each input once at each place
    assert_close(mean[0, 3:], layer(constant)[0, 3:])  # linear in what is read: the weights stayed


@pytest.mark.parametrize("variant", OTHERS)
def test_files_without_a_description_are_told_by_their_tensors(variant, tmp_path):
    model, path = tiny_model(variant, std=0.5, n_head=2 if variant == "rope" else 8), tmp_path / "x.params"
    torch.save(model.state_dict(), path)
    loaded = load_model(variant, path)
    assert replace(loaded.config, dropout=0.0) == model.config
    assert torch.equal(loaded(ids(2, 9))[0], model(ids(2, 9))[0])
    with pytest.raises(InputError, match=f"holds a {variant} model, not a vanilla"):
        load_model("vanilla", path)
    vanilla = tmp_path / "vanilla.params"
    torch.save(tiny_model(n_head=8).state_dict(), vanilla)
    with pytest.raises(InputError, match=f"holds a vanilla model, not a {variant}"):
        load_model(variant, vanilla)


@pytest.mark.parametrize("variant", OTHERS)
def test_the_same_commands(variant, corpus_folder, capsys):
    for command in (
        f"pretrain {variant} wiki.txt --writing_params_path p",
        f"finetune {variant} wiki.txt --reading_params_path p --writing_params_path f "
        "--finetune_corpus_path birth_places_train.tsv",
        f"evaluate {variant} wiki.txt --reading_params_path f --eval_corpus_path birth_dev.tsv "
        "--outputs_path o",
    ):
        assert main(f"{command} --profile smoke".split()) == 0
    assert len((corpus_folder / "o").read_text().splitlines()) == 3
    assert "out of 3" in capsys.readouterr().out


def test_names_shapes_and_who_trains_what():
    names = {n.removeprefix("blocks.0.attn."): tuple(p.shape)
             for n, p in build_model("synthesizer", GPTConfig(256)).named_parameters()
             if n.startswith("blocks.0.attn.") and not n.endswith("bias")}  # fmt: skip
    assert names == {"w1.weight": (256, 256), "value.weight": (256, 256), "proj.weight": (256, 256),
                     "w2": (32, 127), "b2": (127,)}  # fmt: skip
    rope = build_model("rope", GPTConfig(256))
    assert "pos_emb" not in rope.state_dict() and rope.blocks[0].attn.rope_cache.shape == (128, 16, 2)
    for variant in OTHERS:
        model = build_model(variant, GPTConfig(11, 16, 2, 2, 8))
        assert sum(map(len, parameter_groups(model).values())) == len(list(model.parameters()))
        assert model.config.bottleneck_dim is None and model.cacheable(16)
        model(ids(2, 9), ids(2, 9, seed=1))[1].backward()
        assert all(p.grad is not None and p.grad.any() for p in model.parameters())
