"""The model file: what it says of itself, and the runtimes that run it."""
