"""The file: messages, tensors, what may not be, and the data beside it."""
