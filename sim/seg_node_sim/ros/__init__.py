"""Parts of the ROS source node; rclpy is imported here and in sim/ros_source.py only."""
