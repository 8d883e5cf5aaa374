"""Holds losses, metrics and schedules: torch in, torch out; nothing here knows of configs, datasets or runs."""
