"""The graph of another tool: its constants, its operators, what they compute, and its names."""
