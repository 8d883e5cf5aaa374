"""Owns the run folder: its files, its environment record and its checkpoints, each written whole."""
