import copy
import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from segtrain.config.composition import conf_dir
from segtrain.config.objects import build
from segtrain.config.run_config import Node
from segtrain.errors import UserError
from segtrain.model import schedulers

SHIPPED = {path.stem: OmegaConf.load(path) for path in (conf_dir() / "scheduler").glob("*.yaml")}

STEPS = 40
BY_STEP = {
    "cosine": lambda o: schedulers.cosine(o, steps=STEPS, warmup=0.25, floor=0.1),
    "poly": lambda o: schedulers.poly(o, steps=STEPS),
    "one_cycle": lambda o: schedulers.one_cycle(o, steps=STEPS),
    "constant": lambda o: schedulers.constant(o, steps=STEPS),
}


def optimizer():
    weights = [torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(2))]
    groups = [{"params": weights[:1], "lr": 0.1}, {"params": weights[1:], "lr": 0.01}]
    return torch.optim.AdamW(groups)


def advance(optim, scheduler, steps):
    """Learning rates (steps, 2) that `steps` optimizer steps use, and the weights after them."""
    rates = []
    for i in range(steps):
        for group in optim.param_groups:
            for weight in group["params"]:
                weight.grad = torch.cos(weight.detach() * (i + 1))
        rates.append([group["lr"] for group in optim.param_groups])
        optim.step()
        scheduler.step()
    return rates, [w.detach().clone() for g in optim.param_groups for w in g["params"]]


def rates_of(name):
    optim = optimizer()
    return [pair[0] for pair in advance(optim, BY_STEP[name](optim), STEPS)[0]]


@pytest.mark.parametrize("name", BY_STEP)
@pytest.mark.parametrize("cut", [0, 5, 10, 33])
def test_a_resumed_schedule_is_the_uninterrupted_one(name, cut):
    optim = optimizer()
    scheduler = BY_STEP[name](optim)
    advance(optim, scheduler, cut)
    saved = copy.deepcopy((optim.state_dict(), scheduler.state_dict()))
    weights = [w.detach().clone() for g in optim.param_groups for w in g["params"]]
    expected = advance(optim, scheduler, STEPS - cut)

    again = optimizer()
    for parameter, value in zip((w for g in again.param_groups for w in g["params"]), weights, strict=True):
        parameter.data = value
    resumed = BY_STEP[name](again)
    again.load_state_dict(saved[0])
    resumed.load_state_dict(saved[1])
    rates, weights = advance(again, resumed, STEPS - cut)
    assert rates == expected[0]
    assert all(torch.equal(a, b) for a, b in zip(weights, expected[1], strict=True))


def shipped(name, optim, steps, **values):
    node = OmegaConf.merge(SHIPPED[name], values)
    return build(Node(OmegaConf.to_container(node, resolve=True), f"scheduler/{name}.yaml"))(optim, steps=steps)


def taken_up(saved, name, optim, steps):
    """The schedule over so many steps, gone on with from the states of optimizer and scheduler, in this order."""
    scheduler = shipped(name, optim, steps)
    optim.load_state_dict(saved[0])
    scheduler.load_state_dict(saved[1])
    return scheduler


def by_step(scheduler, optim, steps):
    """The lr and beta 1 of each of the next steps; a plateau, which follows the score, is not stepped."""
    found = []
    for _ in range(steps):
        found += [(group["lr"], group["betas"][0]) for group in optim.param_groups]
        optim.step()
        if not isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            scheduler.step()
    return found


@pytest.mark.parametrize("name", SHIPPED)
@settings(max_examples=25)
@given(st.data())
def test_a_schedule_over_another_length_goes_on_as_that_length_has_it(name, data):
    first = data.draw(st.integers(1, 30), "steps at first")
    done = data.draw(st.integers(1, first), "steps done")
    then = data.draw(st.integers(done + 1, 60), "steps then")
    optim = optimizer()
    scheduler = shipped(name, optim, first)
    by_step(scheduler, optim, done)
    saved = copy.deepcopy((optim.state_dict(), scheduler.state_dict()))

    again, straight = optimizer(), optimizer()
    resumed, whole = taken_up(saved, name, again, then), shipped(name, straight, then)
    by_step(whole, straight, done)
    assert by_step(resumed, again, then - done) == by_step(whole, straight, then - done)


@pytest.mark.parametrize("name", [name for name in SHIPPED if name != "plateau"])
def test_a_schedule_goes_on_from_the_lr_of_now(name):
    optim = optimizer()
    scheduler = shipped(name, optim, STEPS)
    by_step(scheduler, optim, 7)
    saved = copy.deepcopy((optim.state_dict(), scheduler.state_dict()))
    again = optimizer()
    for group in again.param_groups:
        group["lr"] *= 3
    scheduler = shipped(name, again, STEPS)
    asked = [{**group} for group in again.param_groups]
    again.load_state_dict(saved[0])
    for group, wanted in zip(again.param_groups, asked, strict=True):  # as training does: settings are those of now
        group |= {key: value for key, value in wanted.items() if key not in ("params", "lr")}
    scheduler.load_state_dict(saved[1])
    rates = [lr for lr, _ in by_step(scheduler, again, 5)]
    assert rates == pytest.approx([3 * lr for lr, _ in by_step(*_gone_on(saved, name), 5)])


def _gone_on(saved, name):
    optim = optimizer()
    return taken_up(saved, name, optim, STEPS), optim


@pytest.mark.parametrize("name", SHIPPED)
def test_a_schedule_of_fewer_steps_than_are_done_ends_in_a_message_or_stays_at_its_end(name):
    optim = optimizer()
    scheduler = shipped(name, optim, STEPS)
    by_step(scheduler, optim, 30)
    saved = copy.deepcopy((optim.state_dict(), scheduler.state_dict()))
    if name == "one_cycle":
        with pytest.raises(UserError, match=r"20 .*steps.* 30 "):
            taken_up(saved, name, optimizer(), 20)
    else:
        again = optimizer()
        assert all(0 <= lr <= 0.1 for lr, _ in by_step(taken_up(saved, name, again, 20), again, 3))


def test_a_plateau_goes_on_with_the_patience_of_now():
    optim = optimizer()
    scheduler = schedulers.plateau(optim, steps=STEPS, patience=9)
    watch(scheduler, optim, [0.5, 0.4, 0.4])
    again = optimizer()
    resumed = schedulers.plateau(again, steps=STEPS, patience=2)
    again.load_state_dict(optim.state_dict())
    resumed.load_state_dict(scheduler.state_dict())
    assert watch(resumed, again, [0.4]) == [0.05]  # the third epoch without growth, of which two are waited


@pytest.mark.parametrize("name", BY_STEP)
def test_every_group_follows_its_own_lr(name):
    optim = optimizer()
    for first, second in advance(optim, BY_STEP[name](optim), STEPS)[0]:
        assert first == pytest.approx(10 * second)


@pytest.mark.parametrize("name", BY_STEP)
def test_the_state_is_loaded_as_plain_data(name, tmp_path):
    torch.save(BY_STEP[name](optimizer()).state_dict(), tmp_path / "state.pt")
    assert torch.load(tmp_path / "state.pt", weights_only=True)["last_epoch"] == 0


def test_cosine_warms_up_in_a_line_and_falls_to_its_floor():
    rates = rates_of("cosine")
    assert rates[:11] == pytest.approx([0.1 * (i + 1) / 11 for i in range(11)])
    assert rates[25] == pytest.approx(0.1 * (0.1 + 0.9 / 2))  # half way down
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
    optim = optimizer()
    scheduler = schedulers.cosine(optim, steps=STEPS, warmup=0.25, floor=0.1)
    advance(optim, scheduler, STEPS + 3)  # and stays there
    assert scheduler.get_last_lr()[0] == pytest.approx(0.01)


def test_cosine_without_warmup_starts_at_lr():
    assert schedulers.cosine(optimizer(), steps=STEPS, warmup=0).get_last_lr() == [0.1, 0.01]


def test_poly_is_its_formula():
    assert rates_of("poly") == pytest.approx([0.1 * (1 - i / STEPS) ** 0.9 for i in range(STEPS)])


def test_one_cycle_peaks_at_lr_and_ends_with_the_last_step():
    rates = rates_of("one_cycle")
    assert max(rates) == pytest.approx(0.1, rel=1e-3)
    assert rates[0] == pytest.approx(0.1 / 25) and rates[-1] == pytest.approx(0.1 / 25e4)


@pytest.mark.parametrize("cycled", [True, False])
def test_one_cycle_moves_momentum_when_told(cycled):
    optim = optimizer()
    scheduler = schedulers.one_cycle(optim, steps=STEPS, cycle_momentum=cycled)
    advance(optim, scheduler, STEPS // 2)
    assert (optim.param_groups[0]["betas"][0] != 0.9) == cycled


def test_constant_stays():
    assert set(rates_of("constant")) == {0.1}


@pytest.mark.parametrize("name", BY_STEP)
@pytest.mark.parametrize("steps", [1, 2])
def test_the_shortest_training_has_finite_rates(name, steps):
    optim = optimizer()
    scheduler = getattr(schedulers, name)(optim, steps=steps)
    assert all(0 < rate <= 0.1 for pair in advance(optim, scheduler, steps)[0] for rate in pair)


def watch(scheduler, optim, score_by_epoch):
    rates = []
    for score in score_by_epoch:
        scheduler.step(score)
        rates.append(optim.param_groups[0]["lr"])
    return rates


def test_plateau_halves_when_the_score_stops_growing_and_resumes_exactly():
    epochs = [0.1, 0.2, 0.3, 0.3, 0.3, 0.3, 0.25, 0.25, 0.25, 0.25]
    optim = optimizer()
    scheduler = schedulers.plateau(optim, steps=STEPS, patience=2, floor=0.3)
    rates = watch(scheduler, optim, epochs[:4])
    saved = copy.deepcopy((optim.state_dict(), scheduler.state_dict()))
    rates += watch(scheduler, optim, epochs[4:])
    assert rates == pytest.approx([0.1] * 5 + [0.05] * 3 + [0.03] * 2)

    again = optimizer()
    resumed = schedulers.plateau(again, steps=STEPS, patience=2, floor=0.3)
    again.load_state_dict(saved[0])
    resumed.load_state_dict(saved[1])
    assert watch(resumed, again, epochs[4:]) == rates[4:]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("cosine", {"warmup": 1.0}),
        ("cosine", {"floor": -0.1}),
        ("poly", {"power": 0}),
        ("one_cycle", {"warmup": 0.0}),
        ("plateau", {"factor": 1.0}),
        ("plateau", {"patience": -1}),
        ("plateau", {"floor": math.nan}),
    ],
)
def test_a_value_out_of_range_is_the_users_mistake(name, wrong):
    with pytest.raises(UserError, match=rf"scheduler\.{next(iter(wrong))} .*expected.*got"):
        getattr(schedulers, name)(optimizer(), steps=STEPS, **wrong)
