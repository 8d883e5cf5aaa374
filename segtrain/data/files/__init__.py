"""Reads files: pictures, scans, tables, and which of them belong together. No torch."""
