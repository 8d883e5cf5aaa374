"""Says which arms a find races, what each is called, and which of them train without augmentation."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from segtrain.app.report.arms import BASELINE
from segtrain.app.sweep.plan import ARMS, SEED, Composer
from segtrain.app.sweep.sweep import plan_sweep
from segtrain.config.composition import choices_of
from segtrain.errors import UserError

OWN = (SEED, "dataset.split.seed", "dataset.split.fold")  # repetitions, not arms
ONE = ("dataset", "name", "outputs")  # of all arms: scores on other data are not compared, and a find is one folder
DEFAULT = "find"  # the sweep file whose arms stand for those that nobody named


class PlannedArm(NamedTuple):
    """Holds an arm before it is run."""

    name: str
    overrides: tuple[str, ...]  # of its runs, without the seed
    plain: bool  # whether it trains without augmentation
    others: tuple[str, ...]  # its overrides that are not of the policy


def plan_arms(
    composer: Composer, params: Mapping[str, Any], arguments: Sequence[str], most: int | None
) -> list[PlannedArm]:
    """Returns the arms, in the order of the file or of what was typed; one without augmentation is always among them.

    Args:
        composer: makes the jobs' configs.
        params: of the sweep's file; its seeds are left out, as a find has its own.
        arguments: what was typed. A policy that is typed takes the place of the default file's arms.
        most: how many are taken, by their order, beside the first without augmentation; None: all.

    Raises:
        UserError: seeds or folds are named, or there is nothing to compare.
    """
    typed = composer.parse(arguments)
    swept = {override.get_key_element() for override in typed}
    several = {override.get_key_element() for override in typed if override.is_sweep_override()}
    if twice := sorted(several & set(ONE)):
        raise UserError(
            f"find compares arms on one data set, in one folder, and {twice[0]} has several values; expected one; "
            "run a find for each"
        )
    if named := sorted((swept & {SEED}) | (several & set(OWN))):
        raise UserError(
            f"find chooses the repetitions itself, and {named[0]} is given; expected keys that tell arms apart, such "
            f"as aug=none,flips; leave {named[0]} out (seeds=32 is the most seeds of an arm)"
        )
    chosen = choices_of(composer.config.hydra).get("sweep")
    params = {key: value for key, value in params.items() if key not in OWN}
    if chosen == DEFAULT and swept & {key for arm in params.get(ARMS, []) for key in arm}:
        del params[ARMS]
    arms = [_arm(composer, job) for job in plan_sweep(composer, params, arguments)]
    arms = _first(_with_plain(composer, arms), most)
    if len(arms) < 2:
        raise UserError(
            "find has nothing to compare: one arm is planned, without augmentation; expected two or more; name "
            "policies, such as aug=flips,geometric, or leave aug out for those of conf/sweep/find.yaml"
        )
    return _named(composer, arms)


def _arm(composer: Composer, job: Sequence[str]) -> PlannedArm:
    config = composer.compose(job)
    plain = not config.aug.transforms or config.aug.strength == 0
    others = tuple(o for o in job if not o.lstrip("+~").startswith(("aug=", "aug.")))
    return PlannedArm("", tuple(job), plain, others)


def _with_plain(composer: Composer, arms: Sequence[PlannedArm]) -> list[PlannedArm]:
    """Returns the arms, and before those that lack it the one without augmentation that else is the same."""
    found: list[PlannedArm] = []
    there = {arm.others for arm in arms if arm.plain}
    for arm in arms:
        if arm.others not in there:
            there.add(arm.others)
            found.append(_arm(composer, [f"aug={BASELINE}", *arm.others]))
        found.append(arm)
    return found


def _first(arms: Sequence[PlannedArm], most: int | None) -> list[PlannedArm]:
    """Returns the first arm without augmentation and the others by their order, so many in all."""
    if most is None:
        return list(arms)
    first, bases = next(i for i, arm in enumerate(arms) if arm.plain), baselines(arms)
    kept = {first}
    for i in range(len(arms)):  # an arm brings the one that it is compared with
        if len(kept | {i, bases[i]}) <= most:
            kept |= {i, bases[i]}
    return [arm for i, arm in enumerate(arms) if i in kept]


def _named(composer: Composer, arms: Sequence[PlannedArm]) -> list[PlannedArm]:
    """Returns the arms with names as the report's: policy, strength where several are raced, and what else differs."""
    configs = [composer.compose(arm.overrides) for arm in arms]
    policies = [str(choices_of(config.hydra)["aug"]) for config in configs]
    strengths = {float(c.aug.strength) for c, policy in zip(configs, policies, strict=True) if policy != BASELINE}
    common = set.intersection(*(set(arm.overrides) for arm in arms))
    named = []
    for arm, config, policy in zip(arms, configs, policies, strict=True):
        shown = policy if policy == BASELINE or len(strengths) < 2 else f"{policy} × {config.aug.strength:g}"
        told = [o for o in arm.overrides if o not in common and not o.startswith(("aug=", "aug.strength="))]
        named.append(arm._replace(name=", ".join([shown, *told])))
    names = [arm.name for arm in named]
    return [
        arm if names.count(arm.name) == 1 else arm._replace(name=f"{arm.name} ({','.join(arm.overrides)})")
        for arm in named
    ]


def baselines(arms: Sequence[PlannedArm]) -> list[int]:
    """Returns for each arm the place of the one without augmentation that else is the same; its own of such a one."""
    first = {arm.others: i for i, arm in reversed(list(enumerate(arms))) if arm.plain}
    return [first[arm.others] for arm in arms]
