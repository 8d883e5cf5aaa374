"""Reads what a search with Optuna is asked for: its settings, and its space in Hydra's syntax."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from segtrain.app.sweep.plan import require_values
from segtrain.errors import UserError

if TYPE_CHECKING:
    import optuna
    from hydra.core.override_parser.types import Override

GOAL = "val/dice"  # of the best epoch
MOST = 1e15  # of a bound: a number that is drawn below it is exact, and so is what Optuna makes of it


class Settings(NamedTuple):
    """Holds the values of conf/hydra/sweeper/optuna.yaml that make the study."""

    n_trials: int
    sampler: str
    pruner: str
    seed: int | None
    storage: str | None


class Space(NamedTuple):
    """Holds what is searched, and what every trial has."""

    distributions: "dict[str, optuna.distributions.BaseDistribution]"
    fixed: list[str]


def read_space(overrides: "Sequence[Override]") -> Space:
    """Returns Hydra's syntax as Optuna's: choice(…) and lists, range(…), interval(…), tag(log, …).

    Raises:
        UserError: nothing has several values, or one has none.
    """
    found: dict[str, Any] = {}
    fixed: dict[str, str] = {}
    for override in overrides:
        key = override.get_key_element()
        found.pop(key, None)
        fixed.pop(key, None)
        if override.is_sweep_override():
            found[key] = _distribution(override)
        elif override.is_delete():
            fixed[key] = str(override.input_line)
        else:
            fixed[key] = f"{key}={override.get_value_element_as_str()}"
    if not found:
        raise UserError(
            "hydra/sweeper=optuna has nothing to search; expected keys with several values, such as "
            "aug.strength=interval(0,2) or aug=flips,medical_elastic; got one value each"
        )
    return Space(found, list(fixed.values()))


def _distribution(override: "Override") -> Any:
    d, value = require_optuna().distributions, cast(Any, override.value())
    if override.is_interval_sweep():
        low, high, step = value.start, value.end, None
    elif override.is_range_sweep():
        _require_steps(override)
        last = value.stop - value.start  # the end is not in a range
        low, high, step = (
            value.start,
            value.stop - (value.step if last % value.step == 0 else last % value.step),
            value.step,
        )
    else:
        values = list(override.sweep_string_iterator())
        require_values(override, values)
        return d.CategoricalDistribution(values)
    log = "log" in value.tags
    _require_drawn(override, low, high, log)
    if all(isinstance(number, int) for number in (low, high)) and isinstance(step, int | None):
        return d.IntDistribution(low, high, log=log, step=1 if log else step or 1)
    return d.FloatDistribution(low, high, log=log, step=None if log else step)


def _require_steps(override: "Override") -> None:
    """Raises UserError unless a range goes up by steps from its beginning to its end."""
    value = cast(Any, override.value())
    numbers = (value.start, value.stop, value.step)
    if not all(abs(one) <= MOST for one in numbers) or value.step <= 0 or value.stop <= value.start:
        raise UserError(
            f"'{override.input_line}' has nothing to draw; expected range(FIRST,END,STEP) with numbers up to "
            f"{MOST:,.0f}, an END above FIRST and a STEP above 0, such as range(32,97,32); correct it"
        )


def _require_drawn(override: "Override", low: float, high: float, log: bool) -> None:
    """Raises UserError unless there are numbers from `low` to `high`, which a logarithm takes if it is asked for."""
    if not (abs(low) <= MOST and abs(high) <= MOST and low <= high and (low > 0 or not log)):
        least = ", the lower above 0, as tag(log, …) asks for" if log else ""
        raise UserError(
            f"'{override.input_line}' has nothing to draw; expected interval(LOW,HIGH) with LOW up to HIGH{least}, "
            f"numbers up to {MOST:,.0f}; got {low} to {high}; correct it, such as interval(0.5,2)"
        )


def require_optuna() -> Any:
    """Returns the package optuna.

    Raises:
        UserError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise UserError(
            'hydra/sweeper=optuna needs the package optuna, which is not installed; pip install "segtrain[search]"'
        ) from error
    return optuna
