"""Builds augmentation policies from a config: as training uses them, and at any strength, on whole images."""

from __future__ import annotations  # albumentations is imported where a policy is built: it takes seconds

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from segtrain.config.composition import composed
from segtrain.config.objects import build
from segtrain.config.run_config import AugNode, RunConfig
from segtrain.data.datasets import SegmentationDataset
from segtrain.data.split import Split
from segtrain.errors import UserError
from segtrain.parts.data import build_split
from segtrain.parts.limits import crop_size, grows_to_crop

if TYPE_CHECKING:
    from segtrain.aug import Partners, Policy, ScheduledPolicy
    from segtrain.aug.ablation import Node
    from segtrain.aug.trace import Drawn

Pixels = np.ndarray[Any, Any]
DECIDED = ("schedule", "without", "only")  # keys of an aug config that are used up before its policy is built
UNSAID = ("shape", "noise_seed", "elastic_length", "lattice", "turns")  # of a draw, what changes no pixel by itself
DIGITS = 3  # of the numbers that are said


def build_policy(
    config: RunConfig,
    dataset: SegmentationDataset,
    partners: Partners | None = None,
    split: Split | None = None,
    strength: float | None = None,
) -> Policy:
    """Returns the augmentation policy, with the training crop and, where it mixes samples, partners.

    Partners are samples of the training split only; they are found here where none are handed in, and so is the split.
    The strength is that of the config where none is given.
    """
    from segtrain.aug import Partners

    if "torchvision.transforms." in str(dict(config.aug)):  # by name: this module works without torch
        importlib.import_module("segtrain.compat").register_torchvision_operators()
    handed_in = {
        "crop": crop_size(config),
        "crop_class": config.data.crop_class,
        "ignore_index": dataset.ignore_index,
        "drawn_margin": grows_to_crop(config),
    }
    policy: Policy = build(resolved_policy(config, strength), DECIDED, **handed_in)
    if policy.needs_partner:
        train = () if partners else (split or build_split(config, dataset)).train
        policy.partners = partners or Partners(dataset.read, train, dataset.ignore_index)
        if any(hasattr(transform, "needs_survey") for transform in policy.transforms):
            policy.partners.survey()
    return policy


def build_schedule(
    config: RunConfig, dataset: SegmentationDataset, split: Split | None = None
) -> Policy | ScheduledPolicy:
    """Returns what training augments with: the policy of each epoch under `aug.schedule`, `.at(epoch)`.

    Raises:
        UserError: no such schedule, or a schedule without a number of epochs.
    """
    from segtrain.aug import ScheduledPolicy
    from segtrain.aug.policy import schedule_factor

    policy, epochs = build_policy(config, dataset, split=split), config.trainer.max_epochs
    if config.aug.schedule == "constant":
        return policy
    if not isinstance(epochs, int) or epochs < 1:
        raise UserError(
            f"aug.schedule={config.aug.schedule} needs the length of the training; expected trainer.max_epochs ≥ 1; "
            f"got {epochs}; give it, or use aug.schedule=constant"
        )
    factors = [schedule_factor(config.aug.schedule, epoch, epochs) for epoch in range(epochs)]
    built = {1.0: policy}
    for part in sorted({*factors} - {1.0}):
        built[part] = build_policy(config, dataset, policy.partners, strength=config.aug.strength * part)
    return ScheduledPolicy([built[part] for part in factors])


def resolved_policy(config: RunConfig, strength: float | None = None) -> AugNode:
    """Returns the node of a policy in plain values: amounts at the strength, without the ops that are left out.

    Args:
        config: has `aug`.
        strength: ≥ 0; None: aug.strength.

    Raises:
        UserError: aug.without or aug.only names an op that the policy has not.
    """
    from segtrain.aug.ablation import ablate_ops

    aug = config.aug if strength is None else config.changed({"aug.strength": strength}).aug
    without, only = ([ops] if isinstance(ops, str) else ops for ops in (aug.get("without"), aug.get("only")))
    if without or only:
        aug = aug.but(transforms=ablate_ops(cast("list[Node]", aug.transforms), without or [], only or []))
    return aug


def policy_at(strength: float, config: RunConfig, ignore_index: int, *, fires: bool = False) -> Policy:
    """Returns the policy of a composed config at a strength, for whole images; see `Shifts.apply`."""
    aug = resolved_policy(config, strength)
    if fires:
        aug = aug.but(transforms=[{k: v for k, v in one.items() if k != "chances"} for one in aug.transforms])
    policy: Policy = build(aug, DECIDED, crop=None, crop_class=0.0, ignore_index=ignore_index)
    return policy


class Shifts:
    """Applies policies of conf/aug to images that have no mask; a draw of a policy is fixed by its number alone."""

    def __init__(self, names: Sequence[str], ignore_index: int, searched: Sequence[str] = ()) -> None:
        """Builds each once.

        Args:
            names: files of conf/aug.
            ignore_index: label of pixels from outside the image.
            searched: overrides that name folders of further configs.

        Raises:
            UserError: no such file, or a policy that mixes samples.
        """
        self.names = tuple(names)
        self._ignore_index = ignore_index
        fixed = [*searched, "dataset=shapes"]
        self._configs = {name: RunConfig(composed("preview", [*fixed, f"aug={name}"])) for name in names}
        for name in names:
            if policy_at(1.0, self._configs[name], ignore_index).needs_partner:
                raise UserError(
                    f"aug={name} mixes training samples; expected shifts that change one image by itself; got "
                    f"shifts=[{','.join(names)}]; leave {name} out"
                )

    def apply(self, image: Pixels, name: str, strength: float, draw: int, fires: bool) -> tuple[Pixels, str]:
        """Returns the image (H, W, C) shifted, of the same dtype, and what was drawn, in words.

        Args:
            image: as stored.
            name: one of `names`.
            strength: ≥ 0, as aug.strength: 0 leaves the image as it is.
            draw: which draw; the same number at another strength is the same draw, larger.
            fires: whether ops with a chance always fire.

        Raises:
            UserError: the policy cannot take such an image, or be so strong.
        """
        from segtrain.aug.trace import trace_policy

        policy = policy_at(strength, self._configs[name], self._ignore_index, fires=fires)
        nothing = np.zeros(image.shape[:2], np.uint8)
        (shifted, _), drawn = trace_policy(policy, image, nothing, (0, 0, 0, draw))
        return shifted, describe_draw(drawn) or "no op fired: try another draw"


def describe_draw(drawn: Drawn) -> str:
    """Returns what changed a pixel, such as "rotate -12.9, hflip"; nothing where nothing did."""
    words = []
    for transform, parameters in drawn.items():
        for name, value in (parameters or {}).items():
            numbers = value if isinstance(value, list | tuple) else [value]
            if name in UNSAID and not (name == "turns" and value):
                continue
            if isinstance(value, bool) or not all(isinstance(number, int | float) for number in numbers):
                words += [name] if value and not isinstance(value, str) else []
            elif any(numbers):
                words.append(f"{name} {', '.join(f'{number:.{DIGITS}g}' for number in numbers)}")
        if parameters == {}:
            words.append(transform.partition(".")[0])
    return ", ".join(words)
