"""Checks of a machine and of a ROS graph, for people who wonder why no mask comes."""
