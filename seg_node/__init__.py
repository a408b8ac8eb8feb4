"""Road and lane-marking segmentation for ROS 2, on a quantized network."""
