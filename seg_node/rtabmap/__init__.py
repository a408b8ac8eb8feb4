"""Finished RTAB-Map databases: reading and painting the pictures of their nodes."""
