"""Holds what `python -m segtrain -m` does: jobs, searches and clusters."""
