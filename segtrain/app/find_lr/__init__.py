"""Holds what `python -m segtrain find_lr` does."""
