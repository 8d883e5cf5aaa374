"""Holds what `python -m segtrain export` does."""
