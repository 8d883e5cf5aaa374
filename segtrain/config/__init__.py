"""Checks what a config says, and turns its nodes into objects."""
