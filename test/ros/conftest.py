"""The tester beside the node, for every module here."""

from ros_graph import graph, module_tester, processes, ros_tools, seg_node, tester

__all__ = ['graph', 'module_tester', 'processes', 'ros_tools', 'seg_node', 'tester']
