"""Turns a config or a run folder into the parts of a run, for all verbs: data, network, trained run, predictor."""
