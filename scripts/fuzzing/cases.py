"""The kinds of input that may come from a stranger, each with one thing wrong, and the command that reads it."""

import random
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fuzzing.bases import CLASSES, FOLDER, TINY
from fuzzing.damages import ODD, TARGETS, damage

CONF = Path(__file__).parents[2] / "conf"
DATA = ("data", "inputs")
CHECK = ["check", "aug=flips", "samples=4", "seconds=0.5", "draws=1", "workers=1"]
KEYS = (
    *("seed", "data.crop", "data.batch_size", "trainer.max_epochs", "aug.strength", "threads", "dataset.split.val"),
    *("name", "checkpoint.every", "ema", "dataset.classes", "optimizer.lr", "model", "dataset", "resume", "outputs"),
)
HOSTILE_NAMES = (
    *(
        b"\xff\xfe.png",
        b"a\nb.png",
        b"\x1b[2J.png",
        b"[bold red].png",
        b"[b].png",
        b"=cmd.png",
        b"-rf.png",
        b"a b;c.png",
    ),
    *(
        "ä\u202ex.png".encode(),
        b"<img src=x>.png",
        b"$a_b$.png",
        b"_x.png",
        b"a,b.png",
        b"'q\".png",
        b"{id}.png",
        b"*.png",
    ),
)


@dataclass(frozen=True)
class Case:
    """One command over one damaged input.

    Attributes:
        what: what is wrong, in words.
        arguments: what is typed behind `segtrain`.
        damaged: the file's name: where the answer changes, the command has to name it, or its folder.
        refused: whether nothing but a refusal is right.
        answer: files, by pattern below the folder, whose content is the answer; none where any is as good.
    """

    what: str
    arguments: list[str]
    damaged: str = ""
    refused: bool = False
    answer: str = ""


def of_run(folder: Path, dice: random.Random, canary: Path) -> Case:
    """A file of a finished run, or of one run of a sweep, damaged."""
    verb, arguments, answer = dice.choice(_verbs(folder))
    below = folder / "outputs" / ("many" if verb in ("report", "compare", "again") else "one")
    run = dice.choice(sorted(path.parent for path in below.glob("*/status.json")))
    pictures = {".png", ".jpg", ".svg", ".html"}
    files = sorted(path for path in run.rglob("*") if path.is_file() and path.suffix not in pictures)
    plain = [path for path in files if path.parent == run]
    path = dice.choice(plain if dice.random() < 0.75 else files)
    what = damage(path, dice, canary)
    return Case(f"{verb}: {path.relative_to(folder)}: {what}", arguments, path.name, answer=answer)


def _verbs(folder: Path) -> list[tuple[str, list[str], str]]:
    """Name, arguments and answer of each command that reads a run."""
    (one,) = (str(path.parent.relative_to(folder)) for path in folder.glob("outputs/one/*/status.json"))
    many = sorted(str(path.parent.relative_to(folder)) for path in folder.glob("outputs/many/*/status.json"))
    return [
        ("evaluate", ["evaluate", f"run={one}", "surface=false", "bootstrap=10"], "outputs/evaluate/**/results.json"),
        ("resume", [f"resume={one}", "trainer.max_epochs=2"], "outputs/one/*/results.json"),
        ("predict", ["predict", f"run={one}", "input=inputs/a.png"], "outputs/predict/**/a.png"),
        ("preview", ["preview", f"replay={one}", "sample=s00"], ""),
        ("export", ["export", f"run={one}", "format=safetensors"], "outputs/one/*/export/*.safetensors"),
        ("report", ["report", "outputs/many"], "outputs/many/report.md"),
        ("compare", ["compare", many[0], many[-1]], "out.txt"),
        ("diff", ["diff", one, many[0]], ""),
        (
            "again",
            [
                "-m",
                *TINY,
                *FOLDER,
                "aug=none,flips",
                "seed=0,1,2",
                "checkpoint.keep=best",
                "hydra.launcher.n_jobs=1",
                "name=many",
            ],
            "",
        ),
    ]


def of_config(folder: Path, dice: random.Random, canary: Path) -> Case:
    """A file of a config folder, damaged, or hostile: what it names must not run."""
    group = dice.choice(
        ("aug", "model", "loss", "optimizer", "scheduler", "trainer", "dataset", "experiment", "logger")
    )
    chosen = {"dataset": "folder", "model": "unet_resnet18", "logger": "csv", "experiment": "brain_scanners"}
    name = chosen.get(group) or dice.choice(sorted(path.stem for path in (CONF / group).glob("*.yaml")))
    file = folder / "my_conf" / group / "odd.yaml"
    file.parent.mkdir(parents=True)
    shutil.copy(CONF / group / f"{name}.yaml", file)
    typed = [argument for argument in [*TINY, *FOLDER] if not argument.startswith(f"{group}=")]
    if group == "experiment":
        file.write_text("# @package _global_\nseed: 1\n")
    arguments = ["--config-dir", "my_conf", f"{group}=odd", *typed]
    kind = dice.choice(("damaged", "damaged", "target", "hydra", "typed", "unknown", "names"))
    if kind == "damaged":
        return Case(f"{group}/{name}: {damage(file, dice, canary)}", arguments, file.name)
    if kind == "target":
        return _of_target(file, group, arguments, dice, canary)
    if kind == "names":
        names = dice.sample([name for name in ODD if isinstance(name, str) and name.strip()], 2)
        (folder / "my_conf" / "dataset").mkdir(exist_ok=True)
        called = {"defaults": ["folder"], "root": "data", "classes": {names[0]: 0, names[1]: 255}}
        (folder / "my_conf" / "dataset" / "named.yaml").write_text(yaml.safe_dump(called))
        return Case(f"classes are called {names}", ["--config-dir", "my_conf", *TINY, "dataset=named"])
    if kind == "hydra":
        return _of_hydra(file, arguments, dice, canary)
    if kind == "typed":
        word = f"{dice.choice(KEYS)}={_typed(dice)}"
        return Case(f"typed {word[:60]!r}", [*TINY, *FOLDER, word])
    word = f"+{dice.choice([key for key in KEYS if key != 'dataset.classes'])}.foo={dice.choice((1, 'x'))}"
    return Case(f"typed {word!r}", [*TINY, *FOLDER, word], refused=True)


def _typed(dice: random.Random) -> str:
    """A value as it may be typed; a NUL cannot be."""
    return re.sub(r"\x00", "", str(dice.choice(ODD)).replace("None", "null"))


def _of_target(file: Path, group: str, arguments: list[str], dice: random.Random, canary: Path) -> Case:
    """What must not be called, in a place of a node where it would be."""
    target = dice.choice(TARGETS)
    evil = {
        "_target_": target,
        "command": f"touch {canary}/target",
        "path_name": "evil.py",
        "extra": "x",
        "module": "evil",
    }
    (file.parents[2] / "evil.py").write_text(f"open('{canary}/evil', 'w')\nclass Evil: pass\n")
    node: Any = yaml.safe_load(file.read_text()) or {}
    place = dice.choice(("whole", "nested", "list"))
    if place == "whole" or not isinstance(node, dict):
        node = evil
    elif place == "nested":
        node[dice.choice(sorted(map(str, node)) or ["x"])] = evil
    else:
        node["transforms" if group == "aug" else "x"] = [evil]
    file.write_text(("# @package _global_\n" if group == "experiment" else "") + yaml.safe_dump(node))
    return Case(f"{group}: {place} {target}", arguments, file.name, refused=True)


def _of_hydra(file: Path, arguments: list[str], dice: random.Random, canary: Path) -> Case:
    """What Hydra itself would call, or write, from any file of a config folder."""
    touch = {"_target_": "os.system", "command": f"touch {canary}/hydra"}
    handler = {"class": "logging.FileHandler", "filename": f"{canary}/log"}
    node = dice.choice(
        [
            {"callbacks": {"x": touch}},
            {"launcher": touch},
            {"sweeper": touch},
            {"run": {"dir": f"{canary}/run"}},
            {"sweep": {"dir": f"{canary}/sweep"}},
            {"job_logging": {"version": 1, "handlers": {"x": handler}, "root": {"handlers": ["x"]}}},
            {"hydra_logging": {"version": 1, "handlers": {"x": {"()": "os.system", "command": f"touch {canary}/h"}}}},
            {"job": {"env_set": {"LD_PRELOAD": "evil.so"}}},
            {"job": {"chdir": True}, "run": {"dir": str(canary / "chdir")}},
            {"output_subdir": "../../x"},
        ]
    )
    file.write_text("# @package _global_\n" + yaml.safe_dump({"hydra": node}))
    many = ["-m", "seed=0,1"] if dice.random() < 0.5 else []
    return Case(f"hydra {node}, {many}", [*many, *arguments], file.name, refused=True)


MANIFESTS: tuple[tuple[str, list[str]], ...] = (
    ("pairs.csv", ["dataset=csv", "dataset.manifest=data/pairs.csv", CLASSES]),
    ("coco.json", ["dataset=coco", "dataset.root=data", "dataset.annotations=coco.json"]),
    ("train.txt", [*FOLDER, "dataset.lists={train:train.txt,val:val.txt,test:test.txt}", "split=given"]),
)


def of_manifest(folder: Path, dice: random.Random, canary: Path) -> Case:
    """A list of samples, damaged, read by check or by new."""
    name, dataset = dice.choice(MANIFESTS)
    what = damage(folder / "data" / name, dice, canary)
    if dice.random() < 0.25:
        return Case(f"new: {name}: {what}", ["new", "mine", "data"], name)
    return Case(f"check: {name}: {what}", [*CHECK, *dataset], name)


def of_image(folder: Path, dice: random.Random, canary: Path) -> Case:
    """An image damaged or of a hostile name, read by predict, check or new."""
    (one,) = (path.parent.relative_to(folder) for path in folder.glob("outputs/one/*/status.json"))
    kind = dice.choice(("predict", "predict", "check", "new", "name"))
    if kind == "name":
        name = dice.choice(HOSTILE_NAMES)
        for part in ("images", "masks"):
            below = bytes(folder / "data" / part)
            shutil.move(below + b"/s00.png", below + b"/" + name)
        arguments = dice.choice(
            ([*CHECK, *FOLDER], ["new", "mine", "data"], ["predict", f"run={one}", "input=data/images"])
        )
        return Case(f"{arguments[0]}: an image is called {name!r}", arguments)
    if kind == "predict":
        path = dice.choice(sorted((folder / "inputs").iterdir()))
        what = damage(path, dice, canary)
        sound = path.name == "a.png" and not what.startswith("more behind")  # its checksums tell; others have none
        answer = "outputs/predict/**/a.png" if sound else ""
        return Case(
            f"predict: {path.name}: {what}",
            ["predict", f"run={one}", f"input=inputs/{path.name}"],
            path.name,
            answer=answer,
        )
    path = dice.choice(sorted((folder / "data").glob("*/*.png")))
    what = damage(path, dice, canary)
    arguments = [*CHECK, *FOLDER] if kind == "check" else ["new", "mine", "data"]
    return Case(f"{kind}: {path.relative_to(folder)}: {what}", arguments, path.name)


KINDS: dict[str, Callable[[Path, random.Random, Path], Case]] = {
    "run": of_run,
    "config": of_config,
    "manifest": of_manifest,
    "image": of_image,
}
