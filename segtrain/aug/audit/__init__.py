"""Measures what an augmentation does to samples."""
