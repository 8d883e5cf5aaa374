"""Runs `python -m segtrain export run=RUN`: a trained network as one file for other programs, checked, with a card."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from omegaconf import DictConfig
from rich.table import Table

from segtrain.app.export.card import fill_card
from segtrain.app.export.formats import FORMATS, Format, describe_export, run_names
from segtrain.command_line import command
from segtrain.errors import UserError
from segtrain.files import changed, followed, make_own, part, put, to_disk, write_whole
from segtrain.model.metrics import prediction
from segtrain.model.normalised_network import NormalisedNetwork
from segtrain.padding import STRIDE
from segtrain.parts.data import named_model
from segtrain.parts.network import Loaded, load_average
from segtrain.runs.ensemble import average_words, ensemble_of
from segtrain.runs.epochs import number_of
from segtrain.runs.find_run import runs_of
from segtrain.runs.folder import RunFolder
from segtrain.screen import Screen

WIDTH = 160  # letters of a line where standard output is no terminal
RELATIVE = 1e-3  # largest difference of two logits, in units of the largest logit
LABELS = 0.9999  # least share of equal labels

Model = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class ExportOptions:
    """Holds what is asked of an export."""

    run: str
    outputs: Path
    form: Format
    format: str  # its name
    output: Path | None  # None: in the run's folder
    has_card: bool


class Agreement(NamedTuple):
    """Holds how two networks agree on one batch."""

    shape: tuple[int, ...]  # N, C, H, W
    absolute: float  # largest difference of two logits
    relative: float  # the same, in units of the largest logit of torch's
    labels: float  # share of equal labels

    @property
    def holds(self) -> bool:
        """Tells whether it is close enough; a NaN is not."""
        return self.relative <= RELATIVE and self.labels >= LABELS


def export(config: DictConfig) -> Path:
    """Writes the file, compares it with the network, writes the card beside it.

    Returns:
        The file.

    Raises:
        UserError: no such run or format, a network that cannot become such a file, or a file that differs from it.
    """
    options = _read_options(config)
    options.form.ready()
    runs = runs_of(options.run, options.outputs)
    path = _path(options, runs)
    loaded = load_average(runs)
    loaded.model.float()  # other programs hand in 32 bits, also to what was trained in 64
    console = Screen()
    if not console.is_terminal:
        console.width = WIDTH
    named = str(runs[0].path) if len(runs) == 1 else average_words(runs)
    epochs = " and ".join(str(number_of(one.epoch)) for one in loaded.all)
    console.print(
        f"exporting {named}: model {named_model(loaded.config)}, epoch {epochs}, {loaded.channels} channels, classes "
        f"{', '.join(loaded.classes)}, as {options.format}",
        soft_wrap=True,
    )
    text = fill_card(loaded, path.name) if options.has_card else None  # first: what it lacks is told at once
    found = _write(options.form, loaded, path)
    console.print(_table(found))
    console.print(f"{path.stat().st_size / 1e6:.1f} MB in {path!s}", soft_wrap=True)
    if text is not None:
        beside = path.with_name(f"{path.name}.card.md")
        write_whole(beside, text)
        told = f"look at {beside!s}: what it is, was trained on, how good it is, and how to use it"
        console.print(told, soft_wrap=True)
    if options.format == "onnx":
        console.print(f"next: {command('predict', f'model={path}', 'input=…')}", soft_wrap=True)
    return path


def _read_options(config: DictConfig) -> ExportOptions:
    """Returns the values of the verb's config.

    Raises:
        UserError: one is not what it may be.
    """
    if config.format not in FORMATS:
        raise UserError(f"format is {config.format!r}; expected one of {', '.join(FORMATS)}; give format=onnx")
    if not isinstance(config.card, bool):
        raise UserError(f"card is {config.card!r}; expected true or false; give card=true")
    output = None if config.output is None else Path(str(config.output))
    run, outputs = str(config.run), Path(config.outputs)
    return ExportOptions(run, outputs, FORMATS[config.format], config.format, output, config.card)


def _path(options: ExportOptions, runs: Sequence[RunFolder]) -> Path:
    """Returns where the file goes.

    Raises:
        UserError: several runs of no one folder and no name for their file; a name that does not say the format, or
            a file that is another run's or no export.
    """
    form, path = options.form, options.output
    if path is None:
        return _own_folder(options, runs) / "exported" / f"model{form.suffix}"
    if path.suffix != form.suffix or path.is_dir():
        stem = path / "model" if path.is_dir() else path
        raise UserError(
            f"output is '{path}'; expected a file's name that ends in {form.suffix}, as format={options.format} "
            f"writes; give output={stem.with_suffix(form.suffix)}"
        )
    if path.exists() and (other := _owner(path, form)) != run_names(runs):
        raise UserError(
            f"'{path}' is there already; expected no file there, or an export of {run_names(runs)}; "
            f"got {other}; give another output=…, or delete the file"
        )
    return followed(path.parent) / path.name


def _own_folder(options: ExportOptions, runs: Sequence[RunFolder]) -> Path:
    """Returns the folder of what is exported: a run's, or an ensemble's."""
    if (ensemble := ensemble_of(runs)) is not None:
        return ensemble
    if len(runs) > 1:
        raise UserError(
            f"run={options.run} are {len(runs)} runs, exported as one file that averages them; expected a name for it; "
            f"give output=NAME{options.form.suffix}"
        )
    return runs[0].path


def _owner(path: Path, form: Format) -> str:
    """Returns the run that a file was exported from, in words."""
    try:
        return str(form.about(path)["run"])
    except Exception:  # whatever another program's file makes a reader do
        return "a file that is no export"


def _write(form: Format, loaded: Loaded, path: Path) -> list[Agreement]:
    """Writes the file, whole or not at all, and returns how it agrees with the network."""
    make_own(path.parent)
    with part(path) as temporary:
        form.write(loaded.model, describe_export(loaded, form.least), temporary)
        found = measure_agreement(loaded.model, form.open(temporary)[0], loaded.channels, form.least)
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


def compared_sizes(least: int) -> list[tuple[int, int, int]]:
    """Returns batch, height and width of what is compared: the smallest image, several at once, high and wide ones."""
    return [(1, least, least), (2, 3 * STRIDE, 5 * STRIDE), (3, 4 * STRIDE, 2 * STRIDE), (1, 9 * STRIDE, 8 * STRIDE)]


def measure_agreement(model: NormalisedNetwork, exported: Model, channels: int, least: int) -> list[Agreement]:
    """Returns how the two agree on each of `compared_sizes`, on noise like the training's pixels in mean and spread.

    Noise is hard: most of its pixels lie near the border of two classes.

    Raises:
        UserError: on one of them they are too far apart, or the file does not run.
    """
    draws = torch.Generator().manual_seed(0)
    found = []
    for batch, height, width in compared_sizes(least):
        noise = torch.randn(batch, channels, height, width, generator=draws)
        found.append(_compared(model, exported, model.mean + model.std * noise))
        if not found[-1].holds:
            raise UserError(
                f"the exported file computes something else than the network: at {_told(found[-1])}; expected at most "
                f"{RELATIVE:g} and at least {LABELS:.2%}; the file was not kept; export the weights: format=safetensors"
            )
    return found


@torch.no_grad()
def _compared(model: NormalisedNetwork, exported: Model, images: torch.Tensor) -> Agreement:
    expected = model(images)
    try:
        got = exported(images)
    except Exception as error:  # onnxruntime's and torch's own kinds
        raise UserError(
            f"the exported file does not run on images of {tuple(images.shape)}; got: "
            f"{' '.join(str(error).split())[:300]}; the file was not kept; export the weights: format=safetensors"
        ) from error
    if got.shape != expected.shape:
        return Agreement(tuple(images.shape), float("inf"), float("inf"), 0.0)
    apart = (got - expected).abs().max().item()
    same = (prediction(got) == prediction(expected)).double().mean().item()
    return Agreement(tuple(images.shape), apart, apart / max(expected.abs().max().item(), 1e-30), same)


def _told(one: Agreement) -> str:
    return f"{one.shape} the logits differ by {one.relative:.1e} of the largest, and {one.labels:.4%} of labels agree"
