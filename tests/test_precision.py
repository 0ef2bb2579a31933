"""16-bit products: chosen where they pay, near to fp32, and an overflow in fp16 costs a step and no more."""

import math

import pytest
import torch
from conftest import DOCUMENTS, FakeBatches, FakeModel, tiny_model
from torch import nn
from torch.testing import assert_close

from a5lib import precision
from a5lib.batches import CorruptionBatches
from a5lib.dataset import CharCorruptionDataset
from a5lib.errors import InputError
from a5lib.model import VARIANTS
from a5lib.optim import Muon
from a5lib.precision import WORTHWHILE, Precision, choose_precision
from a5lib.trainer import LossNotFinite, TrainConfig, Trainer


@pytest.mark.parametrize(("capability", "chosen"), [((7, 5), "fp16"), ((8, 0), "bf16"), ((9, 0), "bf16")])
def test_a_gpu_takes_bf16_only_where_it_is_no_emulation(monkeypatch, capability, chosen):
    """A T4 is 7.5 and says that bf16 is supported."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert choose_precision("cuda", 64) == choose_precision("cuda:1", 256) == chosen


def test_a_cpu_takes_bf16_for_wide_models_where_it_has_the_instructions(monkeypatch):
    for has in (True, False):
        monkeypatch.setattr(precision, "_cpu_has_bf16", lambda has=has: has)
        assert choose_precision("cpu", WORTHWHILE) == ("bf16" if has else "fp32")
        assert choose_precision("cpu", WORTHWHILE - 1) == "fp32"


def test_a_torch_without_the_question_computes_in_fp32(monkeypatch):
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert not precision._cpu_has_bf16()


def trainer(name, variant="vanilla", **changes):
    dataset = CharCorruptionDataset("\n".join(DOCUMENTS), 32)
    model = tiny_model(variant, vocab_size=len(dataset.vocab), block_size=32, n_embd=32)
    config = TrainConfig(**{"max_epochs": 8, "lr": 3e-3, "muon_lr": 0.01, "precision": name} | changes)
    return Trainer(model, CorruptionBatches(dataset, tokens=100), config)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_every_variant_learns_as_in_fp32(name, variant):
    losses = {}
    for each in ("fp32", name):
        run, seen = trainer(each, variant), []
        run.callbacks = [lambda t, seen=seen: seen.append(t.loss)]
        run.train()
        losses[each] = torch.tensor(seen)
        assert {p.dtype for p in run.model.parameters()} == {torch.float32}
        assert {v.dtype for o in run.optimizers for s in o.state.values() for v in s.values()} == {
            torch.float32
        }
    assert losses["fp32"][-4:].mean() < losses["fp32"][:4].mean() - 0.3
    assert not torch.equal(losses["fp32"], losses[name])
    assert_close(losses[name], losses["fp32"], atol=0.05, rtol=0)


def test_an_overflow_in_fp16_leaves_its_step_out_and_halves_the_scale():
    """The loss is finite; scaled by 65,536 its gradient is not."""
    seen = []
    run = Trainer(FakeModel(), FakeBatches(1.0, 1e35, 1.0), TrainConfig(1, 1e-3, precision="fp16"))
    run.callbacks = [lambda t: seen.append((t.model.w.weight.item(), t.precision.scaler.get_scale()))]
    run.train()
    (first, scale), (second, halved), (third, _) = seen
    assert second == first != third and halved == scale / 2
    assert math.isfinite(third)


def test_an_overflow_in_one_optimizers_gradient_leaves_out_the_step_of_all():
    """The scaler alone would let the other one step."""
    model = nn.ParameterList([nn.Parameter(torch.ones(2)) for _ in range(2)])
    optimizers = [torch.optim.SGD([p], lr=0.1) for p in model]
    precision = Precision("fp16", torch.device("cpu"))
    scale = precision.scaler.get_scale()
    for factor, expected in ((1e35, 1.0), (1.0, 0.95)):
        for optimizer in optimizers:
            optimizer.zero_grad()
        norm = precision.backward(model[0].sum() + factor * model[1].sum(), optimizers, 1.0, model)
        precision.step(optimizers, norm)
        assert_close([p.detach() for p in model], [torch.full((2,), expected)] * 2)
    assert precision.scaler.get_scale() == scale / 2


def test_fp16_stops_at_a_loss_that_is_no_number():
    with pytest.raises(LossNotFinite, match="the loss is nan at step 2"):
        Trainer(FakeModel(), FakeBatches(1.0, math.nan), TrainConfig(1, 1e-3, precision="fp16")).train()


def test_the_scale_is_part_of_the_saved_state():
    run = Trainer(FakeModel(), FakeBatches(1e35, 1.0), TrainConfig(1, 1e-3, precision="fp16"))
    run.train()
    again = Trainer(FakeModel(), FakeBatches(1e35, 1.0), TrainConfig(1, 1e-3, precision="fp16"))
    again.load_state_dict(run.state_dict())
    assert again.precision.scaler.get_scale() == run.precision.scaler.get_scale() < 65_536


def test_muon_in_bf16_goes_nearly_where_it_goes_in_fp32():
    start = torch.randn(16, 24, generator=torch.Generator().manual_seed(0))
    gradient = torch.randn(16, 24, generator=torch.Generator().manual_seed(1))
    steps = []
    for dtype in (torch.float32, torch.bfloat16):
        p = nn.Parameter(start.clone())
        p.grad = gradient.clone()
        Muon([p], lr=0.1, dtype=dtype).step()
        steps.append(p.detach() - start)
    assert steps[0].dtype == steps[1].dtype == torch.float32
    assert nn.functional.cosine_similarity(steps[0].flatten(), steps[1].flatten(), dim=0) > 0.999


def test_an_unknown_precision_is_refused():
    with pytest.raises(InputError, match="precision 'fp8': must be auto or one of fp32, bf16, fp16"):
        TrainConfig(1, 1e-3, precision="fp8")
