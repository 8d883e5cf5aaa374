"""Holds a folder for each verb; the module of the same name is its entry."""
