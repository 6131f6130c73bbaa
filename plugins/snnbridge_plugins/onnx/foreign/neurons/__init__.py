"""Neurons, told by what a part of the graph makes of probes."""
