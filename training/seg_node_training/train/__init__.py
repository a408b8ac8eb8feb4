"""Training: the loop, its losses, optimizers and checkpoints."""
