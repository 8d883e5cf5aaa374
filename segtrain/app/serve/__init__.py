"""Holds what `python -m segtrain serve` does."""
