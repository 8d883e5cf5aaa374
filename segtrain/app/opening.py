"""Which folder a run gets, and whether it begins, goes on, is there already, or is refused."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from segtrain.app import changes, device
from segtrain.app.assembly import Parts
from segtrain.app.sources import allows_leak, build_groups, changed_data
from segtrain.app.stops import Stopped
from segtrain.config import choices_of, plain
from segtrain.data.leaks import refuse_leaks
from segtrain.errors import UserError
from segtrain.runs import checkpoint
from segtrain.runs.environment import environment
from segtrain.runs.folder import RunFolder
from segtrain.values import check_values


@dataclass(frozen=True)
class Opened:
    """A run folder, its config with every `auto` decided, and the checkpoint to go on from."""

    run: RunFolder
    config: DictConfig
    checkpoint: Path | None
    finished: bool = False  # nothing is left to do
    keeps_split: bool = False  # it goes on with the split that it recorded, which nobody asked to change

    @contextlib.contextmanager
    def status(self) -> Iterator[None]:
        """status.json while the block runs: running, then finished, interrupted or failed with the error."""
        self.run.set_status("running")
        try:
            yield
        except Stopped:
            self.run.set_status("interrupted")
            raise
        except BaseException as error:
            self.run.set_status("failed", error=f"{type(error).__name__}: {error}")
            raise
        self.run.set_status("finished")

    def record(self, parts: Parts) -> None:
        """Write env.json and split.json.

        Raises:
            UserError: the run went on, and its data or split are not what they were.
        """
        ids, split = parts.dataset.ids, parts.data.split
        sides = {side: [ids[i] for i in getattr(split, side)] for side in ("train", "val", "test", "unused")}
        fingerprint, skipped = parts.fingerprint, getattr(parts.dataset, "bad", {})
        before = self.run.read_json("split.json") if self.checkpoint is not None else None
        if before and (before["fingerprint"], before["skipped"]) != (fingerprint, skipped):
            raise changed_data(self.run)
        self._refuse_leaks(parts)
        groups = build_groups(self.config, parts.dataset)
        tested = {ids[i]: groups[i] for i in split.test}
        self.run.write_json("split.json", {"fingerprint": fingerprint, **sides, "skipped": skipped, "groups": tested})
        known = {"device": parts.device, "threads": self.config.threads, "precision": self.config.trainer.precision}
        known |= {"deterministic": self.config.deterministic, "seed": self.config.seed}
        self.run.write_json("env.json", environment({**known, "data_fingerprint": fingerprint}))

    def _refuse_leaks(self, parts: Parts) -> None:
        """Raises UserError when copies of an image lie in two parts; of a run that goes on it is said only."""
        hashes = getattr(parts.dataset, "hashes", lambda: None)()
        try:
            refuse_leaks(parts.dataset.ids, parts.data.split, hashes or (), allows_leak(self.config))
        except UserError as error:
            if not self.keeps_split:
                raise
            print(f"warning: {error}")


def open_run(config: DictConfig, run: RunFolder) -> Opened:
    """Begin the run or go on with it; this process must hold the lock of its folder.

    Raises:
        UserError: resume of a finished run without more to do; a change that would mix two runs into one.
    """
    typed = list(HydraConfig.get().overrides.task)
    if config.resume is not None:
        saved = changes.completed(run.config())
        return _go_on(run, saved, changes.with_typed(saved, config.resume_with, check_values), config)
    now = DictConfig(decided(config))
    if not _has_begun(run):
        run.create(OmegaConf.to_yaml(now), typed)
        return Opened(run, now, None)
    saved = changes.completed(run.config())
    return _go_on(run, saved, changes.keeping_decided(saved, now, typed), config)


def decided(config: DictConfig) -> dict[str, Any]:
    """The config as plain containers with every `auto` replaced by what this machine calls for."""
    choices = choices_of(HydraConfig.get())
    container = {**plain(config, choices), "choices": choices}
    accelerator = container["trainer"]["accelerator"] = device.accelerator(container["trainer"]["accelerator"])
    if container["trainer"]["precision"] == "auto":
        container["trainer"]["precision"] = device.precision(accelerator)
    if container["data"]["num_workers"] == "auto":
        container["data"]["num_workers"] = 0 if accelerator == "cpu" else min(8, container["threads"])
    return container


def _has_begun(run: RunFolder) -> bool:
    """Whether there is something to go on with: results or a checkpoint; else a run is begun again."""
    return run.exists and (run.status["state"] == "finished" or any(run.checkpoints.glob("*.ckpt")))


def _go_on(run: RunFolder, saved: DictConfig, now: DictConfig, config: DictConfig) -> Opened:
    found = changes.differences(saved, now)
    if never := changes.fixed(found):
        raise UserError(
            f"{run.path} cannot go on with another {' or '.join(never)}, which made what its checkpoints hold; the "
            f"difference:{changes.shown(never)}\ngo on as it was with resume='{run.path}', or begin a new run with "
            f"name=… (init_from='{run.path}' gives it these weights)"
        )
    if bad := changes.refused(found, config.resume_allow):
        raise UserError(
            f"{run.path} was begun with another config, and going on would mix the two; the difference:"
            f"{changes.shown(bad)}\nchoose another name=…, go on as it was with resume='{run.path}', or allow it with "
            f"resume_allow=[{','.join(bad)}], which the run records"
        )
    longer = now.trainer.max_epochs > saved.trainer.max_epochs
    if run.status["state"] == "finished" and not longer:
        if config.resume is not None:
            raise UserError(
                f"{run.path} is already finished (its results.json is there); nothing was run; to train it longer give "
                f"trainer.max_epochs above {saved.trainer.max_epochs}; to run again choose another name=… or seed=…"
            )
        return Opened(run, saved, None, finished=True)
    if run.status["state"] == "finished" and saved.checkpoint.keep == "best":
        raise UserError(
            f"{run.path} is finished and, by checkpoint.keep=best, has no checkpoint to train longer from; expected "
            "a run with checkpoint.keep=all; train again with another name=… and trainer.max_epochs as you want it"
        )
    path = None
    if any(run.checkpoints.glob("*.ckpt")):
        path, warning = checkpoint.newest(run.checkpoints)
        if warning:
            print(f"warning: {warning}")
        run.metrics.cut(checkpoint.read(path)["DataModule"]["epoch"] - 1)
    if found:
        run.change(OmegaConf.to_yaml(now), {key: list(pair) for key, pair in found.items()})
    return Opened(run, now, path, keeps_split=path is not None and not changes.divides_anew(found))
