"""What is said of the transport, from the environment alone."""

from __future__ import annotations

import pytest

from seg_node.transport import inspect, profile_path

DOMAIN = 54
ROOMY = 1 << 30
ADVICE = 'export FASTDDS_DEFAULT_PROFILES_FILE='


def test_the_shipped_profile_is_fit():
    for variable in ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'):
        found = inspect({variable: str(profile_path(free=ROOMY))}, free=ROOMY)
        assert found.fit
        assert '64 MiB' in found.message
        assert 'Docker' not in found.message


def test_a_container_with_64_mib_of_shared_memory(monkeypatch):
    # As a process that has no segment yet; this one may have, after other tests.
    monkeypatch.setattr('seg_node.transport._largest_mapped', lambda: 0)
    profile = profile_path(free=64 << 20)
    assert profile.is_file()
    found = inspect({'FASTDDS_DEFAULT_PROFILES_FILE': str(profile)}, free=64 << 20)
    assert found.fit
    assert '12 MiB' in found.message
    assert '--shm-size' in found.message
    large = str(profile_path(free=ROOMY))
    lost = inspect({'FASTDDS_DEFAULT_PROFILES_FILE': large}, free=50 << 20)
    assert not lost.fit
    assert 'wants 64 MiB of shared memory, /dev/shm has 50 MiB' in lost.message


def test_the_own_segment_counts_as_taken(tester):
    environment = {'FASTDDS_DEFAULT_PROFILES_FILE': str(profile_path())}
    assert inspect(environment, free=0).fit


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
