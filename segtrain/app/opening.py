"""Which folder a run gets, and whether it begins, goes on, or is refused."""

import contextlib
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from segtrain.app import device
from segtrain.app.assembly import Parts
from segtrain.config import choices_of, plain
from segtrain.errors import UserError
from segtrain.runs import checkpoint
from segtrain.runs.environment import environment
from segtrain.runs.folder import RunFolder, folder_name
from segtrain.values import check_values


@dataclass(frozen=True)
class Opened:
    """A run folder, its config with every `auto` decided, and the checkpoint to go on from."""

    run: RunFolder
    config: DictConfig
    checkpoint: Path | None

    @contextlib.contextmanager
    def status(self) -> Iterator[None]:
        """status.json while the block runs: running, then finished, interrupted or failed with the error."""
        self.run.set_status("running")
        try:
            yield
        except (KeyboardInterrupt, SystemExit) as stop:  # Lightning turns Ctrl-C into SystemExit
            self.run.set_status("interrupted")
            raise KeyboardInterrupt from stop
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
        fingerprint = parts.dataset.fingerprint()
        if self.checkpoint is not None and self.run.read_json("split.json")["fingerprint"] != fingerprint:
            raise UserError(
                f"the data of {self.run.path} has changed since the run began (another fingerprint than in its "
                "split.json); going on would mix two data sets; restore the data or start a new run with name=…"
            )
        self.run.write_json("split.json", {"fingerprint": fingerprint, **sides})
        known = {"device": parts.device, "threads": self.config.threads, "precision": self.config.trainer.precision}
        self.run.write_json(
            "env.json", environment({**known, "seed": self.config.seed, "data_fingerprint": fingerprint})
        )


def open_run(config: DictConfig) -> Opened:
    """The run that the command means: a named folder to go on with, or the one its overrides name.

    Raises:
        UserError: it is finished, or exists with another config, or `resume` comes with other overrides.
    """
    typed = list(HydraConfig.get().overrides.task)
    if config.resume is not None:
        return _resume(find_run(config.resume, Path(config.outputs)), typed)
    run = RunFolder(Path(config.outputs) / config.name / folder_name(typed))
    container = decided(config)
    text = OmegaConf.to_yaml(container)
    if run.exists and run.status["state"] == "finished":
        raise _finished(run)
    if run.exists and (run.checkpoints / "last.ckpt").exists():
        _require_same(run, text)
        return _resume(run, [])
    run.create(text, typed)
    return Opened(run, DictConfig(container), None)


def decided(config: DictConfig) -> dict[str, Any]:
    """The config as plain containers with every `auto` replaced by what this machine calls for."""
    check_values(config)
    choices = choices_of(HydraConfig.get())
    container = {**plain(config, choices), "choices": choices}
    accelerator = container["trainer"]["accelerator"] = device.accelerator(container["trainer"]["accelerator"])
    if container["trainer"]["precision"] == "auto":
        container["trainer"]["precision"] = device.precision(accelerator)
    if container["data"]["num_workers"] == "auto":
        container["data"]["num_workers"] = 0 if accelerator == "cpu" else min(8, container["threads"])
    return container


def find_run(name: str, outputs: Path) -> RunFolder:
    """The run folder of that path, or of that unique name below `outputs`.

    Raises:
        UserError: there is none, or more than one.
    """
    if (Path(name) / "config.yaml").is_file():
        return RunFolder(name)
    runs = [p.parent for p in outputs.glob("*/*/config.yaml")]
    matches = [p for p in runs if p.name == name or p.as_posix().endswith(f"/{name}")]
    if len(matches) == 1:
        return RunFolder(matches[0])
    if matches:
        raise UserError(f"'{name}' is {len(matches)} runs: {', '.join(map(str, matches))}; give the whole path")
    near = difflib.get_close_matches(name, [str(p) for p in runs], 1, 0.3)
    raise UserError(
        f"'{name}' is no run folder: expected a folder with a config.yaml in it, or the unique name of one below "
        f"{outputs}/{'; did you mean ' + near[0] + '?' if near else ''}"
    )


def _resume(run: RunFolder, typed: list[str]) -> Opened:
    others = [o for o in typed if o.split("=")[0] not in ("resume", "debug", "outputs")]
    if others:
        raise UserError(
            f"resume takes everything from {run.path}/config.yaml; got also {', '.join(others)}; "
            "leave them out, or start a new run without resume"
        )
    if run.status["state"] == "finished":
        raise _finished(run)
    config = DictConfig(OmegaConf.create(run.config_text()))
    if not (run.checkpoints / "last.ckpt").exists():
        return Opened(run, config, None)  # stopped before its first checkpoint: from the start, same draws
    path, warning = checkpoint.newest(run.checkpoints)
    if warning:
        print(f"warning: {warning}")
    run.metrics.cut(checkpoint.read(path)["epoch"])
    return Opened(run, config, path)


def _finished(run: RunFolder) -> UserError:
    return UserError(
        f"{run.path} is already finished (its results.json is there); nothing was run; "
        "to run again choose another name=… or seed=…, or move the folder away"
    )


def _require_same(run: RunFolder, text: str) -> None:
    changed = [
        line
        for line in difflib.unified_diff(run.config_text().splitlines(), text.splitlines(), lineterm="", n=0)
        if line[0] in "+-" and line[:3] not in ("+++", "---")
    ]
    if changed:
        difference = "\n  ".join(changed)
        raise UserError(
            f"{run.path} was begun with another config, and going on would mix the two; the difference (- there, "
            f"+ now):\n  {difference}\nchoose another name=…, or go on as it was with resume={run.path}"
        )
