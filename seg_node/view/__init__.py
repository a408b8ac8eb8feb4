"""A drive as entities of Rerun: into a file, a browser or a window. Needs the extra `view`."""
