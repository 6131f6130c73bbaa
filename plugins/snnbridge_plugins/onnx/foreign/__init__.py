"""Graphs of other tools: their weights, ordinary layers, and neurons told by their arithmetic.

From the bottom up: ``graph`` (constants, operators and what they compute), ``shapes``, ``layers``
(operators and sums as layers of the model), ``neurons`` (parts of a graph, held against the family
on probes). Above them ``prepared`` (constants, aliases and parts found), ``outside``, ``notes`` and
``reading``.
"""
