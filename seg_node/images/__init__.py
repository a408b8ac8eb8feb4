"""Pictures: messages and files to arrays and back, painted for people, written as video."""
