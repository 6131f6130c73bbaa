"""Checkpoints as live nets of a framework."""
