"""Holds what `python -m segtrain train` does."""
