"""Says what differs between two configs, what may differ when a run goes on, and puts in what is typed."""

import fnmatch
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from segtrain.config.composition import chosen, conf_dir, meant_key, single_values
from segtrain.config.known_keys import require_known
from segtrain.config.run_config import RunConfig
from segtrain.errors import UserError
from segtrain.nearest_name import did_you_mean
from segtrain.runs import run_files
from segtrain.runs.epochs import number_of
from segtrain.runs.folder import RunFolder

if TYPE_CHECKING:
    from segtrain.data.datasets import SegmentationDataset

Differences = dict[str, tuple[Any, Any]]  # key -> there, now; None where one side lacks it
# Keys that change no result, or that another check guards: the data's fingerprint that of its paths.
HARMLESS = (
    *("trainer.accelerator", "trainer.devices*", "trainer.num_nodes", "trainer.strategy", "choices.trainer"),
    *("data.num_workers", "data.cache", "checkpoint.*"),
    *("logger", "logger.*", "choices.logger", "dataset.root", "dataset.images", "dataset.masks"),
    "dataset.manifest",
    *("resume*", "debug", "outputs", "trust"),
)
# Keys that made what a checkpoint holds: the weights that it began with, the parameters and how they are grouped, the
# moments of the optimizer, what a schedule has seen.
FIXED = ("init_from", "encoder_lr", "deep_supervision", "optimizer._target_", "scheduler._target_")
# Keys that say what a training sample looks like, beside the length of a training whose augmentation has a schedule.
SEEN = (
    *("aug.", "data.crop", "data.padding", "data.batch_size", "data.steps_per_epoch"),
    *("data.sampling", "dataset.", "seed", "trainer.limit_train_batches"),
)
PLACED = {"split": "dataset.split"}  # groups whose values do not stand below the group's own name
# Values that the machine, or the version, decides where they are not typed: a run keeps those it began with.
DECIDED = ("threads", "trainer.accelerator", "trainer.precision", "data.num_workers", "data.padding")
BEFORE = {"data.padding": "stride"}  # what runs did that are older than a key whose default is another


def completed(config: RunConfig) -> RunConfig:
    """Returns the config of a run that may be older than some keys of train.yaml: those are at their defaults.

    A key that comes to train.yaml has the default that leaves every run as it was, or stands in `BEFORE`.
    """
    newest: Any = OmegaConf.load(conf_dir() / "train.yaml")
    del newest["defaults"], newest["hydra"]
    for key, value in BEFORE.items():
        OmegaConf.update(newest, key, value)
    return RunConfig(DictConfig(OmegaConf.merge(newest, config.plain)))


def differences(there: RunConfig, now: RunConfig) -> Differences:
    """Returns the leaves in which two configs differ, by dotted key, amounts that depend on aug.strength unresolved."""
    old, new = _leaves(there), _leaves(now)
    return {key: (old.get(key), new.get(key)) for key in sorted({*old, *new}) if old.get(key) != new.get(key)}


def refused(found: Differences, allow: Sequence[str]) -> Differences:
    """Returns the differences that a run may not go on with: not harmless, no more epochs, not in `allow`."""

    def is_allowed(key: str, there: Any, now: Any) -> bool:
        longer = key == "trainer.max_epochs" and isinstance(now, int) and now > there
        synced = key == "trainer.sync_batchnorm" and False not in (there, now)  # null is its default, true
        named = synced or any(key == name or key.startswith((f"{name}.", f"{name}[")) for name in allow)
        return longer or named or any(fnmatch.fnmatchcase(key, pattern) for pattern in HARMLESS)

    return {key: pair for key, pair in found.items() if not is_allowed(key, *pair)}


def divides_anew(found: Differences) -> bool:
    """Returns whether a difference may have samples lie in other parts than before, as was allowed."""
    return any(key.startswith(("dataset.", "choices.dataset", "choices.split")) for key in refused(found, ()))


def fixed(found: Differences, scheduler: str) -> Differences:
    """Returns the differences that no run can go on with, allowed or not.

    Args:
        found: the differences.
        scheduler: the `_target_` of the run's scheduler; the lr of one that follows the scores is in the checkpoint.
    """

    def is_fixed(key: str, there: Any, now: Any) -> bool:
        averaged = key == "ema" and None in (there, now)  # the weights of a checkpoint are means, or are not
        followed = key == "optimizer.lr" and scheduler == "segtrain.model.schedulers.plateau"
        return averaged or followed or key.partition("[")[0] in FIXED

    return {key: pair for key, pair in found.items() if is_fixed(key, *pair)}


def difference_lines(found: Differences) -> str:
    """Returns the differences, a line each."""
    return "".join(f"\n  {key}: {there!r} there, {now!r} now" for key, (there, now) in found.items())


def with_typed(saved: RunConfig, typed: Sequence[str]) -> RunConfig:
    """Returns the saved config of a run with the overrides that were typed beside resume.

    Raises:
        UserError: an override that is none, names no key of the run or one that nothing reads, or a value
            that cannot be.
    """
    config, keys = saved, list[str]()
    groups = {path.name for path in conf_dir().iterdir() if path.is_dir()}
    for key, value, is_new in single_values(typed):
        if key in groups and isinstance(value, str):
            place = PLACED.get(key, key)
            config = config.changed({f"choices.{key}": value, place: chosen(key, value, place)})
            keys.append(place)
            continue
        if config.value_of(key, ...) is ... and not is_new:
            hint = did_you_mean(meant_key(key, "train"))
            raise UserError(
                f"the run's config has no key '{key}'; {hint}expected one of its {run_files.CONFIG}; +{key}=… adds one"
            )
        config = config.changed({key: value})
        keys.append(key)
    require_known(config.plain, "train", config.choices, keys)
    return config


def keeping_decided(saved: RunConfig, now: RunConfig, typed: Sequence[str]) -> RunConfig:
    """Returns `now` with what its machine decided as the saved run began with it, unless it was typed."""
    keys = {override.partition("=")[0].lstrip("+") for override in typed}
    kept = [key for key in DECIDED if not any(key == name or key.startswith(f"{name}.") for name in keys)]
    return keeping_found(saved, now.changed({key: saved.value_of(key) for key in kept}))


def keeping_found(saved: RunConfig, now: RunConfig) -> RunConfig:
    """Returns `now` with the batch size that was found for the saved run, where it says auto: there is one of a run."""
    if now.value_of("data.batch_size") != "auto":
        return now
    return now.changed({"data.batch_size": saved.value_of("data.batch_size")})


def as_of(config: RunConfig, entries: Sequence[Mapping[str, Any]], epoch: int) -> RunConfig:
    """Returns the config of a run as it was in an epoch, as far as it says what a training sample looks like.

    Args:
        config: the run's, as it is now.
        entries: of its changes.yaml.
        epoch: from 0.

    Raises:
        UserError: it was changed since, and what it was then cannot be told.
    """
    for entry in reversed(entries):
        since = (entry.get("epoch", float("inf")), entry.get("batch", 0))
        if since <= (epoch, 0):
            break
        scheduled = ("trainer.max_epochs",) if config.aug.schedule != "constant" else ()
        for key, (there, _) in entry["changed"].items():
            if not key.startswith((*SEEN, *scheduled)):
                continue
            if since[0] in (epoch, float("inf")) or there is None or "[" in key:
                raise UserError(
                    f"the run went on with another {key}, so that what its network saw in epoch={number_of(epoch)} "
                    f"cannot be shown any more; expected an epoch since then; its {run_files.CHANGES} says when; "
                    "give one"
                )
            config = config.changed({key: there})
    return config


def _leaves(config: RunConfig) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def walk(node: Any, key: str) -> None:
        if isinstance(node, Mapping) and node:
            for name, item in node.items():
                walk(item, f"{key}.{name}" if key else str(name))
        elif isinstance(node, list) and node:
            for i, item in enumerate(node):
                walk(item, f"{key}[{i}]")
        else:
            found[key] = node

    walk(config.plain, "")
    return found


def is_same(run: RunFolder, config: RunConfig, dataset: "SegmentationDataset", fingerprint: str) -> bool:
    """Returns whether the data have the run's fingerprint: as it is today, or as an older version took it.

    An older fingerprint may say less of the options than today's, so it counts only beside the options of the run's own
    config; paths and the split, which no fingerprint holds, aside.

    Args:
        run: the run, its config as it was trained.
        config: of which `dataset` describes the data at hand.
        dataset: the data at hand.
        fingerprint: today's, of the data at hand.
    """
    known = run.split["fingerprint"]
    if known == fingerprint:
        return True
    older: list[str] = getattr(dataset, "older_fingerprints", list)()
    return known in older and not any(
        key.startswith("dataset.") and not key.startswith("dataset.split")
        for key in refused(differences(completed(RunConfig(run.config())), config), ())
    )
