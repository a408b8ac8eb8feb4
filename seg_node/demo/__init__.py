"""The demo: real processes over real DDS, and what they leave behind."""
