"""The ROS 2 nodes: the only place of the runtime that imports rclpy."""
