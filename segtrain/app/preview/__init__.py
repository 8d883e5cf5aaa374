"""Holds what `python -m segtrain preview` does."""
