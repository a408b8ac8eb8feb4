"""From a network to the file of the model contract."""
