"""CARLA for seg_node: an embedded server that speaks its protocol, and the client side."""
