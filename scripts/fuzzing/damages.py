"""What may happen to a file: bits, structure, values, and what stands in its place. Each says what it did."""

import csv
import io
import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

MINE = "mine.txt"  # the user's own file in the folder that nothing may write to; it holds its name
ESCAPE = "\x1b[2J\x1b]0;owned\x07"
# Values that hardly a key takes. Numbers are few: another number of the same kind is no damage that could be seen.
ODD: tuple[Any, ...] = (
    *(
        None,
        True,
        -1,
        10**30,
        float("nan"),
        float("inf"),
        1e308,
        "",
        " ",
        "x",
        "[/b]",
        ESCAPE,
        "../../x",
        "a\nb",
        "\u202e",
    ),
    *([], {}, [[]], {"a": {"b": []}}, ["x", None, 3], {"_target_": "os.system", "command": "touch {canary}/odd"}),
    *("=cmd|' /C calc'!A0", "${oc.env:HOME}", "${oc.env:NOBODY_SET_THIS}", "${nothing.there}", "${seed}", "$(touch x)"),
    *("<script>alert(1)</script>", "null", "1e999", "é" * 3000, {"__class__": "x"}, "/dev/zero", "\u0000"),
)
TARGETS = (
    *("os.system", "subprocess.Popen", "builtins.eval", "builtins.exec", "numpy.load", "torch.load", "torch.hub.load"),
    *("segtrain.data.files.extras.need", "segtrain.data.datasets.streamed.write_stream", "runpy.run_path"),
    *(
        "segtrain.files.write_whole",
        "shutil.rmtree",
        "timeit.timeit",
        "lightning.pytorch.cli.LightningCLI",
        "evil.Evil",
    ),
    *("albumentations.Lambda", "albumentations.load", "torchvision.transforms.v2.Lambda", "timm.create_model"),
    *("hydra.utils.get_method", "importlib.import_module", "pathlib.Path.write_text", "logging.FileHandler"),
)
Damaged = tuple[bytes, str]


def of_bytes(content: bytes, dice: random.Random) -> Damaged:
    """Returns the content with bits flipped, cut, repeated or overwritten."""
    at, size = dice.randrange(len(content) + 1), dice.choice((1, 2, 4, 16, 200))
    kinds: dict[str, Callable[[], bytes]] = {
        "empty": lambda: b"",
        "cut": lambda: content[:at],
        "without its beginning": lambda: content[at:],
        "a hole": lambda: content[:at] + content[at + size :],
        "zeros": lambda: content[:at] + bytes(size) + content[at + size :],
        "ones": lambda: content[:at] + b"\xff" * size + content[at + size :],
        "noise": lambda: content[:at] + dice.randbytes(size) + content[at + size :],
        "more behind": lambda: content + dice.randbytes(size),
        "twice": lambda: content + content,
        "all noise": lambda: dice.randbytes(max(len(content), 1)),
        "a flipped bit": lambda: _flipped(content, dice),
        "a flipped bit in the header": lambda: _flipped(content[:64], dice) + content[64:],
        "a large number": lambda: content[:at] + dice.choice((b"\xff\xff\xff\x7f", b"\0\0\0\x80")) + content[at + 4 :],
        "not UTF-8": lambda: content[:at] + b"\xff\xfe" + content[at:],
    }
    kind = dice.choice(list(kinds))
    return kinds[kind](), f"{kind} at {at} of {len(content)}"


def _flipped(content: bytes, dice: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(dice.choice((1, 1, 4)) if content else 0):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def of_json(content: bytes, dice: random.Random) -> Damaged:
    """Returns JSON with a value replaced, a key dropped or renamed, or the whole as something else."""
    node = json.loads(content)
    if dice.random() < 0.2:
        whole = dice.choice([*ODD, "deep"])
        return (b"[" * 100_000 if whole == "deep" else json.dumps(whole).encode()), f"all is {str(whole)[:40]!r}"
    what = changed(node, dice)
    return json.dumps(node).encode(), what


def of_yaml(content: bytes, dice: random.Random) -> Damaged:
    """Returns YAML with a value replaced, a key dropped or renamed, anchors that repeat, or other text."""
    if dice.random() < 0.25:
        text = dice.choice(
            [
                "",
                "[]",
                "3",
                "- a",
                "a: [",
                "\t",
                "!!python/object/apply:os.system ['touch {canary}/yaml']",
                "a: &a [*a]",
                "laughs",
            ]
        )
        return (laughs() if text == "laughs" else text).encode(), f"all is {text!r}"
    node = yaml.safe_load(content)
    if not isinstance(node, dict | list) or not node:
        return of_bytes(content, dice)
    what = changed(node, dice)
    return yaml.safe_dump(node, allow_unicode=True, sort_keys=False).encode(errors="replace"), what


def laughs() -> str:
    """Returns nine lines that stand for a billion values."""
    rest = (f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9))
    return "\n".join(["a0: &a0 [x, x, x, x, x, x, x, x, x, x]", *rest]) + "\n"


def of_csv(content: bytes, dice: random.Random) -> Damaged:
    """Returns a table with a cell, a name, a line or all its lines changed."""
    rows = list(csv.reader(io.StringIO(content.decode())))
    row, column = dice.randrange(len(rows)), dice.randrange(len(rows[0]))
    kind = dice.choice(("cell", "cell", "dropped line", "line twice", "shorter line", "dropped column", "bytes"))
    if kind == "bytes":
        return of_bytes(content, dice)
    if kind == "cell":
        rows[row][column] = str(dice.choice(ODD))
    elif kind == "dropped line":
        del rows[row]
    elif kind == "line twice":
        rows.insert(row, rows[row])
    elif kind == "shorter line":
        del rows[row][column]
    else:
        rows = [[cell for i, cell in enumerate(line) if i != column] for line in rows]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode(errors="replace"), f"{kind} at {row}, {column}"


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yields (mapping or list, key or index) of every value below the node."""
    for key in list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
        yield node, key
        yield from places(node[key])


def changed(node: Any, dice: random.Random) -> str:
    """Changes one place of a tree and returns what was done to it."""
    found = list(places(node))
    if not found:
        return "nothing to change"
    parent, key = dice.choice(found)
    kind = dice.choice(("replaced", "replaced", "dropped", "renamed"))
    if kind == "replaced":
        before, parent[key] = parent[key], dice.choice(ODD)
        return f"{key}: {str(before)[:30]!r} is {str(parent[key])[:40]!r}"
    value = parent.pop(key)
    if kind == "renamed" and isinstance(parent, dict):
        parent[f"{key}x"] = value
    return f"{key} {kind}"


def stands_in(path: Path, dice: random.Random, canary: Path) -> str:
    """Puts something that is no regular file, or nothing, in the place of a file, and returns what."""
    kinds: dict[str, Callable[[], object]] = {
        "missing": lambda: None,
        "a folder": path.mkdir,
        "a pipe": lambda: os.mkfifo(path),
        "a link to /dev/zero": lambda: path.symlink_to("/dev/zero"),
        "a broken link": lambda: path.symlink_to("nowhere"),
        "a link to itself": lambda: path.symlink_to(path.name),
        "a link to the folder above": lambda: path.symlink_to(".."),
        "a link to a file of the user's": lambda: path.symlink_to(canary / MINE),
        "a link to a new file of the user's": lambda: path.symlink_to(canary / "new"),
    }
    kind = dice.choice(list(kinds))
    path.unlink()
    kinds[kind]()
    return kind


BY_SUFFIX = {".json": of_json, ".yaml": of_yaml, ".csv": of_csv}


def damage(path: Path, dice: random.Random, canary: Path) -> str:
    """Damages a file in place as its kind allows and returns what was done."""
    if dice.random() < 0.15:
        return stands_in(path, dice, canary)
    content = path.read_bytes()
    kind = BY_SUFFIX.get(path.suffix, of_bytes) if dice.random() < 0.75 and content else of_bytes
    damaged, what = kind(content, dice)
    path.write_bytes(damaged.replace(b"{canary}", str(canary).encode()))
    return what
