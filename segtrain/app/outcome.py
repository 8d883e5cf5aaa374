"""What comes out of a run: scores, the table a test image, pictures."""

from typing import Any

import torch

from segtrain import plots
from segtrain.app.assembly import Parts
from segtrain.model import metrics
from segtrain.runs.folder import RunFolder
from segtrain.runs.metrics_csv import write_csv

SHOWN = 4  # samples on a sheet: fits one screen
EPOCHS_SHOWN = 4


def write_pictures(run: RunFolder, parts: Parts) -> None:
    """augmented.png, before training: some training samples as the network sees them in the first epochs."""
    dataset, data = parts.dataset, parts.data
    rows = []
    for index in _spread(data.split.train):
        image, mask = dataset.read(index)
        views = [data.policy(image, mask, (data.seed, epoch, index, 0)) for epoch in range(EPOCHS_SHOWN)]
        rows.append((dataset.ids[index], views))
    heads = [f"epoch {epoch + 1}" for epoch in range(EPOCHS_SHOWN)]
    plots.augmented_sheet(
        run.path / "augmented.png", rows, dataset.palette, dataset.classes, dataset.ignore_index, heads
    )


def write_results(run: RunFolder, parts: Parts, *, best_epoch: int) -> dict[str, Any]:
    """results.json, per_image.csv, predictions.png and curves.png of a tested module.

    Returns:
        The content of results.json, which is written last: its presence means that the run is whole.
    """
    results: dict[str, Any] = {f"test/{key}": value for key, value in parts.module.evaluation().items()}
    results |= {"test/images": len(parts.data.split.test), "best_epoch": best_epoch}
    results["val/dice"] = parts.trainer.checkpoint_callback.best  # type: ignore[union-attr]
    write_csv(run.path / "per_image.csv", _per_image(parts))
    _write_predictions(run, parts)
    plots.curves(run.path / "curves.png", run.metrics.rows())
    run.write_json("results.json", results)
    return results


def _per_image(parts: Parts) -> list[dict[str, Any]]:
    rows = []
    for index, matrix in sorted(parts.module.image_matrices.items()):
        scores = metrics.scores(matrix, parts.dataset.classes)
        kept = {k: v for k, v in scores.items() if k.split("/")[0] in ("dice", "iou")}
        rows.append({"id": parts.dataset.ids[index], **kept, "pixels": int(matrix.sum())})
    return rows


@torch.no_grad()
def _write_predictions(run: RunFolder, parts: Parts) -> None:
    module, dataset = parts.module.eval(), parts.dataset
    items = []
    for sample in (parts.data.test_dataloader().dataset[i] for i in _spread(range(len(parts.data.split.test)))):
        pred = metrics.prediction(module(sample["image"][None].to(module.device)))[0].cpu().numpy()
        index = int(sample["index"])
        image, mask = dataset.read(index)
        matrix = parts.module.image_matrices.get(index)
        if matrix is None:  # limit_test_batches left it out
            continue
        scores = metrics.scores(matrix, dataset.classes)
        dice = {name: scores[f"dice/{name}"] for name in dataset.classes}
        items.append((dataset.ids[index], image, mask, pred[: mask.shape[0], : mask.shape[1]], dice))
    plots.predictions_sheet(run.path / "predictions.png", items, dataset.palette, dataset.classes, dataset.ignore_index)


def _spread(indices: Any) -> list[int]:
    """Up to SHOWN of the indices, evenly spaced."""
    count = min(SHOWN, len(indices))
    return [indices[i * len(indices) // count] for i in range(count)]
