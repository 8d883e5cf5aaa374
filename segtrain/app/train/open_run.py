"""Opens the folder of a run: decides whether it begins, goes on, is there already, or is refused.

Torch is imported where the machine or a checkpoint is asked: what can be refused before that is refused at once.
"""

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from segtrain import launchers
from segtrain.config.composition import cores, run_config
from segtrain.config.run_config import RunConfig
from segtrain.counted import counted
from segtrain.data.duplicates import refuse_leaks
from segtrain.errors import UserError
from segtrain.interrupts import Stopped
from segtrain.parts import config_changes as changes
from segtrain.parts.config_changes import Differences, is_same
from segtrain.parts.data import OpenData, allows_leak, build_groups, changed_data, open_data
from segtrain.printable import print_text
from segtrain.runs import lock, run_files
from segtrain.runs.contents import is_whole
from segtrain.runs.environment import environment
from segtrain.runs.folder import RunFolder

if TYPE_CHECKING:
    from segtrain.app.train.assembly import Parts


@dataclass
class Opened:
    """Holds a run folder, its config with every `auto` decided, and the checkpoint to go on from.

    The folder of a run that goes on stays as it is until training has taken up the checkpoint (`begin`): what cannot
    go on leaves what was there.
    """

    run: RunFolder
    config: RunConfig
    checkpoint: Path | None
    finished: bool = False  # nothing is left to do
    keeps_split: bool = False  # it goes on with the split that it recorded, which nobody asked to change
    changed: Differences | None = None  # in a run that goes on, what of its config is another now; None: a new run
    epochs: int = 0  # whole epochs that the checkpoint has behind it, and batches of the next one
    batches: int = 0
    begun: bool = False
    is_made: bool = False  # its folder was made for it, and goes with a mistake that is found before it begins

    @contextlib.contextmanager
    def status(self) -> Iterator[None]:
        """Writes status.json while the block runs: running, then finished, interrupted or failed with the error.

        A run that goes on is marked so only from `begin` on.
        """
        if self.changed is None:
            self.run.set_status("running")
        try:
            yield
        except BaseException as error:
            if self.is_made and not self.begun and isinstance(error, UserError):
                clear_folder(self.run.path)
            elif self.begun or self.changed is None:
                self._record_end(error)
            raise
        self.run.set_status("finished")

    def _record_end(self, error: BaseException) -> None:
        if isinstance(error, Stopped):
            self.run.set_status("interrupted")
        else:
            self.run.set_status("failed", error=f"{type(error).__name__}: {error}")

    def begin(self, parts: "Parts") -> None:
        """Writes what the run is from now on; does nothing when called again.

        Raises:
            UserError: a logger that is not installed.
        """
        if self.begun:
            return
        parts.logbook.open([row for row in self.run.metrics.rows() if row["epoch"] < self.epochs])
        self.begun = True
        if self.changed is not None:
            self.run.set_status("running")
            self.run.metrics.cut(self.epochs - 1)
        if self.changed:
            pairs = {key: list(pair) for key, pair in self.changed.items()}
            self.run.change(self.config.yaml, pairs, self.epochs, self.batches)
        self._record(parts)

    def require_same_data(self, parts: "Parts") -> None:
        """Raises UserError unless the data of a run that goes on are what they were, and its parts share no image."""
        fingerprint, skipped = parts.fingerprint, getattr(parts.dataset, "bad", {})
        if self.checkpoint is not None:
            same = is_same(self.run, self.config, parts.dataset, fingerprint)
            if not same or {*self.run.split["skipped"]} != {*skipped}:  # why may name a moved path
                raise changed_data(self.run)
        self._refuse_leaks(parts)

    def _record(self, parts: "Parts") -> None:
        """Writes env.json and split.json."""
        ids, split = parts.dataset.ids, parts.data.split
        sides = {side: [ids[i] for i in getattr(split, side)] for side in ("train", "val", "test", "unused")}
        fingerprint, skipped = parts.fingerprint, getattr(parts.dataset, "bad", {})
        if self.checkpoint is not None:  # an older version's stays, which the other runs of a sweep hold
            fingerprint = self.run.split["fingerprint"]
        groups = build_groups(self.config, parts.dataset)
        tested = {ids[i]: groups[i] for i in split.test}
        facts = {"skipped": skipped, "groups": tested, "pixels": parts.pixels.to_json()}
        self.run.write_split({"fingerprint": fingerprint, **sides, **facts})
        known = {"device": parts.device, "threads": self.config.threads, "precision": self.config.trainer.precision}
        known |= {"deterministic": self.config.deterministic, "seed": self.config.seed}
        self.run.write_environment(environment({**known, "data_fingerprint": fingerprint}))

    def _refuse_leaks(self, parts: "Parts") -> None:
        """Raises UserError when copies of an image lie in two parts; of a run that goes on it is said only."""
        hashes = getattr(parts.dataset, "hashes", lambda: None)()
        try:
            refuse_leaks(parts.dataset.ids, parts.data.split, hashes or (), allows_leak(self.config))
        except UserError as error:
            if not self.keeps_split:
                raise
            print_text(f"warning: {error}")


def clear_folder(folder: Path) -> None:
    """Empties the folder of a run, but for the lock that its process holds."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != lock.NAME:
            path.unlink()


@contextlib.contextmanager
def leave_nothing(run: RunFolder) -> Iterator[None]:
    """Takes away the folder that a refused run leaves empty, once its lock is gone from it, and that above likewise."""
    try:
        yield
    except UserError:
        with contextlib.suppress(OSError):  # of a run that began, or that another process has found meanwhile
            run.path.rmdir()
            run.path.parent.rmdir()
        raise


def open_run(config: DictConfig, run: RunFolder, data: OpenData | None = None) -> Opened:
    """Begins the run or goes on with it; this process must hold the lock of its folder.

    Args:
        config: as composed.
        run: which it means.
        data: of its config, where they are open already.

    Raises:
        UserError: resume of a finished run without more to do; a change that would mix two runs into one.
    """
    typed: Any = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)  # ${…} as it was typed
    if config.resume is not None:
        saved = changes.completed(RunConfig(run.config()))
        wanted = changes.keeping_found(saved, changes.with_typed(saved, config.resume_with))
        return _go_on(run, saved, _with_devices(wanted), config.resume_allow, is_named=True)
    now = decided_config(run_config(config))
    if not _has_begun(run):
        now = with_batch_size(now, data)
        is_made = {path.name for path in run.path.iterdir()} <= {lock.NAME}  # not by a sweep, nor by an older run
        run.create(now.yaml, typed)
        return Opened(run, now, None, is_made=is_made)
    saved = changes.completed(RunConfig(run.config()))
    return _go_on(run, saved, changes.keeping_decided(saved, now, typed), config.resume_allow, is_named=False)


def decided_config(config: RunConfig) -> RunConfig:
    """Returns the config with every `auto` replaced by what this machine calls for."""
    from segtrain.parts import device

    accelerator = device.accelerator(config.trainer.accelerator)
    found: dict[str, Any] = {"trainer.accelerator": accelerator}
    if config.trainer.precision == "auto":
        found["trainer.precision"] = device.precision(accelerator)
    if config.data["num_workers"] == "auto":
        found["data.num_workers"] = 0 if accelerator == "cpu" else min(8, config.threads)
    decided = _with_devices(config.changed(found))
    here = len(device.gpus_of(accelerator, decided.trainer["devices"]))
    if here > 1 and config.data["num_workers"] == "auto":  # of each process
        decided = decided.changed({"data.num_workers": min(8, max(1, cores() // here))})
    return decided


def _with_devices(config: RunConfig) -> RunConfig:
    """Returns the config with the number of devices in place of `auto`.

    Raises:
        UserError: devices, machines or a strategy that cannot be.
    """
    trainer = config.trainer
    if trainer["devices"] in (1, "1") and not launchers.find_place() and int(trainer.get("num_nodes") or 1) == 1:
        return config
    from segtrain.parts import device

    place = launchers.find_place()
    devices = device.number_of_devices(trainer["devices"], trainer.accelerator, place)
    found = config.changed({"trainer.devices": devices})
    device.require_devices("trainer.devices", trainer.accelerator, devices, int(trainer.get("num_nodes") or 1), place)
    _require_together(found, device.ranks_of(found.trainer))
    return found


def _require_together(config: RunConfig, ranks: int) -> None:
    """Raises UserError where so many processes cannot train by this config."""
    if ranks == 1:
        return
    if config.data["batch_size"] == "auto" or config.value_of("compile"):
        got = "data.batch_size=auto" if config.data["batch_size"] == "auto" else "compile=true"
        raise UserError(
            f"{got} is tried out on one device, and {ranks} are to train together; expected a batch size that is a "
            f"number, which they share, and steps that are not compiled; got {got}; give data.batch_size a number, and "
            "leave compile out"
        )
    if config.data.batch_size < ranks:
        raise UserError(
            f"data.batch_size is {config.data.batch_size}, and {ranks} devices share each batch; expected a sample for "
            f"each; give data.batch_size={ranks} or more, or fewer trainer.devices"
        )
    if config.trainer.get("strategy") != "fsdp":
        return
    taken = {key: config[key] for key in ("ema", "freeze_encoder", "deep_supervision") if config[key]}
    if str(config.trainer.precision) in ("16-mixed", "16"):
        taken["trainer.precision"] = config.trainer.precision
    if taken:
        raise UserError(
            f"trainer=fsdp divides the weights among the devices, which {' and '.join(taken)} cannot go with; expected "
            f"none of these; got {', '.join(f'{key}={value}' for key, value in taken.items())}; leave them out, or "
            "give trainer=ddp"
        )


def with_batch_size(config: RunConfig, data: OpenData | None) -> RunConfig:
    """Returns the config of a new run with data.batch_size=auto replaced by the most that memory holds.

    Args:
        config: decided but for that.
        data: of the config, where they are open already.
    """
    if config.data["batch_size"] != "auto":
        return config
    from segtrain.app.train.batch_size import find_batch_size  # torch, and a network

    found = find_batch_size(config, (open_data(config) if data is None else data).dataset)
    print_text(f"data.batch_size=auto: {counted(found, 'sample')} a batch, as many as fit by doubling")
    return config.changed({"data.batch_size": found})


def _has_begun(run: RunFolder) -> bool:
    """Returns whether there is something to go on with: results or a checkpoint; else a run is begun again."""
    return run.exists and (run.status["state"] == "finished" or run.has_checkpoint)


def _go_on(run: RunFolder, saved: RunConfig, now: RunConfig, allowed: Sequence[str], *, is_named: bool) -> Opened:
    """Returns how a run goes on, whose keys `allowed` may differ; `is_named` by resume."""
    found = changes.differences(saved, now)
    if never := changes.fixed(found, str(saved.scheduler._target_)):
        raise UserError(
            f"{run.path} cannot go on with another {' or '.join(never)}, which made what its checkpoints hold; the "
            f"difference:{changes.difference_lines(never)}\ngo on as it was with resume='{run.path}', or begin a new "
            f"run with name=… (init_from='{run.path}' gives it these weights)"
        )
    if bad := changes.refused(found, allowed):
        raise UserError(
            f"{run.path} was begun with another config, and going on would mix the two; the difference:"
            f"{changes.difference_lines(bad)}\nchoose another name=…, go on as it was with resume='{run.path}', or "
            f"allow it with resume_allow=[{','.join(bad)}], which the run records"
        )
    is_finished = run.status["state"] == "finished"
    if is_finished and now.trainer.max_epochs <= saved.trainer.max_epochs and "early_stopping" not in found:
        if is_named:
            raise UserError(
                f"{run.path} is already finished (its {run_files.RESULTS} is there); nothing was run; to train it "
                f"longer give trainer.max_epochs above {saved.trainer.max_epochs}; to run again choose "
                "another name=… or seed=…"
            )
        return Opened(run, saved, None, finished=True)
    if not run.has_checkpoint:
        if is_finished:
            raise UserError(
                f"{run.path} is finished and has no checkpoint to train longer from: checkpoint.keep=best leaves none; "
                "expected a run with checkpoint.keep=all; train again with another name=… and trainer.max_epochs as "
                "you want it"
            )
        return Opened(run, now, None, changed=found)
    from segtrain.runs import checkpoint

    path, warning = checkpoint.newest(run.checkpoints)
    if warning:
        print_text(f"warning: {warning}")
    state = checkpoint.read_training(path)
    done = state["DataModule"]
    _require_more(run, now, done["epoch"] + (done["batches"] > 0), state["callbacks"] if is_finished else {})
    keeps_split = not changes.divides_anew(found)
    return Opened(run, now, path, False, keeps_split, found, epochs=done["epoch"], batches=done["batches"])


def _require_more(run: RunFolder, now: RunConfig, begun: int, finished: Mapping[str, Any]) -> None:
    """Raises UserError when there is nothing to train, or less than was trained.

    Args:
        run, now: the run, and its config as it is to be.
        begun: epochs that were trained, the last one perhaps in part.
        finished: states of the callbacks of a run that is finished.
    """
    if now.trainer.max_epochs < begun:
        raise UserError(
            f"{run.path} is in its epoch {begun} already, and its weights are of that training; expected "
            f"trainer.max_epochs of {begun} or more; got {now.trainer.max_epochs}; for a shorter training begin a new "
            "run with name=…"
        )
    waits = [s.get("wait_count") for key, s in finished.items() if key.startswith("EarlyStopping")]
    waited = max((count for count in waits if is_whole(count)), default=0)
    if now.early_stopping is not None and waited >= now.early_stopping:
        raise UserError(
            f"{run.path} was ended by early_stopping after {begun} epochs, {waited} of them without a better val/dice, "
            f"and would end at once; expected early_stopping above {waited}, or null; got {now.early_stopping}; give "
            "early_stopping=null resume_allow=[early_stopping]"
        )
    if finished and now.trainer.max_epochs == begun:
        raise UserError(
            f"{run.path} is finished, all of its {begun} epochs are trained, and no more are asked for; give "
            f"trainer.max_epochs above {begun}"
        )
