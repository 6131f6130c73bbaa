"""Helpers that run beside a framework.

``export`` saves a net with what the framework's own files leave out, ``checkpoint_of`` returns that
as a checkpoint, and ``build`` makes a net of the framework from any checkpoint.
"""
