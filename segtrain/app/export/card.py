"""Fills in a model card: what a network is, was trained on, how well it does, where it was not tried, how to use it.

The sentences are in card.md, in parts that begin with a name; here is what stands in their fields.
Source: the sections follow Mitchell et al. 2019, "Model Cards for Model Reporting", arXiv 1810.03993.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template
from typing import Any

from segtrain.app.export.card_scores import Results, limit_fields, results_of, score_fields
from segtrain.aug.trace import OPS
from segtrain.command_line import command
from segtrain.counted import counted
from segtrain.draw.html_page import Row, block, bullets, listed, table
from segtrain.parts import evaluation
from segtrain.parts.data import named_model
from segtrain.parts.limits import trained_batches
from segtrain.parts.network import Loaded
from segtrain.parts.policy import resolved_policy
from segtrain.printable import in_code, in_markdown, one_line
from segtrain.runs.ensemble import average_words, ensemble_of, run_name
from segtrain.runs.epochs import number_of

TEMPLATE = Path(__file__).with_name("card.md")
VERSIONS = ("torch", "lightning", "segmentation-models-pytorch", "timm", "albumentations", "numpy")
LIMITS = ("limit_train_batches", "limit_val_batches", "limit_test_batches")
# Keys of the config that are said where they are set.
MORE = ("early_stopping", "ema", "init_from", "freeze_encoder", "encoder_lr", "deep_supervision")
READS = {kind.__name__: ops for kind, ops in OPS.items()}
AFFINE = ("rotate", "scale", "shear", "translate")  # ops that the chance `affine` switches together
Node = dict[str, Any]


def fill_card(loaded: Loaded, file: str) -> str:
    """Returns the card in Markdown, from the run folder alone; `file` is the exported file's name.

    Raises:
        UserError: a file of the run folder is missing or damaged.
    """
    texts, results = _texts(), results_of(loaded.run)
    fields = {
        **_network(loaded, file, texts),
        **_data(loaded, texts),
        **_augmentation(loaded, texts),
        "training": table(("what", "how"), _training(loaded)),
        "scores": _filled(texts["scores"], score_fields(loaded, results)) if results else _filled(texts["no scores"]),
        "limits": bullets(_limits(loaded, results, texts)),
        **_use(loaded, file, texts),
    }
    return _filled(texts["card"], fields) + "\n"


def _texts() -> dict[str, str]:
    """Returns the parts of the template by their names."""
    parts = re.split(r"^<!-- (.+) -->\n", TEMPLATE.read_text("utf-8"), flags=re.MULTILINE)[1:]
    return {name: text.strip("\n") for name, text in zip(parts[::2], parts[1::2], strict=True)}


def _filled(text: str, fields: dict[str, Any] | None = None, before: str = "") -> str:
    return before + Template(text).substitute(fields or {})


def _network(loaded: Loaded, file: str, texts: dict[str, str]) -> Node:
    config, model, channels, runs = loaded.config, loaded.config.model, loaded.channels, [o.run for o in loaded.all]
    encoder = f" with the encoder {model.encoder_name}" if "encoder_name" in model else ""
    named, target = named_model(config), str(model._target_)
    network = next(loaded.model.network.children()) if loaded.others else loaded.model.network  # the first one
    labels = [
        (label, name, "#{:02x}{:02x}{:02x}".format(*colour))
        for label, (name, colour) in enumerate(zip(loaded.classes, loaded.palette, strict=True))
    ]
    mean, std = (", ".join(f"{v:.4g}" for v in values.flatten()) for values in (loaded.model.mean, loaded.model.std))
    return {
        "run": in_markdown(average_words(runs) if loaded.others else run_name(loaded.run.path)),
        "file": in_code(file),
        "ensemble": _ensemble(loaded, file, texts),
        "number": len(loaded.classes),
        "kind": in_markdown(target.rpartition(".")[2] + encoder),
        "model": in_code(f"model={named}" if named == config.choices.model else f"model._target_={target}"),
        "millions": f"{sum(one.numel() for one in network.parameters()) / 1e6:.2f}",
        "epoch": number_of(loaded.epoch),
        "channels": counted(channels, "channel") + " (RGB)" * (channels == 3),
        "mean": mean,
        "std": std,
        "pixels": _pixels(loaded, texts),
        "classes": table(("label", "class", "colour"), labels),
    }


def _names(loaded: Loaded) -> list[str]:
    """Returns NAME/RUN of each run, or the name of the one ensemble that they are."""
    runs = [one.run for one in loaded.all]
    ensemble = ensemble_of(runs) if loaded.others else None
    return [run_name(run.path) for run in runs] if ensemble is None else [run_name(ensemble)]


def _ensemble(loaded: Loaded, file: str, texts: dict[str, str]) -> str:
    """Returns that the file holds several networks, where it does, as a paragraph before others."""
    if not loaded.others:
        return ""
    names = ", ".join(in_markdown(run_name(one.run.path)) for one in loaded.all)
    fields = {"file": in_code(file), "number": len(loaded.all), "runs": names}
    return _filled(texts["ensemble"], fields) + "\n\n"


def _pixels(loaded: Loaded, texts: dict[str, str]) -> str:
    """Returns what is known of the training's pixels, as a sentence behind others."""
    if loaded.pixels is None:
        return ""
    lowest, highest = (", ".join(f"{v:g}" for v in row) for row in (loaded.pixels.lowest, loaded.pixels.highest))
    sizes = "" if loaded.pixels.spacing is None else " and of {:.3g} to {:.3g} mm a side".format(*loaded.pixels.spacing)
    dtypes = in_markdown(" or ".join(loaded.pixels.dtypes))
    return _filled(texts["pixels"], {"dtypes": dtypes, "lowest": lowest, "highest": highest, "sizes": sizes}, " ")


def _data(loaded: Loaded, texts: dict[str, str]) -> Node:
    config, split = loaded.config, loaded.run.split
    sides = [(side, len(split[side])) for side in ("train", "val", "test", "unused")]
    sides += [("cannot be read, left out", len(split["skipped"]))] if split.get("skipped") else []
    splitter: Mapping[str, Any] = config.split or {}
    how = {key: value for key, value in splitter.items() if key != "_target_"}
    groups = len(set(split.get("groups", {}).values()))
    are_known = 0 < groups < len(split["test"])
    return {
        "dataset": in_code(f"dataset={config.choices.dataset}"),
        "reader": in_code(str(config.dataset._target_)),
        "fingerprint": in_code(split["fingerprint"]),
        "split": in_code(f"split={config.choices.get('split')}"),
        "splitter": in_markdown(str(splitter.get("_target_")).rpartition(".")[2]),
        "split_values": listed(how),
        "groups": _filled(texts["groups"], {"groups": counted(groups, "group")}, " ") if are_known else "",
        "parts": table(("side", "images"), sides),
    }


def _augmentation(loaded: Loaded, texts: dict[str, str]) -> Node:
    """Returns the policy at the run's strength: each op's range, and its chance."""
    config, aug = loaded.config, resolved_policy(loaded.config)
    rows = [row for node in aug["transforms"] for row in _ops(node, "")] if aug["strength"] else []
    ops = {"table": table(("op", "range", "chance"), rows)}
    crop = config.data.crop
    return {
        "aug": in_code(f"aug={config.choices.aug}"),
        "strength": f"{aug['strength']:g}",
        "schedule": in_markdown(str(aug.get("schedule", "constant"))),
        "crops": f"random crops of {crop} pixels" if crop else "whole images",
        "ops": _filled(texts["ops"], ops) if rows else _filled(texts["no ops"]),
    }


def _ops(node: Node, before: str) -> Iterator[tuple[str, str, str]]:
    """Yields op, range and chance of each op of a transform's config."""
    kind = str(node["_target_"]).rpartition(".")[2]
    p = float(node.get("p", 1.0))
    if kind in READS:
        yield from _own_ops(node, READS[kind], p, before)
    elif isinstance(node.get("transforms"), list):
        inside = f"{before}{kind}{f' (chance {p:g})' if 'p' in node else ''} / "
        for inner in node["transforms"]:
            yield from _ops(inner, inside)
    else:
        said = {key: value for key, value in node.items() if key not in ("_target_", "p")}
        told = ", ".join(f"{key} {value}" for key, value in said.items())
        yield f"{before}{kind}", told, f"{p:g}" if "p" in node else "its default"


def _own_ops(node: Node, reads: dict[str, str], p: float, before: str) -> Iterator[tuple[str, str, str]]:
    chances = node.get("chances") or {}
    for op, words in reads.items():
        size = node.get(op, 0)
        if not size:
            continue
        if words == "always":  # its amount is its chance
            yield f"{before}{op}", "yes or no", f"{p * size:g}"
            continue
        chance = p * chances.get(op, 1.0) * (chances.get("affine", 1.0) if op in AFFINE else 1.0)
        yield f"{before}{op}", words.format(size), f"{chance:g}"


def _training(loaded: Loaded) -> list[Row]:
    config, env, status = loaded.config, loaded.run.environment, loaded.run.status
    packages, steps = env["packages"], config.data.steps_per_epoch
    batches = "all" if steps is None else trained_batches(config, steps)
    return [
        ("length", f"{_epochs(loaded)} of {batches} batches of {config.data.batch_size}"),
        *((f"trainer.{key}", config.trainer[key]) for key in LIMITS if config.trainer.get(key) is not None),
        *((group, _choice(loaded, group)) for group in ("loss", "optimizer", "scheduler")),
        *((key, _short(config[key])) for key in MORE if config.get(key) not in (None, False, 0, 1)),
        ("seed", f"{config.seed}; deterministic {config.deterministic}, {counted(config.threads, 'thread')}"),
        ("machine", f"{env['device']}, precision {env['precision']}"),
        ("begun, ended", f"{status['started_at']}, {status['ended_at'] or 'not yet'}"),
        ("code", f"segtrain {packages.get('segtrain')}, commit {env['segtrain_commit'] or 'unknown'}"),
        ("packages", ", ".join(f"{name} {packages[name]}" for name in VERSIONS if name in packages)),
    ]


def _epochs(loaded: Loaded) -> str:
    """Returns how many epochs were trained, and how many were asked for where those are more."""
    asked, rows = loaded.config.trainer.max_epochs, loaded.run.metrics.rows()
    trained = number_of(int(rows[-1]["epoch"])) if rows else 0
    each = counted(trained, "epoch")
    return each if trained == asked else f"{each} of {asked} asked for, each"


def _choice(loaded: Loaded, group: str) -> str:
    """Returns a group's choice, its class and arguments."""
    node = loaded.config[group]
    arguments = {key: value for key, value in node.items() if key not in ("_target_", "_partial_")}
    chosen, kind = in_code(f"{group}={loaded.config.choices[group]}"), str(node["_target_"]).rpartition(".")[2]
    return f"{chosen}: {kind}, {listed(arguments)}"


def _short(value: Any) -> Any:
    """Returns a path without the folders that lead to the run or file: a card goes to other machines."""
    return "/".join(Path(value).parts[-2:]) if isinstance(value, str) else value


def _limits(loaded: Loaded, results: Results | None, texts: dict[str, str]) -> list[str]:
    """Returns where the network was not tried, and how little its scores rest on, a sentence each."""
    said: list[tuple[str, Node]] = [
        ("tried", {"dataset": in_code(f"dataset={loaded.config.choices.dataset}")}),
        ("ignored", {"label": loaded.ignore_index}),
    ]
    if results:
        independent = _filled(texts["independent"], None, " ")
        said += [(name, {"independent": independent, **fields}) for name, fields in limit_fields(loaded, results)]
    lines = [_filled(texts[name], fields) for name, fields in said]
    if results and "test/empty_images" in results:  # which older trainings did not count
        lines += evaluation.sentences(results, "test")
    precision = str(loaded.config.trainer.precision)
    return lines + [_filled(texts["precision"], {"precision": in_markdown(precision)})] * (precision != "32-true")


def _use(loaded: Loaded, file: str, texts: dict[str, str]) -> Node:
    """Returns commands and code that run as they stand, for a file of this name."""
    is_onnx, named = file.endswith(".onnx"), [f"outputs/{name}" for name in _names(loaded)]
    run = named[0] if len(named) == 1 else f"[{','.join(named)}]"
    source = _quoted(file) if is_onnx else _quoted(run) if len(named) == 1 else f"[{', '.join(map(_quoted, named))}]"
    imports, read = _reading(loaded)
    python = {"imports": imports, "read": read, "source": source}
    if file.endswith(".safetensors"):
        train = block("bash", command("", f"init_from={file}", "dataset=…", conf=""))
        further = _filled(texts["weights"], {"command": train})
    else:
        further = _filled(texts["alone"], {"program": block("python", _program(loaded, file, texts))})
    return {
        "command": block("bash", command("predict", f"model={file}" if is_onnx else f"run={run}", "input=image.png")),
        "python": block("python", _filled(texts["python"], python)),
        "further": further,
    }


def _program(loaded: Loaded, file: str, texts: dict[str, str]) -> str:
    """Returns a program that needs NumPy, a reader of images, and onnxruntime or torch."""
    imports, read = _reading(loaded)
    is_one_logit = loaded.model(loaded.model.mean.expand(1, -1, 64, 64)).shape[1] == 1
    label = "logits[0, 0, :height, :width] > 0" if is_one_logit else "logits[0, :, :height, :width].argmax(0)"
    fields = {"imports": imports, "file": _quoted(file), "read": read, "label": label}
    fields |= {"padded": texts["padded"], "last": texts["last"]}
    return _filled(texts["onnx" if file.endswith(".onnx") else "torch"], fields)


def _quoted(name: str) -> str:
    """Returns the name as a text of Python, on one line."""
    return json.dumps(one_line(name), ensure_ascii=False)


def _reading(loaded: Loaded) -> tuple[str, str]:
    """Returns the import and the lines that read an image (H, W, C): PIL leaves 8 bits of any picture."""
    channels, dtypes = loaded.channels, ("uint8",) if loaded.pixels is None else loaded.pixels.dtypes
    if channels not in (1, 3) or dtypes != ("uint8",):
        return "", f'image = np.load("image.npy")  # (H, W, C) {" or ".join(dtypes)}'
    grey = 'np.array(Image.open("image.png").convert("L"))[..., None]  # (H, W, 1)'
    colour = 'np.array(Image.open("image.png").convert("RGB"))  # (H, W, 3)'
    return "from PIL import Image\n", f"image = {grey if channels == 1 else colour}"
