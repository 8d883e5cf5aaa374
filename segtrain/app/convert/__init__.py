"""Holds what `python -m segtrain convert` does."""
