"""Measurements as commands: in process, and over DDS."""
