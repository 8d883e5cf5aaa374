"""Offers the datasets: each a class that reads samples, described by one file in conf/dataset. No torch below here."""

from segtrain.data.datasets.brain_scanners import BrainScanners
from segtrain.data.datasets.brain_tissue import BrainTissue
from segtrain.data.datasets.coco import Coco
from segtrain.data.datasets.contract import Sample, SegmentationDataset, colours
from segtrain.data.datasets.csv_manifest import Csv
from segtrain.data.datasets.folder import Folder
from segtrain.data.datasets.huggingface import HuggingFace
from segtrain.data.datasets.instances import Instances
from segtrain.data.datasets.shapes import Shapes
from segtrain.data.datasets.streamed import Streamed
from segtrain.data.datasets.tiff import Tiff
from segtrain.data.datasets.volume import Volume

__all__ = [
    "BrainScanners",
    "BrainTissue",
    "Coco",
    "Csv",
    "Folder",
    "HuggingFace",
    "Instances",
    "Sample",
    "SegmentationDataset",
    "Shapes",
    "Streamed",
    "Tiff",
    "Volume",
    "colours",
]
