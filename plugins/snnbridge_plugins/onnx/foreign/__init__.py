"""Graphs of other tools: their weights, ordinary layers, and neurons told by their arithmetic."""
