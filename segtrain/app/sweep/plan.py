"""Says which jobs a sweep is made of, and in which order, and composes the config of each."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from segtrain.errors import UserError

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from hydra.core.override_parser.types import Override

Job = list[str]  # overrides, such as ["aug=flips", "seed=0"]
SEED, STRENGTH = "seed", "aug.strength"
MOST_VALUES = 10_000  # of a range
ARMS = "arms"  # the key of a sweep file that lists what varies together


class Composer(NamedTuple):
    """Composes the configs of a sweep's jobs as Hydra does."""

    loader: "ConfigLoader"
    config: DictConfig  # of the command, without what a job has of its own

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """Returns the config of the job with these overrides."""
        return self.loader.load_sweep_config(self.config, list(overrides))

    def parse(self, overrides: Sequence[str]) -> "list[Override]":
        """Returns the overrides as Hydra understands them."""
        return OverridesParser.create(config_loader=self.loader).parse_overrides(list(overrides))


def plan_jobs(
    axes: Mapping[str, Sequence[str]], arms: Sequence[Mapping[str, Any]], policy: Callable[[Job], Any]
) -> list[Job]:
    """Returns every combination of the axes' values and the arms, all arms of the first seed first.

    So a sweep that is stopped early has compared its arms on the same seeds. Strengths at which a policy is the same
    are one job: any, where it has no transforms; 1 and above, where it has only chances.

    Args:
        axes: key to its overrides, one or several: {"seed": ["seed=0", "seed=1"]}.
        arms: each some keys with one value each, which vary together; empty for none.
        policy: the transforms of a job, all numbers worked out; empty for none.

    Raises:
        UserError: a key is both an axis and an arm's.
    """
    if twice := sorted({key for arm in arms for key in arm} & set(axes)):
        raise UserError(
            f"{twice[0]} is given both by the sweep's arms and beside them; expected one of the two; leave out "
            f"{twice[0]}=… or take it from the arms"
        )
    listed = [[f"{key}={'null' if value is None else value}" for key, value in arm.items()] for arm in arms]
    values = [[[override] for override in axis] for axis in axes.values()]
    product = itertools.product(*([listed] if listed else []), *values)
    found = [[override for part in parts for override in part] for parts in product]
    seeds = axes.get(SEED, ())
    found.sort(key=lambda job: next((i for i, seed in enumerate(seeds) if seed in job), 0))
    kept: dict[str, Job] = {}
    for job in found:
        rest = [override for override in job if not override.startswith(f"{STRENGTH}=")]
        if len(rest) == len(job):
            kept.setdefault(repr(job), job)
            continue
        transforms = policy(job)
        kept.setdefault(repr((rest, transforms)), job if transforms else rest)
    return list(kept.values())


def params_overrides(params: Mapping[str, Any]) -> list[str]:
    """Returns the overrides of a sweep file but its arms; a list of values as their enumeration."""
    return [f"{k}={','.join(map(str, v)) if isinstance(v, list) else v}" for k, v in params.items() if k != ARMS]


def read_axes(overrides: Sequence["Override"]) -> dict[str, list[str]]:
    """Returns key -> its overrides, a value each; a later axis of the same key takes the place of an earlier one.

    Raises:
        UserError: a range without steps, which only a search can draw from; one without values.
    """
    axes: dict[str, list[str]] = {}
    for override in overrides:
        key = override.get_key_element()
        if override.is_delete():
            axes[key] = [str(override.input_line)]
        elif not override.is_sweep_override():
            axes[key] = [f"{key}={override.get_value_element_as_str()}"]
        elif override.is_discrete_sweep():
            _require_countable(override)
            axes[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
            require_values(override, axes[key])
        else:
            raise UserError(
                f"'{override.input_line}' has no countable values; expected a list, choice(…), range(…) or glob(…); "
                "for an interval search with hydra/sweeper=optuna"
            )
    return axes


def _require_countable(override: "Override") -> None:
    """Raises UserError for a range of more values than anyone runs: each is a job whose config is held."""
    value: Any = override.value()
    if override.is_range_sweep() and not abs(value.stop - value.start) <= MOST_VALUES * abs(value.step):
        raise UserError(
            f"'{override.input_line}' has more than {MOST_VALUES:,} values; expected that many at most, as each is a "
            "run; give fewer"
        )


def require_values(override: "Override", values: Sequence[str]) -> None:
    """Raises UserError for an axis without values: a sweep of no runs."""
    if not values:
        raise UserError(
            f"'{override.input_line}' has no values, so that nothing would be run; expected one or more, such as 0,1,2 "
            "or range(3), or a glob(…) that fits choices of a group, such as aug=glob(medical*); give some"
        )
