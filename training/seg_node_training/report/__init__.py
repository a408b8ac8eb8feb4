"""Pages and cards written from measured figures."""
