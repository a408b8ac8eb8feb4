"""Networks as teachers: soft answers beside pictures that nobody labelled."""
