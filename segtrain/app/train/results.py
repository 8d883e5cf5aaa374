"""What comes out of a run: scores, the table a test image, pictures."""

from typing import Any

from segtrain.app.train.assembly import Parts
from segtrain.draw import pictures as plots
from segtrain.model import metrics
from segtrain.parts import empty_images
from segtrain.parts.evaluation import image_rows
from segtrain.runs.epochs import number_of, written
from segtrain.runs.folder import RunFolder
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
    plots.augmented_sheet(run.augmented, rows, dataset.palette, dataset.classes, dataset.ignore_index, heads)


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
    rows = image_rows(parts.module.image_matrices, parts.dataset.ids, parts.dataset.classes)
    run.write_images(rows)
    _write_predictions(run, parts)
    plots.curves(run.curves, run.metrics.rows())
    run.write_results(results)
    return results


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
    path, classes = run.predictions, dataset.classes
    plots.predictions_sheet(path, spread(items, SHOWN), dataset.palette, classes, dataset.ignore_index)
    plots.thumbnails(run.thumbnails, [item[:4] for item in items], dataset.palette, dataset.ignore_index)
