"""Questions that the source systems left open, each a script that writes its page."""
