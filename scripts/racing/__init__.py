"""What scripts/validate_find.py races: the worlds, recorded and simulated, and the ways to find the best arm."""
