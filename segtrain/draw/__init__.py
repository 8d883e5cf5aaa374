"""Draws figures, contact sheets and pages. No torch."""
