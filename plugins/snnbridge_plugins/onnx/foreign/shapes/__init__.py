"""The shapes of a graph's values, as far as they are certain."""
