"""Holds what `python -m segtrain predict` does."""
