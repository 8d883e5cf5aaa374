"""The jobs of a sweep and their order."""

from types import SimpleNamespace

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException

from segtrain.app.sweep import plan
from segtrain.errors import UserError


def transforms(job: list[str]) -> list[str]:
    """As of the presets: none has nothing to scale, flips only chances, which end at 1."""
    if "aug=none" in job:
        return []
    strength = next((float(o.partition("=")[2]) for o in job if o.startswith("aug.strength=")), 1.0)
    return [f"{job} {strength}"] if "aug=flips" not in job else [f"flips {min(strength, 1.0)}"]


def planned(*overrides: str, arms: list[dict[str, object]] | None = None) -> list[str]:
    axes = plan.read_axes(OverridesParser.create().parse_overrides(list(overrides)))
    jobs = plan.plan_jobs(axes, arms or [], transforms)
    return [" ".join(job) for job in jobs]


def test_all_arms_of_a_seed_come_first_and_none_runs_once_a_seed() -> None:
    assert planned("aug=none,flips", "aug.strength=0.5,1", "seed=range(2)") == [
        "aug=none seed=0",
        "aug=flips aug.strength=0.5 seed=0",
        "aug=flips aug.strength=1 seed=0",
        "aug=none seed=1",
        "aug=flips aug.strength=0.5 seed=1",
        "aug=flips aug.strength=1 seed=1",
    ]


def test_strengths_at_which_a_policy_is_the_same_are_one_job() -> None:
    assert planned("aug=flips", "aug.strength=0.5,1,2,4") == ["aug=flips aug.strength=0.5", "aug=flips aug.strength=1"]


def test_seeds_keep_the_order_in_which_they_were_given() -> None:
    assert planned("seed=10,9,1", "aug=flips") == ["seed=10 aug=flips", "seed=9 aug=flips", "seed=1 aug=flips"]


def test_arms_are_zipped() -> None:
    arms = [{"aug": "none"}, {"aug": "flips", "aug.strength": 2}]
    assert planned("seed=0,1", arms=arms) == [
        "aug=none seed=0",
        "aug=flips aug.strength=2 seed=0",
        "aug=none seed=1",
        "aug=flips aug.strength=2 seed=1",
    ]


def test_what_is_typed_takes_the_place_of_the_files() -> None:
    assert planned("seed=range(8)", "aug=flips", "seed=5") == ["seed=5 aug=flips"]


def test_a_key_of_the_arms_cannot_be_typed_too() -> None:
    with pytest.raises(UserError, match="aug is given both by the sweep's arms and beside them"):
        planned("aug=flips", arms=[{"aug": "none"}])


def test_an_interval_needs_a_search() -> None:
    with pytest.raises(UserError, match=r"no countable values.*hydra/sweeper=optuna"):
        planned("optimizer.lr=interval(1e-4,1e-2)")


@pytest.mark.parametrize("typed", ["seed=range(0)", "seed=range(3,1)", "seed=choice()", "seed=glob(*)", "aug=glob(x*)"])
def test_an_axis_without_values_is_refused(typed: str) -> None:
    loader = SimpleNamespace(get_group_options=lambda *_, **__: [])
    try:
        parsed = OverridesParser.create(config_loader=loader).parse_overrides([typed])  # type: ignore[arg-type]
    except OverrideParseException:  # Hydra knows the empty choice
        return
    with pytest.raises(UserError, match="has no values"):
        plan.read_axes(parsed)
