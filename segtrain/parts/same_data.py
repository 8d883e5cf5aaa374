"""Answers whether the data at hand are those that a run was trained on, by the fingerprint in its split.json."""

from segtrain.config.run_config import RunConfig
from segtrain.data.datasets import SegmentationDataset
from segtrain.parts.config_changes import completed, differences, refused
from segtrain.runs.folder import RunFolder


def is_same(run: RunFolder, config: RunConfig, dataset: SegmentationDataset, fingerprint: str) -> bool:
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
