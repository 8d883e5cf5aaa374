"""Predicts an image by trained networks: `segtrain.load("RUN").predict(image)`, and what predict and serve use."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from segtrain.data.pixel_meaning import PixelMeaning, require_fit, span_of
from segtrain.model.ensemble import ensembled, log_probabilities, viewed
from segtrain.model.metrics import prediction
from segtrain.model.normalised_network import compute_in
from segtrain.model.windows import Model, Read, Windows, bands
from segtrain.padding import NO_SIZE, Size, largest
from segtrain.parts.computed_size import Computable, goes_at_once
from segtrain.parts.device import device_of
from segtrain.parts.input_images import check_image
from segtrain.parts.limits import least_size
from segtrain.runs.find_run import find_runs
from segtrain.runs.folder import RunFolder

Array = np.ndarray[Any, Any]
RGB = tuple[int, int, int]

WHOLE = 1024 * 1024  # pixels up to which an image goes through the network at once: about 1 GB of a U-Net's features


class Prediction(NamedTuple):
    """Holds labels (H, W) uint8, and the probability of each class (K, H, W) float32."""

    labels: Array
    probabilities: Array


class Predictor:
    """Holds one or several trained networks, and what their labels mean."""

    def __init__(
        self,
        model: Model,
        *,
        classes: Sequence[str],
        palette: Sequence[RGB],
        channels: int,
        ignore_index: int,
        windows: Windows | None = None,
        views: Sequence[str] = (),
        device: str = "cpu",
        whole: int = WHOLE,
        least: Size = NO_SIZE,
        reading: dict[str, Any] | None = None,
        pixels: Sequence[PixelMeaning] = (),
    ) -> None:
        """Holds the parts.

        Args:
            model: images (N, C, H, W) as stored, uint8 or float32 on `device`, to logits (N, K, H, W), or (N, 1, H, W).
            classes, palette: names, and colours RGB 0..255, in label order.
            channels: of an image.
            ignore_index: the label that says nothing; it is not predicted.
            windows: for images of more than `whole` pixels; None: those at once too.
            views: names of `segtrain.model.ensemble.VIEWS`.
            device: where the model is, in torch's words.
            whole: pixels up to which an image is not cut into windows, see `goes_at_once`.
            least: height and width in pixels, multiples of the stride, to which smaller images are grown, such as the
                training's crop; no window is smaller.
            reading: how the run's dataset reads files, its config; None: as stored.
            pixels: what the images of each network's training were, which `predict` asks of an image; empty: any.

        Raises:
            UserError: an unknown view.
        """
        self.model, self.whole, self.least = viewed(model, list(views), least), whole, least
        self.windows = windows and windows.of_at_least(least)
        self.classes, self.palette = tuple(classes), tuple(palette)
        self.channels, self.ignore_index = channels, ignore_index
        self.device, self.reading, self.pixels = torch.device(device), dict(reading or {}), tuple(pixels)

    def predict(self, image: Array) -> Prediction:
        """Returns what an image (H, W) or (H, W, C), uint8, uint16 or float32 as the training's were stored, shows.

        Raises:
            UserError: another shape or number of channels, or other pixels than the training's, see
                `PixelMeaning.misfit`.
        """
        stored = check_image(image, self.channels, "the image")
        if self.pixels:
            require_fit(self.pixels, [span_of(stored)], "the image")
        planes = to_tensor(stored)
        size = planes.shape[1], planes.shape[2]
        found = [logits for _, logits in self.logits(lambda top, end: planes[:, top:end], size)]
        logits = found[0] if len(found) == 1 else torch.cat(found, 1)
        return Prediction(labels_of(logits), probabilities_of(logits))

    def computable(self, most_pixels: int, most_gigabytes: float, *, is_in_one: bool) -> Computable:
        """Returns which images may be asked about, see `Computable`."""
        return Computable(
            channels=self.channels,
            classes=max(2, len(self.classes)),
            windows=self.windows,
            whole=self.whole,
            least=self.least,
            most_pixels=most_pixels,
            most_gigabytes=most_gigabytes,
            is_in_one=is_in_one,
        )

    def logits(self, read: Read, size: tuple[int, int]) -> Iterator[tuple[int, Tensor]]:
        """Yields first row and logits (K, rows, W) of each band of an image (H, W), from the top; a whole image is one.

        `read(top, end)` gives rows (C, rows, W), uint8 or float32; only as many as a window is high are asked for.
        """
        windows = None if goes_at_once(size, self.whole, self.least) else self.windows
        return bands(self.model, lambda top, end: read(top, end).to(self.device), size, windows, least=self.least)


def labels_of(logits: Tensor) -> Array:
    """Returns labels (H, W) uint8 of logits (K, H, W)."""
    return prediction(logits[None])[0].cpu().numpy()


def probabilities_of(logits: Tensor) -> Array:
    """Returns probabilities (max(K, 2), H, W) float32 of logits (K, H, W)."""
    return log_probabilities(logits[None])[0].exp_().cpu().numpy()


def load_predictor(
    run: str | Path | Sequence[str | Path],
    *,
    outputs: str | Path = "outputs",
    windows: Windows | None = Windows(),  # noqa: B008  # frozen
    views: Sequence[str] = (),
    device: str = "auto",
    allow_other_pixels: bool = False,
) -> Predictor:
    """Returns a predictor of a run (folder, or name below `outputs`), of several (a list, a glob), or of FILE.onnx.

    `allow_other_pixels` takes images of another depth or range than the training's as they are.

    Raises:
        UserError: no such run, runs of different classes, no such device.
    """
    several = [run] if isinstance(run, str | Path) else list(run)
    options: dict[str, Any] = {"windows": windows, "views": views, "device": device}
    options["allow_other_pixels"] = allow_other_pixels
    if len(several) == 1 and str(several[0]).endswith(".onnx"):
        return predictor_of(Path(several[0]), **options)
    return predictor_of(find_runs([str(name) for name in several], Path(outputs)), **options)


def predictor_of(
    source: Sequence[RunFolder] | Path,
    *,
    windows: Windows | None = Windows(),  # noqa: B008  # frozen
    views: Sequence[str] = (),
    device: str = "auto",
    allow_other_pixels: bool = False,
) -> Predictor:
    """Returns the predictor of runs, whose probabilities are averaged, or of an exported file.

    Raises:
        UserError: a run that cannot be loaded, runs that differ in classes or channels, no such device.
    """
    options: dict[str, Any] = {"windows": windows, "views": views}
    if isinstance(source, Path):
        from segtrain.parts.onnx_file import open_onnx

        model, about = open_onnx(source, device)
        known = {key: about[key] for key in ("classes", "channels", "ignore_index")}
        palette = [(int(r), int(g), int(b)) for r, g, b in about["palette"]]
        least = about.get("least", 0)  # one side in files of earlier versions
        height, width = (least, least) if isinstance(least, int) else least
        options |= {"reading": about.get("reading"), "least": (height, width)}
        trained = [] if allow_other_pixels else [about.get("pixels"), *about.get("other_pixels", [])]
        pixels = [PixelMeaning.from_json(one) for one in trained]
        return Predictor(model, **known, palette=palette, pixels=[one for one in pixels if one], **options)
    from segtrain.parts.network import load_runs

    on = device_of(device)
    loaded = load_runs(source)
    first = loaded[0]
    model = ensembled([place_network(one.model, str(one.config.trainer.precision), on) for one in loaded])
    return Predictor(
        model,
        classes=first.classes,
        palette=first.palette,
        channels=first.channels,
        ignore_index=first.ignore_index,
        device=on,
        least=largest([least_size(one.config) for one in loaded]),
        reading=reading_of(first.config),
        pixels=[] if allow_other_pixels else [one.pixels for one in loaded if one.pixels is not None],
        **options,
    )


def place_network(model: torch.nn.Module, precision: str, device: str) -> Model:
    """Returns the network on its device, in the precision of its training: the bits are those of its evaluation."""
    model = model.to(device)

    def run(image: Tensor) -> Tensor:
        with torch.no_grad(), compute_in(precision, device):
            logits: Tensor = model(image)
        return logits

    return run


def reading_of(config: Any) -> dict[str, Any]:
    """Returns how a file becomes an image by the run's dataset: `kind`, the name of its class, and its options."""
    dataset = config.dataset
    keys = ("axis", "window", "normalise", "percentiles", "channels", "pages")
    plain = {key: dataset[key] for key in keys if key in dataset}
    lists = {
        key: list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else value
        for key, value in plain.items()
    }
    return {"kind": str(dataset["_target_"]).rpartition(".")[2], **lists}


def to_tensor(image: Array) -> Tensor:
    """Returns (H, W, C) as a tensor (C, H, W): uint8 as it is, all else float32; as training hands images on."""
    image = image if image.dtype == np.uint8 else image.astype(np.float32)
    planes = np.ascontiguousarray(image.transpose(2, 0, 1))
    return torch.from_numpy(planes if planes.flags.writeable else planes.copy())  # torch wants what may be written
