"""Replay evaluation: every frame of a recorded drive through a model, and what came of it."""
