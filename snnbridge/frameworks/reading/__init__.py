"""Live nets of a framework as checkpoints."""
