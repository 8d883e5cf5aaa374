"""One page a verb, and the assembly they share."""
