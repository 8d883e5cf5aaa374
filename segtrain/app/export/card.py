"""A model card: what a run's network is, was trained on, how well it does, where it was not tried, how to use it.

Source: the sections follow Mitchell et al. 2019, "Model Cards for Model Reporting", arXiv 1810.03993.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segtrain.app.export.card_augmentation import augmentation
from segtrain.app.export.card_scores import limits, results_of, scores
from segtrain.app.export.card_use import use
from segtrain.app.export.formats import run_name
from segtrain.config.run_config import Node, RunConfig
from segtrain.counted import counted
from segtrain.draw.markdown import Row, listed, table
from segtrain.parts.data import named_model
from segtrain.parts.limits import trained_batches
from segtrain.parts.trained_run import Loaded
from segtrain.printable import in_code, in_markdown
from segtrain.runs.epochs import number_of

VERSIONS = ("torch", "lightning", "segmentation-models-pytorch", "timm", "albumentations", "numpy")
LIMITS = ("limit_train_batches", "limit_val_batches", "limit_test_batches")
# Keys of the config that are said where they are set.
MORE = ("early_stopping", "ema", "init_from", "freeze_encoder", "encoder_lr", "deep_supervision")


def card(loaded: Loaded, file: str) -> str:
    """The card in Markdown, from the run folder alone; `file` is the exported file's name.

    Raises:
        UserError: a file of the run folder is missing or damaged.
    """
    results = results_of(loaded.run)
    sections = [_head(loaded, file), _data(loaded), augmentation(loaded.config), _training(loaded)]
    sections += [scores(loaded, results), limits(loaded, results), use(loaded, file)]
    return "\n\n".join(sections) + "\n"


def _head(loaded: Loaded, file: str) -> str:
    config, model, channels = loaded.config, loaded.config.model, loaded.channels
    parameters = sum(parameter.numel() for parameter in loaded.model.network.parameters())
    kind = str(model._target_).rpartition(".")[2]
    encoder = f" with the encoder {model.encoder_name}" if "encoder_name" in model else ""
    labels = [
        (label, name, "#{:02x}{:02x}{:02x}".format(*colour))
        for label, (name, colour) in enumerate(zip(loaded.classes, loaded.palette, strict=True))
    ]
    mean, std = (", ".join(f"{v:.4g}" for v in values.flatten()) for values in (loaded.model.mean, loaded.model.std))
    return (
        f"# Model card: {in_markdown(run_name(loaded.run.path))}\n\n"
        f"{in_code(file)} gives each pixel of an image one of {len(loaded.classes)} classes. It is a "
        f"{in_markdown(kind + encoder)} ({_chosen(config)}) of {parameters / 1e6:.2f} million parameters, trained with "
        f"segtrain; its weights are those after epoch {number_of(loaded.epoch)}, the best by mean Dice on the "
        "validation images.\n\n"
        f"Images have {channels} channel{'s' * (channels > 1)}{' (RGB)' * (channels == 3)} and any size. Pixel values "
        f"go in as stored; those of the training had the mean {mean} and the standard deviation {std}."
        f"{_pixels(loaded)}\n\n" + table(("label", "class", "colour"), labels)
    )


def _pixels(loaded: Loaded) -> str:
    """What is known of the training's pixels, as a sentence behind others."""
    if loaded.pixels is None:
        return ""
    lowest, highest = (", ".join(f"{v:g}" for v in row) for row in (loaded.pixels.lowest, loaded.pixels.highest))
    sizes = "" if loaded.pixels.spacing is None else " and of {:.3g} to {:.3g} mm a side".format(*loaded.pixels.spacing)
    return (
        f" They were {in_markdown(' or '.join(loaded.pixels.dtypes))}, from {lowest} to {highest}{sizes}; images of "
        "another depth or range are other images to the network."
    )


def _chosen(config: RunConfig) -> str:
    named = named_model(config)
    return in_code(f"model={named}" if named == config.choices.model else f"model._target_={config.model._target_}")


def _data(loaded: Loaded) -> str:
    config, split = loaded.config, loaded.run.read_json("split.json")
    sides = [(side, len(split[side])) for side in ("train", "val", "test", "unused")]
    sides += [("cannot be read, left out", len(split["skipped"]))] if split.get("skipped") else []
    divider: Mapping[str, Any] = config.split or {}
    how = {key: value for key, value in divider.items() if key != "_target_"}
    kind = str(divider.get("_target_")).rpartition(".")[2]
    groups = len(set(split.get("groups", {}).values()))
    several = f" The test images come from {groups} group{'s' * (groups > 1)}, such as patients."
    known = several if 0 < groups < len(split["test"]) else ""
    named, divided = in_code(f"dataset={config.choices.dataset}"), in_code(f"split={config.choices.get('split')}")
    return (
        f"## Data\n\n{named} ({in_code(str(config.dataset._target_))}), fingerprint {in_code(split['fingerprint'])}, "
        f"divided by {divided}: {in_markdown(kind)}, {listed(how)}.{known}\n\n" + table(("side", "images"), sides)
    )


def _epochs(loaded: Loaded) -> str:
    """How many epochs were trained, and how many were asked for where those are more."""
    asked, rows = loaded.config.trainer.max_epochs, loaded.run.metrics.rows()
    trained = number_of(int(rows[-1]["epoch"])) if rows else 0
    each = counted(trained, "epoch")
    return each if trained == asked else f"{each} of {asked} asked for, each"


def _batches(config: RunConfig) -> str:
    steps = config.data.steps_per_epoch
    return "all" if steps is None else str(trained_batches(config, steps))


def _training(loaded: Loaded) -> str:
    config, env, status = loaded.config, loaded.run.read_json("env.json"), loaded.run.status
    data, packages = config.data, env["packages"]
    rows: list[Row] = [
        (
            "length",
            f"{_epochs(loaded)} of {_batches(config)} batches of {data.batch_size}",
        ),
        *((f"trainer.{key}", config.trainer[key]) for key in LIMITS if config.trainer.get(key) is not None),
        *((part, _called(config, part)) for part in ("loss", "optimizer", "scheduler")),
        *((key, _short(config[key])) for key in MORE if config.get(key) not in (None, False, 0, 1)),
        ("seed", f"{config.seed}; deterministic {config.deterministic}, {counted(config.threads, 'thread')}"),
        ("machine", f"{env['device']}, precision {env['precision']}"),
        ("begun, ended", f"{status['started_at']}, {status['ended_at'] or 'not yet'}"),
        ("code", f"segtrain {packages.get('segtrain')}, commit {env['segtrain_commit'] or 'unknown'}"),
        ("packages", ", ".join(f"{name} {packages[name]}" for name in VERSIONS if name in packages)),
    ]
    return "## Training\n\n" + table(("what", "how"), rows)


def _short(value: Any) -> Any:
    """A path without the folders that lead to the run or file: a card goes to other machines."""
    return "/".join(Path(value).parts[-2:]) if isinstance(value, str) else value


def _called(config: RunConfig, part: str) -> str:
    """A group's choice, its class and arguments."""
    node: Node = config[part]
    arguments = {key: value for key, value in node.items() if key not in ("_target_", "_partial_")}
    chosen, kind = in_code(f"{part}={config.choices[part]}"), str(node["_target_"]).rpartition(".")[2]
    return f"{chosen}: {kind}, {listed(arguments)}"
