"""Topics of several cameras by one pattern: `/rig/*/image_raw`."""

from __future__ import annotations

from dataclasses import dataclass

from seg_node.errors import ConfigError


@dataclass(frozen=True)
class TopicPattern:
    """A topic with one `*`, which stands for letters, digits and underscores within one part."""

    before: str
    after: str

    @classmethod
    def of(cls, text: str) -> TopicPattern:
        """Raises `ConfigError` unless there is one `*` in it."""
        if text.count('*') != 1:
            raise ConfigError(f'{text}: expected one * in a pattern of topics')
        before, _, after = text.partition('*')
        return cls(before, after)

    def part(self, topic: str) -> str | None:
        """What stands for the `*` in `topic`; None: it does not match."""
        if not (topic.startswith(self.before) and topic.endswith(self.after)):
            return None
        part = topic[len(self.before) : len(topic) - len(self.after)]
        return part if part and '/' not in part else None

    def filled(self, part: str) -> str:
        """The topic with `part` for the `*`."""
        return f'{self.before}{part}{self.after}'
