"""Holds what `python -m segtrain evaluate` does."""
