"""`python -m segtrain export run=RUN`: a trained network as one file for other programs, checked, with a model card."""

from pathlib import Path

from omegaconf import DictConfig
from rich.table import Table

from segtrain.app.export.agreement import Agreement, agreements
from segtrain.app.export.card import card
from segtrain.app.export.formats import FORMATS, Format, about, run_name
from segtrain.command_line import command
from segtrain.config.composition import settings
from segtrain.config.run_config import Section
from segtrain.errors import UserError
from segtrain.files import changed, followed, make_own, part, put, to_disk, write_whole
from segtrain.parts.data import named_model
from segtrain.parts.trained_run import Loaded, load
from segtrain.runs.epochs import number_of
from segtrain.runs.find_run import find_run
from segtrain.runs.folder import RunFolder
from segtrain.screen import Screen

WIDTH = 160  # letters of a line where standard output is no terminal


def export(config: DictConfig) -> Path:
    """Write the file, compare it with the network, write the card beside it.

    Returns:
        The file.

    Raises:
        UserError: no such run or format, a network that cannot become such a file, or a file that differs from it.
    """
    wanted = settings(config)
    form = _format(wanted)
    form.ready()
    run = find_run(str(wanted.run), Path(wanted.outputs))
    path = _path(wanted, run, form)
    loaded = load(run)
    console = Screen()
    if not console.is_terminal:
        console.width = WIDTH
    console.print(
        f"exporting {run.path!s}: model {named_model(loaded.config)}, "
        f"epoch {number_of(loaded.epoch)}, "
        f"{loaded.channels} channels, classes {', '.join(loaded.classes)}, as {wanted.format}",
        soft_wrap=True,
    )
    text = card(loaded, path.name) if wanted.card else None  # first: what it lacks is told at once
    found = _write(form, loaded, path)
    console.print(_table(found))
    console.print(f"{path.stat().st_size / 1e6:.1f} MB in {path!s}", soft_wrap=True)
    if text is not None:
        beside = path.with_name(f"{path.name}.card.md")
        write_whole(beside, text)
        told = f"look at {beside!s}: what it is, was trained on, how good it is, and how to use it"
        console.print(told, soft_wrap=True)
    if wanted.format == "onnx":
        console.print(f"next: {command('predict', f'model={path}', 'input=…')}", soft_wrap=True)
    return path


def _format(wanted: Section) -> Format:
    if wanted.format not in FORMATS:
        raise UserError(f"format is {wanted.format!r}; expected one of {', '.join(FORMATS)}; give format=onnx")
    if not isinstance(wanted.card, bool):
        raise UserError(f"card is {wanted.card!r}; expected true or false; give card=true")
    return FORMATS[wanted.format]


def _path(wanted: Section, run: RunFolder, form: Format) -> Path:
    """Where the file goes.

    Raises:
        UserError: a name that does not say the format, or a file that is another run's or no export.
    """
    if wanted.output is None:
        return run.path / "exported" / f"model{form.suffix}"
    path = Path(str(wanted.output))
    if path.suffix != form.suffix or path.is_dir():
        stem = path / "model" if path.is_dir() else path
        raise UserError(
            f"output is '{path}'; expected a file's name that ends in {form.suffix}, as format={wanted.format} writes; "
            f"give output={stem.with_suffix(form.suffix)}"
        )
    if path.exists() and (other := _owner(path, form)) != run_name(run.path):
        raise UserError(
            f"'{path}' is there already; expected no file there, or an export of {run_name(run.path)}; "
            f"got {other}; give another output=…, or delete the file"
        )
    return followed(path.parent) / path.name


def _owner(path: Path, form: Format) -> str:
    """The run that a file was exported from, in words."""
    try:
        return str(form.about(path)["run"])
    except Exception:  # whatever another program's file makes a reader do
        return "a file that is no export"


def _write(form: Format, loaded: Loaded, path: Path) -> list[Agreement]:
    """The file, whole or not at all, and how it agrees with the network."""
    make_own(path.parent)
    with part(path) as temporary:
        form.write(loaded.model, about(loaded, form.least), temporary)
        found = agreements(loaded.model, form.open(temporary)[0], loaded.channels, form.least)
        with changed(temporary) as file:
            to_disk(file)
        put(temporary, path)
    return found


def _table(found: list[Agreement]) -> Table:
    table = Table(title="the file against the network in torch, on noise", pad_edge=False)
    for heading in ("images", "largest difference of logits", "of the largest logit", "equal labels"):
        table.add_column(heading)
    for one in found:
        size = " × ".join(map(str, one.shape))
        table.add_row(size, f"{one.absolute:.1e}", f"{one.relative:.1e}", f"{one.labels:.4%}")
    return table
