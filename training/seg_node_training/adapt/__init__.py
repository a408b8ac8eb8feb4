"""A model for one's own camera, from a drive that nobody labelled."""
