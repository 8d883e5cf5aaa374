"""Builds dataset and split of a config, without torch, for every verb that looks at data."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from omegaconf import OmegaConf

from segtrain.config.composition import conf_dir
from segtrain.config.objects import build
from segtrain.config.run_config import RunConfig
from segtrain.counted import some_of
from segtrain.data.cautions import group_caution, more_groups
from segtrain.data.datasets import SegmentationDataset
from segtrain.data.duplicates import copies_of, refuse_torn
from segtrain.data.files.columns import Codes
from segtrain.data.split import PARTS, Split, join_twins, statistic_groups
from segtrain.data.split.parts import given_parts, group_expression
from segtrain.data.survey import Skipping, leave_out_bad, open_with_bad
from segtrain.errors import Remark, UserError, hearing, summed
from segtrain.files import in_utf8
from segtrain.nearest_name import did_you_mean, nearest_name
from segtrain.runs import run_files
from segtrain.runs.folder import RunFolder


def named_model(config: RunConfig) -> str:
    """Returns what the network is called: by its choice, or by its class where that is not the choice's own."""
    choice, target = str(config.choices.model), str(config.model.get("_target_"))
    path = conf_dir() / "model" / f"{choice}.yaml"
    own = OmegaConf.select(OmegaConf.load(path), "_target_") if path.is_file() else target
    return choice if own == target else f"{target.rpartition('.')[2]} (model._target_, in place of {choice}'s)"


def build_dataset(config: RunConfig) -> SegmentationDataset:
    """Returns the dataset, without its split."""

    def open_it() -> SegmentationDataset:
        dataset: SegmentationDataset = build(config.dataset, leave_out=["split"])
        _name_in_utf8(dataset)
        return dataset

    if config.data.on_bad == "skip":
        return cast(SegmentationDataset, Skipping(open_with_bad(open_it)))
    return open_it()


def _name_in_utf8(dataset: Any) -> None:
    """Lets ids and groups be text where names of files are none, as they are written, read back, and drawn.

    Raises:
        UserError: two are then the same.
    """
    ids = [in_utf8(name) for name in dataset.ids]
    if ids == [*dataset.ids]:
        return
    if len({*ids}) < len(ids):
        twice = Counter(ids).most_common(1)[0][0]
        raise UserError(
            f"names of files are no UTF-8, and two samples are both called '{twice}' as text; expected names that "
            "differ; rename the files"
        )
    dataset.ids = tuple(ids)
    if getattr(dataset, "groups", None) is not None:
        dataset.groups = [one if one is None else in_utf8(one) for one in dataset.groups]


class OpenData(NamedTuple):
    """Holds a dataset, and what its reader does that its user may not expect."""

    dataset: SegmentationDataset
    heard: Sequence[Remark]

    def lines(self) -> list[str]:
        """Returns a sentence of each, which names some of the files."""
        return [
            f"{'note' if one.is_fine else 'warning'}: {one.message}; {len(one.names)}: {some_of(one.names)}"
            for one in self.heard
        ]


def open_data(config: RunConfig) -> OpenData:
    """Returns the dataset with what was heard while it was built."""
    with hearing() as heard:
        dataset = build_dataset(config)
    return OpenData(dataset, summed(heard))


def build_split(config: RunConfig, dataset: SegmentationDataset) -> Split:
    """Returns which sample trains, validates and tests.

    Raises:
        UserError: there is no split in the config, its values are refused, or the data cannot be split so.
    """
    splitter = build_splitter(config)
    groups = getattr(dataset, "groups", None)
    more: dict[str, Any] = {} if groups is None else {"groups": groups}
    if getattr(splitter, "keeps_twins", False):
        more["twins"] = copies_of(dataset)
    if getattr(splitter, "reads_masks", False):
        more |= {"read": dataset.read, "ignore_index": dataset.ignore_index}
    split: Split = splitter.assign(dataset.ids, dataset.splits, **more)
    judged = given_split(dataset) if getattr(splitter, "cuts_groups", False) else split
    refuse_torn(statistic_groups(dataset.ids, groups, _pattern(config)), judged, allows_leak(config))
    bad = getattr(dataset, "bad", {})
    return leave_out_bad(split, {name: index for index, name in enumerate(dataset.ids)}, bad) if bad else split


def scales_itself(config: RunConfig) -> bool:
    """Returns whether the dataset brings every scan to a range, so that images do not hold what is in the files."""
    return any(config.dataset.get(key) is not None for key in ("normalise", "window"))


def require_split(config: RunConfig, dataset: SegmentationDataset) -> None:
    """Raises UserError where the data cannot be split so, as far as their names tell: copies and masks are not read."""
    splitter = build_splitter(config)
    groups = getattr(dataset, "groups", None)
    if not getattr(splitter, "reads_masks", False):
        splitter.assign(dataset.ids, dataset.splits, **({} if groups is None else {"groups": groups}))


def build_groups(config: RunConfig, dataset: SegmentationDataset) -> Codes:
    """Returns the group of each sample that a statistic draws together: as said, groups that share a copy as one."""
    said = said_groups(config, dataset)
    return Codes(join_twins(said.codes, copies_of(dataset)), said.names)


def said_groups(config: RunConfig, dataset: SegmentationDataset) -> Codes:
    """Returns the group of each sample as the data and the split say it, as `groups_of`; of copies nothing is known."""
    cuts = config.split is not None and getattr(build_splitter(config), "cuts_groups", False)
    cut = given_parts(dataset.ids, dataset.splits)[1] if cuts else None
    return statistic_groups(dataset.ids, getattr(dataset, "groups", None), _pattern(config), cut)


def said_of_groups(config: RunConfig, dataset: SegmentationDataset, split: Split) -> str:
    """Returns what is to be said where all test images are of one group, with the way out that these data have."""
    said = said_groups(config, dataset)
    if not group_caution(said, split.test):
        return ""
    splitter, pool = build_splitter(config), given_parts(dataset.ids, dataset.splits)[1]
    way = more_groups(
        len({*build_groups(config, dataset).codes.tolist()}),
        is_drawn=len(pool) == len(dataset.ids) and not getattr(splitter, "cuts_groups", False),
        folds=config.of_split("k"),
    )
    return group_caution(said, split.test, way)


def allows_leak(config: RunConfig) -> bool:
    """Returns whether images and groups may lie in two parts."""
    return bool(config.of_split("allow_leak"))


def given_split(dataset: SegmentationDataset) -> Split:
    """Returns what the data itself says, samples of which it says nothing as train."""
    parts, pool = given_parts(dataset.ids, dataset.splits)
    return Split(pool.tolist(), parts["val"].tolist(), parts["test"].tolist(), ())


def recorded_split(run: RunFolder, dataset: SegmentationDataset) -> Split:
    """Returns the split in split.json, whatever this version would draw: what a run is judged on it has not seen.

    Raises:
        UserError: a sample is gone.
    """
    known, index = run.split, {name: i for i, name in enumerate(dataset.ids)}
    try:
        return Split(*(tuple(index[name] for name in known[part]) for part in (*PARTS, "unused")))
    except KeyError:
        raise changed_data(run) from None


def changed_data(run: RunFolder) -> UserError:
    """Returns the error that a run cannot go on with these data."""
    return UserError(
        f"the data of {run.path} has changed since the run began (another fingerprint, or other samples "
        f"that cannot be read, than in its {run_files.SPLIT}), or this version of segtrain reads them in another way; "
        f"going on would mix two data sets; restore the data, go on with the version that {run_files.ENVIRONMENT} "
        "names, or start a new run with name=…"
    )


def _pattern(config: RunConfig) -> re.Pattern[str] | None:
    return group_expression(config.of_split("group"))


def build_splitter(config: RunConfig) -> Any:
    """Returns what assigns samples to the parts, without the data.

    Raises:
        UserError: there is no split in the config, or its values are refused.
    """
    if config.split is None:
        raise UserError(
            f"split={config.choices.get('split')} puts nothing at dataset.split; expected one of conf/split, or a file "
            "of your own whose first line is `# @package dataset.split`; add that line"
        )
    return build(config.split, leave_out=["allow_leak"])


def find_sample(dataset: SegmentationDataset, name: str) -> int:
    """Returns the index of a sample by its id.

    Raises:
        UserError: there is none; names the nearest id.
    """
    ids = list(dataset.ids)
    if name in ids:
        return ids.index(name)
    hint = did_you_mean(f"sample={nearest_name(name, ids, 0.0)}").rstrip()
    raise UserError(f"there is no sample '{name}'; expected one of {len(ids)} ids; {hint}")
