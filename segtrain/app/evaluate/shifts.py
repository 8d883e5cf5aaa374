"""How scores fall as images are shifted: the policies of training laid over the test images, with fixed draws."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from segtrain.app.evaluate.data import Data
from segtrain.aug import Policy
from segtrain.config.composition import composed, searched
from segtrain.config.run_config import RunConfig
from segtrain.data.datasets.contract import Sample
from segtrain.errors import UserError
from segtrain.parts.shifts import policy_at


class Shift(NamedTuple):
    """A policy at a strength."""

    name: str
    strength: float
    policy: Policy


class Shifted:
    """A dataset whose samples go through a policy, image and mask together; seed and index fix the draw."""

    def __init__(self, dataset: Any, policy: Policy, seed: int) -> None:
        """The samples of `dataset` through `policy`."""
        self.dataset, self.policy, self.seed = dataset, policy, seed
        self.ignore_index: int = dataset.ignore_index

    def read(self, index: int) -> Sample:
        """The shifted sample of an index: the same at every call, for every run."""
        image, mask = self.dataset.read(index)
        return Sample(*self.policy(image, mask, (self.seed, 0, index, 0)))


def shifts_of(names: Sequence[str], strengths: Sequence[float], data: Data) -> list[Shift]:
    """Every policy at every strength above 0, in that order.

    Raises:
        UserError: no such policy, or one that mixes samples, takes other images, or refuses a strength.
    """
    above = [strength for strength in sorted(set(strengths)) if strength > 0]
    configs = {name: RunConfig(composed("train", [*searched(), f"aug={name}", "dataset=shapes"])) for name in names}
    return [_shift(name, strength, configs[name], data) for name in names for strength in above]


def _shift(name: str, strength: float, config: RunConfig, data: Data) -> Shift:
    policy = policy_at(strength, config, data.dataset.ignore_index)
    if policy.needs_partner:
        raise UserError(
            f"shift={name} mixes training samples; expected policies that change one image by itself, such as "
            f"photometric, geometric, noise, blur, lowres; leave {name} out"
        )
    return Shift(name, strength, policy)
