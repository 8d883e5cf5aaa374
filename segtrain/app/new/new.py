"""Runs `python -m segtrain new NAME ROOT`: writes a config for a folder of unknown layout. Without torch."""

import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from segtrain.app.new.annotation_files import guess_coco, guess_manifest, lost_images
from segtrain.app.new.config_lines import ConfigLine, Guess, key_line, yaml_text
from segtrain.app.new.folder import SHARE, guess_folder
from segtrain.app.new.unread_labels import name_unread
from segtrain.app.new.volumes import guess_volumes
from segtrain.command_line import command
from segtrain.config.composition import conf_dir
from segtrain.config.known_keys import require_keys
from segtrain.counted import counted
from segtrain.data.files.file_names import IMAGE_WORDS, MASK_WORDS, Found, find_files, says
from segtrain.data.files.samples import PARTS
from segtrain.data.split.parts import samples_for
from segtrain.errors import UserError
from segtrain.files import followed, write_whole
from segtrain.printable import print_text

USAGE = "python -m segtrain new NAME ROOT [force=true] [--config-dir my_conf]"
OVERRIDE = re.compile(r"[+~]{0,2}[A-Za-z_][\w./@]*=.*|~\w+", re.DOTALL)
TESTED = 12  # independent test images, from which on a find can settle a gain
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class NewDataset(NamedTuple):
    """Holds what was typed; `checked` are overrides that go to the check alone."""

    name: str
    root: Path
    folder: Path
    force: bool
    checked: tuple[str, ...]

    def command(self, verb: str, *more: str) -> str:
        """Returns the command of a verb on the new dataset, to print; of training with ""."""
        return command(verb, f"dataset={self.name}", *more, conf=self.folder)


def new(arguments: Sequence[str]) -> None:
    """Writes my_conf/dataset/NAME.yaml, says what was guessed and what is asked, and runs the check.

    Raises:
        UserError: wrong arguments, a file that is there, or a folder in which nothing is recognised.
        SystemExit: the check's status, when it is not 0.
    """
    asked = _parsed(arguments)
    path = asked.folder / "dataset" / f"{asked.name}.yaml"
    if path.exists() and not asked.force:
        raise UserError(
            f"'{path}' is there already; expected a new name, for what you changed in it is not to be lost; choose "
            "another NAME, or write over it with force=true"
        )
    guess = _guess_config(asked.root)
    check, train = asked.command("check"), asked.command("", *guess.fitting)
    path = followed(path.parent) / path.name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"could not make the folder '{path.parent}': {error.strerror}; expected a folder for your own configs; "
            "give another with --config-dir"
        ) from error
    write_whole(path, yaml_text(guess.lines, _head(asked, check, train)))
    print_text(f"{path} is written; found in {asked.root}:")
    print_text("".join(f"  {sentence}\n" for sentence in guess.found), end="")
    print_text("".join(f"yours to tell: {sentence}\n" for sentence in guess.asked), end="")
    print_text(f"checking it: {asked.command('check', *asked.checked)}", flush=True)
    checking = ["check", "--config-dir", str(asked.folder), f"dataset={asked.name}", *asked.checked]
    status = subprocess.run([sys.executable, "-m", "segtrain", *checking]).returncode
    if status:
        print_text(f"the check did not pass; mend {path} or the data, and check again: {check}", file=sys.stderr)
        sys.exit(status)
    print_text(f"train: {train}")
    if samples_for(SHARE, guess.units) >= TESTED:
        print_text(f"then find the best augmentation for them: {asked.command('find', *guess.fitting, 'budget=2h')}")


def _guess_config(root: Path) -> Guess:
    """Returns what the folder holds, as a config.

    Raises:
        UserError: nothing that segtrain reads.
    """
    found = find_files(root)
    try:
        return _guess_by_files(root, found) or guess_folder(root, found)
    except UserError as error:
        reason = lost_images(root, found) or name_unread(root, found)
        if not reason:
            raise
        raise UserError(reason) from error


def _parsed(arguments: Sequence[str]) -> NewDataset:
    folder, names, options = "my_conf", [], {}
    rest = iter(arguments)
    for argument in rest:
        if argument in ("--config-dir", "-cd"):
            folder = next(rest, "")
        elif argument.startswith("--config-dir="):
            folder = argument.partition("=")[2]
        elif OVERRIDE.fullmatch(argument):
            options[argument.partition("=")[0]] = argument
        else:
            names.append(argument)
    force = options.pop("force", "force=false").partition("=")[2].lower()
    wrong = len(names) != 2 or any(name.startswith("-") for name in names) or force not in ("true", "false")
    if wrong or not folder:
        got = " ".join(arguments) or "nothing"
        raise UserError(f"new takes a name and a folder; expected: {USAGE}; got: {got}")
    _check_name(names[0])
    require_keys("check", list(options))
    options.setdefault("parts", "parts=[data]")  # no augmentation is chosen yet, and its audit takes longer
    return NewDataset(names[0], Path(names[1]).expanduser(), Path(folder), force == "true", tuple(options.values()))


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise UserError(
            f"'{name}' is no name for a dataset; expected letters, digits, _ and -, a letter first: it is "
            "the file NAME.yaml and the choice dataset=NAME"
        )
    if (conf_dir() / "dataset" / f"{name}.yaml").exists():
        raise UserError(
            f"dataset={name} is one of segtrain's own; expected another name for your data, since that would hide it; "
            f"choose another, such as my_{name}"
        )


def _head(asked: NewDataset, check: str, train: str) -> list[str]:
    return [
        f"{asked.name}: guessed by `python -m segtrain new` from the names in {asked.root} and a sample of its files.",
        "Each guess has its reason beside it; mend what is wrong, name what is asked, then",
        f"  {check}      does it hold for every file",
        f"  {train}      trains",
    ]


def _guess_by_files(root: Path, found: Found) -> Guess | None:
    """Returns the config of the format that gives itself away by its files; None when it may be images and masks.

    Raises:
        UserError: it gives itself away, and cannot be read.
    """
    return (
        guess_coco(root, found)
        or guess_manifest(root, found)
        or guess_volumes(root, found)
        or _guess_instances(root, found)
    )


def _guess_instances(root: Path, found: Found) -> Guess | None:
    """Returns the config of a folder a sample, with its image and a mask for each object (DSB2018), or None."""
    files: dict[str, Counter[str]] = defaultdict(Counter)  # folder of a sample -> files in the folders in it
    for path in found.pictures:
        folders = PurePosixPath(path).parts[:-1]
        if len(folders) > 1:
            files["/".join(folders[:-1])][folders[-1]] += 1
    kinds = Counter(folder for inside in files.values() for folder in inside)
    masks = next((folder for folder, _ in kinds.most_common() if says(folder, MASK_WORDS)), "")
    images = next((folder for folder, _ in kinds.most_common() if says(folder, IMAGE_WORDS) and folder != masks), "")
    samples = [sample for sample, inside in files.items() if inside[images] == 1 and inside[masks]]
    several = sum(files[sample][masks] > 1 for sample in samples)
    if len(samples) < 2 or 2 * several < len(samples) or 2 * len(samples) < kinds[masks]:
        return None
    above, count = Counter(sample.rpartition("/")[0] for sample in samples).most_common(1)[0]
    if PurePosixPath(above).name in PARTS:  # beside val and test, which the format reads itself
        above, count = str(PurePosixPath(above).parent), len(samples)
    lines = (
        ConfigLine("defaults: [instances]"),
        key_line(
            "root",
            str(root / above),
            f"{counted(count, 'sample')}: a folder each, with an image and a mask for each object",
        ),
        key_line("classes", ["background", "object"], "what is outside and inside the masks; name them"),
        key_line("images", images, "folder of a sample's one image"),
        key_line("masks", masks, "folder of its masks"),
    )
    named = "name the classes background and object, which are guesses"
    return Guess(
        lines, (f"{counted(count, 'folder')} with an image and a mask for each object",), (named,), units=count
    )
