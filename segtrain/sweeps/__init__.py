"""Many runs: in which order they go, how they are run, and what they say together."""
