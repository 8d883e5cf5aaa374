"""Offers the ways to say which sample trains, chooses and judges, each a class, with a file in conf/split."""

from segtrain.data.files.samples import PARTS
from segtrain.data.split.blocks import Blocks
from segtrain.data.split.folds import Folds
from segtrain.data.split.given import Given
from segtrain.data.split.parts import Split, join_twins, statistic_groups
from segtrain.data.split.ratios import Ratios
from segtrain.data.split.stratified import Stratified

__all__ = ["PARTS", "Blocks", "Folds", "Given", "Ratios", "Split", "Stratified", "join_twins", "statistic_groups"]
