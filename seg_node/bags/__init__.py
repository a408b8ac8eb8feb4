"""Recorded drives: bags read and written, their camera found, their messages joined."""
