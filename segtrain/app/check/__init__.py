"""Holds what `python -m segtrain check` does."""
