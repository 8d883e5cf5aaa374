"""`python -m segtrain preview`: what a policy does to samples of the user's own data, without training."""

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from segtrain.config.composition import choices_of, plain
from segtrain.config.values import check_values
from segtrain.parts.data import build_dataset
from segtrain.runs.find_run import find_run


def preview(config: DictConfig) -> Path:
    """Draws samples at growing strength and each op alone; or, with replay=RUN, one sample as that run saw it.

    Returns:
        The folder of strengths.png, ops.png, draws.json and preview.html.
    """
    typed = list(HydraConfig.get().overrides.task)
    check_values(config)
    if config.replay is not None:
        find_run(str(config.replay), Path(config.outputs))  # a mistake is told before the seconds of an import
        from segtrain.app.preview.replay import replay  # needs the run's page, which imports Lightning: 3 s

        return replay(config, typed)
    choices = choices_of(HydraConfig.get())
    decided: dict[str, Any] = {**plain(config, choices), "choices": choices}
    config = DictConfig(decided)
    OmegaConf.to_container(config.aug, resolve=True)  # amounts, which strength scales
    dataset = build_dataset(config)
    from segtrain.app.preview.page import write_preview  # torch, with albumentations: mistakes are told by now

    return write_preview(config, dataset, typed)
