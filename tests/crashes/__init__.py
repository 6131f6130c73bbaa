"""What is left when a writer is stopped: killed, out of space, or cut off from power."""
