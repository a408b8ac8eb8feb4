"""Training, quantization, export and benchmarks of the seg_node networks."""
