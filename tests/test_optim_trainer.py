"""Optimizers, the rate over time, and a loop that ends the same whether or not it was interrupted."""

import contextlib
import math
from copy import deepcopy
from functools import partial
from itertools import pairwise

import pytest
import torch
from conftest import DOCUMENTS, FakeBatches, FakeModel, tiny_model
from torch import nn
from torch.testing import assert_close

from a5lib.batches import CorruptionBatches
from a5lib.callbacks import History, StateSaver
from a5lib.dataset import CharCorruptionDataset
from a5lib.errors import InputError
from a5lib.model import VARIANTS
from a5lib.optim import Muon, build_optimizers, learning_rate_at, orthogonalize, parameter_groups
from a5lib.run_state import RunState
from a5lib.trainer import LossNotFinite, TrainConfig, Trainer


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("rows", "columns"), [(16, 16), (8, 32), (32, 8)])
def test_orthogonalize_brings_singular_values_near_one(rows, columns):
    """For wide and tall matrices alike, whatever their scale; and it turns nothing around."""
    k = min(rows, columns)
    u = torch.linalg.qr(torch.randn(5, rows, k, generator=generator()))[0]
    v = torch.linalg.qr(torch.randn(5, columns, k, generator=generator(1)))[0]
    s = torch.rand(5, k, generator=generator(2)) * 0.8 + 0.2
    for scale in (1e-3, 1.0, 1e3):
        result = orthogonalize(scale * (u * s[:, None]) @ v.mT)
        inner = u.mT @ result @ v  # near the identity: the same singular vectors
        assert_close(inner, torch.diag_embed(inner.diagonal(dim1=1, dim2=2)), atol=1e-3, rtol=0)
        assert inner.diagonal(dim1=1, dim2=2).min() > 0.6 and inner.diagonal(dim1=1, dim2=2).max() < 1.3


def plain_newton_schulz(g):
    x = g / g.norm()
    if g.size(0) > g.size(1):
        return plain_newton_schulz(g.T).T
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x


def test_muon_is_its_plain_form_matrix_by_matrix():
    """Stacking by shape must not mix matrices up, and momentum goes on from step to step."""
    shapes = [(4, 6), (6, 4), (4, 6)]
    parameters = [nn.Parameter(torch.randn(s, generator=generator(i))) for i, s in enumerate(shapes)]
    expected = [p.detach().clone() for p in parameters]
    momenta = [torch.zeros(s) for s in shapes]
    optimizer = Muon(parameters, lr=0.1, momentum=0.9, weight_decay=0.2)
    for step in range(3):
        for i, p in enumerate(parameters):
            p.grad = torch.randn(p.shape, generator=generator(10 * step + i))
            momenta[i] = 0.9 * momenta[i] + 0.1 * p.grad
            nesterov = 0.1 * p.grad + 0.9 * momenta[i]
            rows, columns = p.shape
            update = plain_newton_schulz(nesterov) * math.sqrt(max(1, rows / columns))
            expected[i] = expected[i] * (1 - 0.1 * 0.2) - 0.1 * update
        optimizer.step()
    for p, e in zip(parameters, expected, strict=True):
        assert_close(p.detach(), e, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("muon_lr", [0.0, 0.02])
def test_every_parameter_is_trained_once_and_only_weights_decay(variant, muon_lr):
    model = tiny_model(variant)
    names = {id(p): name for name, p in model.named_parameters()}
    optimizers = build_optimizers(model, TrainConfig(1, 1e-3, muon_lr, weight_decay=0.1))
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    trained = [names[id(p)] for group in groups for p in group["params"]]
    assert sorted(trained) == sorted(names.values())
    decayed = {names[id(p)] for group in groups if group["weight_decay"] for p in group["params"]}
    linear = ("key", "query", "value", "proj", "w1", "mlp.0", "mlp.2")
    ends = tuple(f"{name}.weight" for name in linear)
    assert decayed == {n for n in names.values() if n.endswith(ends) or n == "head.weight"}
    matrices = {names[id(p)] for p in parameter_groups(model)["matrices"]}
    assert matrices == decayed - {"head.weight"}
    assert [type(o).__name__ for o in optimizers] == (["Muon", "AdamW"] if muon_lr else ["AdamW"])


def test_the_handouts_cosine_is_cyclic():
    """2,937 documents, 127 targets each; the end is set at 200 epochs of 128: floor at 160, top at 403."""
    config = TrainConfig(650, 6e-3, schedule="cosine", warmup_tokens=10_240, final_tokens=200 * 2937 * 128)
    at = [learning_rate_at(config, epoch * 2937 * 127, epoch / 650) for epoch in range(650)]
    assert learning_rate_at(config, 5_120, 0) == 0.5 and learning_rate_at(config, 10_240, 0) == 1.0
    assert at[100] == pytest.approx(0.5 * (1 + math.cos(math.pi * 100 * 127 / (200 * 128))), abs=2e-4)
    floor = [epoch for epoch in range(1, 650) if at[epoch] == 0.1]
    assert (floor[0], max(e for e in floor if e < 400)) == (161, 242)
    assert max(range(300, 500), key=at.__getitem__) == 403 and at[403] > 0.9999


def test_the_linear_schedule():
    config = TrainConfig(1, 1e-3, decay=0.7, warmup_tokens=100)
    points = ((50, 0), (100, 0.1), (200, 0.3), (300, 0.65), (400, 1))
    assert [learning_rate_at(config, t, p) for t, p in points] == pytest.approx([0.5, 1, 1, 0.5, 0])


# The loop.

VOCAB_SIZE = len(set("".join(DOCUMENTS))) + 2


def small_trainer(callbacks=(), seed=0, model_seed=0, **changes):
    dataset = CharCorruptionDataset("\n".join(DOCUMENTS), 32)
    model = tiny_model(seed=model_seed, vocab_size=VOCAB_SIZE, block_size=32, n_layer=1, dropout=0.2)
    config = {"max_epochs": 2.5, "lr": 3e-3, "muon_lr": 0.02, "seed": seed} | changes
    return Trainer(model, CorruptionBatches(dataset, tokens=48, seed=seed), TrainConfig(**config), callbacks)


def same_bits(a, b):
    a, b = a.model.state_dict(), b.model.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


def test_a_run_interrupted_at_any_step_ends_bit_for_bit_like_one_that_was_not(tmp_path):
    """Dropout, momentum, the place in the epoch and the schedule must all be in the saved state."""
    whole = small_trainer()
    whole.train()
    assert whole.step >= 6
    for stop_at in range(1, whole.step + 1):
        path = tmp_path / str(stop_at)

        def interrupt(trainer, path=path, stop_at=stop_at):
            if trainer.step == stop_at:
                with RunState(path, {}) as state:
                    state.save(stop_at, trainer.state_dict())
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            small_trainer([interrupt]).train()
        torch.rand(1)  # other draws in between are no matter
        resumed = small_trainer(model_seed=99)
        with RunState(path, {}) as state:
            resumed.load_state_dict(state.load())
        resumed.train()
        assert same_bits(resumed, whole), stop_at
        for counter in ("step", "tokens", "real_tokens", "epoch", "position"):
            assert getattr(resumed, counter) == getattr(whole, counter), (stop_at, counter)


def test_the_seed_decides_and_torchs_own_generator_is_left_alone():
    runs = [small_trainer(seed=seed) for seed in (1, 1, 2)]
    state = torch.get_rng_state()
    for run in runs:
        run.train()
    assert torch.equal(torch.get_rng_state(), state)
    assert same_bits(runs[0], runs[1]) and not same_bits(runs[0], runs[2])
    assert not runs[0].model.training, "a model left in training mode answers with dropout"


def test_dropout_draws_anew_in_each_step():
    """Seeded alike in all steps, dropout would leave the same units out for the whole run."""

    class Drawing(FakeModel):
        def forward(self, x, y):
            drawn.append(torch.rand(1).item())
            return super().forward(x, y)

    drawn: list[float] = []
    Trainer(Drawing(), FakeBatches(1, 1), TrainConfig(2, 1e-3)).train()
    assert len(set(drawn)) == 4


@pytest.mark.parametrize("epochs", [0.01, 0.1, 0.5, 1, 1.1, 2.3, 2.5])
def test_a_fraction_of_an_epoch_and_the_number_of_steps_foretold(epochs):
    """A bar, a curve and TensorBoard close at the last step: foretold one too many, they never do.

    (1.1 - 1) * 30 is a little over 3.
    """
    history = History(every=1000)
    trainer = Trainer(FakeModel(), FakeBatches(*range(30)), TrainConfig(epochs, 1e-3), [history])
    trainer.train()
    assert trainer.step == trainer.total_steps == max(1, round(30 * epochs))
    assert [point.step for point in history.points] == [trainer.step]
    assert (trainer.tokens, trainer.real_tokens) == (2 * trainer.step, trainer.step)


def test_max_steps_stops_and_does_not_shorten_the_schedule():
    seen = []
    config = TrainConfig(2, 1e-3, decay=1.0, max_steps=3)
    trainer = Trainer(FakeModel(), FakeBatches(1, 1), config, [lambda t: seen.append((t.total_steps, t.lr))])
    trainer.train()
    assert seen == [(3, pytest.approx(1e-3 * f)) for f in (1, 0.75, 0.5)]


def test_gradients_are_those_of_one_batch():
    """Not zeroed, they add up: the second step would see 3 + 5."""
    seen = []
    trainer = Trainer(FakeModel(), FakeBatches(3, 5, -2), TrainConfig(1, 1e-3, clip=100))
    trainer.callbacks = [lambda t: seen.append(t.model.w.weight.grad.item())]
    trainer.train()
    assert seen == [3, 5, -2]


def test_gradients_are_clipped():
    trainer = Trainer(FakeModel(), FakeBatches(40), TrainConfig(1, 1e-3, clip=0.5))
    trainer.train()
    assert trainer.model.w.weight.grad.norm() == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_the_run_before_it_spoils_the_weights(bad):
    trainer = Trainer(FakeModel(), FakeBatches(1, bad), TrainConfig(1, 1e-3))
    with pytest.raises(InputError, match="at step 2: try a smaller learning rate"):
        trainer.train()
    assert trainer.model.w.weight.isfinite().all()


@pytest.mark.parametrize(
    "changes",
    [
        {"max_epochs": 0},
        {"max_epochs": math.inf},
        {"lr": math.nan},
        {"lr": -1e-3},
        {"clip": 0},
        {"seed": -1},
        {"seed": 2**64},
        {"schedule": "step"},
    ],
)
def test_impossible_training_is_refused(changes):
    with pytest.raises(InputError, match=next(iter(changes))):
        TrainConfig(**{"max_epochs": 1, "lr": 1e-3} | changes)


def test_the_history_keeps_means_and_loses_no_step():
    history = History(every=2)
    losses = []
    trainer = small_trainer([history, lambda t: losses.append(t.loss)])
    trainer.train()
    assert history.points[0].loss == pytest.approx(sum(losses[:2]) / 2)
    assert [p.step for p in history.points][-1] == trainer.step
    assert all(a.step < b.step and a.tokens < b.tokens for a, b in pairwise(history.points))


def ask_to_stop(saver, step, trainer):
    saver.stop = trainer.step == step


def test_the_saver_saves_by_the_clock_and_when_asked_to_stop(tmp_path):
    for seconds, stop_after, saved in ((1e9, 2, [2]), (0, 2, [1, 2]), (1e9, 99, [])):
        with RunState(tmp_path / "p", {}) as state:
            saver = StateSaver(state, seconds)
            steps = []
            state.save = lambda step, value, steps=steps: steps.append(step)
            trainer = small_trainer([partial(ask_to_stop, saver, stop_after), saver])
            with contextlib.suppress(KeyboardInterrupt):
                trainer.train()
            assert steps == saved


def test_the_curve_and_a_state_go_together():
    """A curve that begins where the run was resumed shows a run that never was."""
    whole = History(every=2)
    small_trainer([whole]).train()
    trainer = small_trainer([History(every=2)])
    first = []
    trainer.callbacks.append(lambda t: first.append(deepcopy(t.state_dict())) if t.step == 3 else None)
    trainer.train()
    again = History(every=2)
    resumed = small_trainer([again])
    resumed.load_state_dict(first[0])
    resumed.train()
    assert [(p.step, p.loss) for p in again.points] == [(p.step, p.loss) for p in whole.points]


@pytest.mark.parametrize("spoilt", ["gradient", "weight"])
def test_a_gradient_or_weight_that_is_no_number_is_never_saved(spoilt, tmp_path):
    """The loss of the step that spoils the weights is finite still: saved then, no good state is left."""

    def spoil(trainer):
        if trainer.step == 2 and spoilt == "weight":
            trainer.model.w.weight.data.fill_(math.inf)
        if trainer.step == 2 and spoilt == "gradient":
            trainer.model.w.weight.register_hook(lambda gradient: gradient * math.nan)

    with RunState(tmp_path / "p", {}) as state:
        trainer = Trainer(FakeModel(), FakeBatches(1, 2, 3, 4), TrainConfig(1, 1e-3))
        trainer.callbacks = [spoil, StateSaver(state, 0)]
        with pytest.raises(LossNotFinite, match=r"step [23]: try a smaller learning rate"):
            trainer.train()
        assert state.step == (1 if spoilt == "weight" else 2)
        assert all(t.isfinite().all() for t in state.load()["model"].values())
