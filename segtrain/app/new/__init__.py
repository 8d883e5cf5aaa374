"""Holds what `python -m segtrain new` does."""
