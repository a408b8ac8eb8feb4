"""What is said of the transport, from the environment alone."""

from __future__ import annotations

import pytest

from seg_node.ros.dds import inspect, profile_path

ADVICE = 'export FASTDDS_DEFAULT_PROFILES_FILE='


def test_the_shipped_profile_is_fit():
    for variable in ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'):
        found = inspect({variable: str(profile_path())})
        assert found.fit
        assert '64 MiB' in found.message


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (None, 'cannot be read'),
        ('<dds', 'cannot be read'),
        ('<dds><profiles/></dds>', 'got the default'),
        ('<dds><segment_size>1048576</segment_size></dds>', 'got 1048576'),
        ('<dds><segment_size>big</segment_size></dds>', 'cannot be read'),
    ],
)
def test_profiles_that_lose_frames(tmp_path, content, words):
    path = tmp_path / 'profile.xml'
    if content is not None:
        path.write_text(content)
    found = inspect({'FASTDDS_DEFAULT_PROFILES_FILE': str(path)})
    assert not found.fit
    assert words in found.message
    assert str(path) in found.message
    assert ADVICE in found.message
    assert '\n' not in found.message


def test_no_profile_and_another_middleware():
    assert not inspect({}).fit
    assert ADVICE in inspect({}).message
    other = inspect({'RMW_IMPLEMENTATION': 'rmw_cyclonedds_cpp'})
    assert other.fit
    assert 'rmw_cyclonedds_cpp' in other.message
