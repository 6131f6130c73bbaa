"""What authors of formats test with: checkpoints of every sort.

:mod:`snnbridge.testing.strategies` needs hypothesis.
"""
