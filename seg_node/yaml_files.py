"""Small YAML files of strangers: a mapping, of a size that a person writes.

An alias costs nothing to load and everything to print or check: nine lines of aliases of aliases
stand for 10^9 values. So they are counted as often as they are used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from seg_node.errors import ConfigError, first_line

_MOST_BYTES = 1 << 20
_MOST_VALUES = 100_000


def _safe_load(text: str) -> Any:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _values(node, {}) > _MOST_VALUES:
            raise yaml.YAMLError(f'its aliases stand for more than {_MOST_VALUES} values')
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _values(node: yaml.Node, known: dict[int, int]) -> int:
    """Values below a node, aliases counted at every use."""
    if id(node) not in known:
        known[id(node)] = _MOST_VALUES + 1  # while it is counted: one that contains itself
        parts: list[yaml.Node] = []
        if isinstance(node, yaml.SequenceNode):
            parts = node.value
        elif isinstance(node, yaml.MappingNode):
            parts = [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_values(part, known) for part in parts)
    return known[id(node)]


def read_mapping(path: Path, subject: str = '') -> dict[Any, Any]:
    """The mapping of a YAML file; `subject` names it in errors. Raises `ConfigError`."""
    subject = subject or str(path)
    try:
        with path.open('rb') as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f'{subject}: cannot be read: {error.strerror or error}') from None
    if len(data) > _MOST_BYTES:
        raise ConfigError(f'{subject}: expected at most {_MOST_BYTES >> 20} MiB of YAML')
    try:
        raw = _safe_load(data.decode('utf-8'))
    except UnicodeDecodeError:
        raise ConfigError(f'{subject}: expected UTF-8') from None
    except RecursionError:
        raise ConfigError(f'{subject}: not YAML: nested too deeply') from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f'{subject}: not YAML: {first_line(error)}') from None
    if not isinstance(raw, dict):
        raise ConfigError(f'{subject}: expected a mapping, got {type(raw).__name__}')
    return raw
