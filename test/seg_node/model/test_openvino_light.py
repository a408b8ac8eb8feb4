"""OpenVINO starts without its converter, and has it when it is asked for."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
from seg_node.model.openvino import OpenVinoRunner
assert 'openvino.tools.ovc' not in sys.modules, 'the converter was imported'
import openvino
assert openvino.convert_model.__module__.startswith('openvino.tools')
from openvino.tools.ovc import convert_model
assert not hasattr(openvino, 'no_such_thing')
"""


def test_the_converter_comes_when_it_is_asked_for():
    subprocess.run([sys.executable, '-c', SCRIPT], check=True, timeout=120)
