"""What comes out of a run: scores, the table a test image, pictures."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from segtrain import plots
from segtrain.app import empty_images
from segtrain.app.assembly import Parts
from segtrain.model import metrics
from segtrain.runs.epochs import number_of, written
from segtrain.runs.folder import RunFolder
from segtrain.runs.metrics_csv import write_csv
from segtrain.spread import spread

SHOWN = 4  # samples on a sheet: fits one screen
EPOCHS_SHOWN = 4


def write_pictures(run: RunFolder, parts: Parts) -> None:
    """augmented.png, before training: some training samples as the network sees them in the first epochs."""
    dataset, data = parts.dataset, parts.data
    rows = []
    for index in spread(data.split.train, SHOWN):
        image, mask = dataset.read(index)
        views = [data.policy(image, mask, (data.seed, epoch, index, 0)) for epoch in range(EPOCHS_SHOWN)]
        rows.append((dataset.ids[index], views))
    heads = [f"epoch {number_of(epoch)}" for epoch in range(EPOCHS_SHOWN)]
    plots.augmented_sheet(
        run.path / "augmented.png", rows, dataset.palette, dataset.classes, dataset.ignore_index, heads
    )


def write_results(run: RunFolder, parts: Parts, *, best_epoch: int) -> dict[str, Any]:
    """results.json, per_image.csv, predictions.png and curves.png of a tested module.

    Returns:
        The content of results.json, which is written last: its presence means that the run is whole.
    """
    results: dict[str, Any] = {f"test/{key}": value for key, value in parts.module.evaluation().items()}
    results |= {"test/images": len(parts.module.image_matrices), **written("best_epoch", best_epoch)}
    results["val/dice"] = parts.trainer.checkpoint_callback.best  # type: ignore[union-attr]
    empty = empty_images.counts(parts.module.image_matrices, parts.dataset.classes)
    results |= {f"test/{key}": value for key, value in empty.items()}
    rows = per_image(parts.module.image_matrices, parts.dataset.ids, parts.dataset.classes)
    write_csv(run.path / "per_image.csv", rows)
    _write_predictions(run, parts)
    plots.curves(run.path / "curves.png", run.metrics.rows())
    run.write_json("results.json", results)
    return results


def per_image(matrices: Mapping[int, Tensor], ids: Sequence[str], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the rows of per_image.csv, in the order of the samples: id, Dice and IoU, pixels counted, those a class.

    Dice and IoU are NaN where neither truth nor prediction has the class, whether the image is rightly empty or has no
    counted pixel; `truth/<class>`, the counted pixels of a class in the truth, tells a false positive from a miss.
    """
    rows = []
    for index, matrix in sorted(matrices.items()):
        scores = metrics.scores(matrix, classes)
        kept = {k: v for k, v in scores.items() if k.split("/")[0] in ("dice", "iou")}
        truth = {f"truth/{name}": int(n) for name, n in zip(classes, matrix.sum(1).tolist(), strict=True)}
        rows.append({"id": ids[index], **kept, "pixels": int(matrix.sum()), **truth})
    return rows


def _write_predictions(run: RunFolder, parts: Parts) -> None:
    """predictions.png of a few test images, thumbnails.jpg of those that the report may show."""
    dataset, module = parts.dataset, parts.module
    items = []
    for index, pred in sorted(module.predictions.items()):
        image, mask = dataset.read(index)
        scores = metrics.scores(module.image_matrices[index], dataset.classes)
        dice = {name: scores[f"dice/{name}"] for name in dataset.classes}
        guess = pred.numpy()[: mask.shape[0], : mask.shape[1]]
        items.append((dataset.ids[index], image, mask, guess, dice))
    path, classes = run.path / "predictions.png", dataset.classes
    plots.predictions_sheet(path, spread(items, SHOWN), dataset.palette, classes, dataset.ignore_index)
    plots.thumbnails(run.path / plots.THUMBNAILS, [item[:4] for item in items], dataset.palette, dataset.ignore_index)
