"""Quantization of a trained network, and the gate that a quantized file has to pass."""
