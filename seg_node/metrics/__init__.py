"""Scores: integer counts of pictures, summed, and the figures that come of the sums."""
