"""Lane lines as geometry: polylines on the road, out of one mask a frame and tracked over time."""
