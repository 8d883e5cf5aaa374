"""Holds what `python -m segtrain report`, `compare` and `diff` do: how sure a difference is. No torch."""
