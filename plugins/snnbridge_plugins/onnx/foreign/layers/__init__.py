"""Operators and sums as layers of the model."""
