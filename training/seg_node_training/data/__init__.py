"""Training data: sets, targets, mixtures and what is done to pairs."""
