"""Helpers that run beside a framework, to save what its own files leave out."""
