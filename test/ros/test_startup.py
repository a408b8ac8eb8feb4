"""What a node process says when it starts, and how it refuses what cannot be."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy')

from seg_node.errors import ConfigError

DOMAIN = 51
NODE = 'seg_node.ros.node'


@pytest.fixture(scope='module')
def started(processes, ros_tools, tmp_path_factory, contract_model):
    """All of them at once: each takes a second or two to start."""
    arguments = ros_tools.arguments
    folder = tmp_path_factory.mktemp('files')
    profile, parameters = folder / 'small.xml', folder / 'params.yaml'
    profile.write_text('<dds xmlns="http://www.eprosima.com"><profiles/></dds>')
    parameters.write_text('seg_node:\n  ros__parameters: [1\n')
    return {
        'missing': processes(NODE, arguments(model='/nowhere/lane.onnx')),
        'type': processes(NODE, arguments(model=contract_model, threads='many')),
        'file': processes(NODE, ['--ros-args', '--params-file', str(parameters)]),
        'profile': processes(
            NODE, arguments(autostart='false'), FASTDDS_DEFAULT_PROFILES_FILE=str(profile)
        ),
    }


def test_a_missing_model_is_one_line_and_the_node_waits(started):
    process = started['missing']
    process.wait_line(r'ERROR.*/nowhere/lane\.onnx: no such model file')
    assert process.process.poll() is None
    assert process.interrupt() == 0
    assert 'Traceback' not in process.output


@pytest.mark.parametrize(
    ('name', 'pattern'),
    [
        ('type', r"error: parameters: threads: cannot be 'many'"),
        ('file', r'error: ROS arguments: .*params\.yaml'),
    ],
)
def test_arguments_that_cannot_be_end_the_process_with_one_line(started, name, pattern):
    process = started[name]
    assert process.status() == 1, process.output
    process.wait_line(pattern)
    assert 'Traceback' not in process.output
    assert len([line for line in process.lines if line.startswith('error: ')]) == 1


def test_a_transport_profile_that_loses_frames_is_named(started):
    process = started['profile']
    process.wait_line(r'WARN.*small\.xml: expected a shared-memory segment of at least 12582912')
    process.wait_line('autostart is off: waiting to be configured')
    assert process.interrupt(times=2) == 0


@pytest.fixture
def bad_model(request, tmp_path, contract_model):
    """A model file that cannot be used."""
    data = contract_model.read_bytes()
    contents = {
        'corrupt': b'this is no model',
        'truncated': data[: len(data) // 2],
        'theirs': data.replace(b'seg_node/1', b'anybody/99'),
    }
    path = tmp_path / f'{request.param}.onnx'
    path.write_bytes(contents[request.param])
    return path


@pytest.mark.parametrize(
    ('bad_model', 'words'),
    [
        ('corrupt', 'corrupt.onnx: not a readable ONNX file'),
        ('truncated', 'truncated.onnx: not a readable ONNX file'),
        ('theirs', 'theirs.onnx: not described by its metadata'),
    ],
    indirect=['bad_model'],
)
@pytest.mark.parametrize('backend', ['openvino', 'onnxruntime'])
def test_a_model_that_cannot_be_is_refused(tester, seg_node, bad_model, words, backend):
    seg_node(model=str(bad_model), backend=backend)
    tester.wait(lambda: words in tester.diagnostics.get('last_problem', ''), words)
    assert tester.diagnostics['state'] == 'unconfigured'
    assert words in tester.verdict
    assert tester.state() == 'unconfigured'


@pytest.mark.parametrize(
    ('parameters', 'words'),
    [
        ({'backend': 'tpu'}, "backend: expected one of .*, got 'tpu'"),
        ({'overlay_alpha': 7.5}, r'overlay_alpha: cannot be 7\.5'),
        ({'overlay_alpha': 1}, 'overlay_alpha: cannot be 1 '),
        ({'thresholds': 5}, 'thresholds: expected a list of integers, got 5'),
        ({'thresholds': [0]}, 'thresholds: expected 1 to 255, got 0'),
        ({'threads': -1, 'device': 'fpga'}, 'threads: cannot be -1'),
        ({'output_size': 'half', 'precision': 'int3'}, "(?=.*'half')(?=.*'int3')"),
    ],
)
def test_an_impossible_parameter_is_an_error_that_names_it(seg_node, parameters, words):
    with pytest.raises(ConfigError, match=words) as caught:
        seg_node(start=False, **parameters)
    assert '\n' not in str(caught.value)


def test_thresholds_that_do_not_fit_the_model(tester, seg_node, contract_model):
    seg_node(model=str(contract_model), thresholds=[1, 2, 3])
    words = 'thresholds: expected 2 values from 1 to 255, got [1, 2, 3]'
    tester.wait(lambda: tester.diagnostics.get('last_problem') == words, words)
    assert tester.state() == 'unconfigured'


@pytest.mark.parametrize(
    ('name', 'value', 'state', 'words'),
    [
        ('/image.subscription.reliability', 'sometimes', 'inactive', 'reliability`: `sometimes`'),
        ('/image.subscription.depth', 'deep', 'inactive', "depth' to 'deep'"),
        ('/camera_info.subscription.history', 'forever', 'inactive', 'history`: `forever`'),
        ('/seg_node/mask.publisher.durability', 'so-so', 'unconfigured', 'durability`: `so-so`'),
        ('/seg_node/overlay.publisher.depth', -3, 'unconfigured', 'history depth'),
    ],
)
def test_an_impossible_qos_override_is_refused_by_name(
    tester, seg_node, contract_model, name, value, state, words
):
    seg_node(model=str(contract_model), **{f'qos_overrides.{name}': value})
    topic = name.partition('.')[0]

    def told():
        return tester.diagnostics.get('last_problem', '').startswith(f'qos_overrides.{topic}: ')

    tester.wait(told, f'the problem of {topic}')
    assert words in tester.diagnostics['last_problem']
    assert tester.state() == state
    # Asking again says the same again, and does not take the node down.
    assert not tester.change('activate' if state == 'inactive' else 'configure')
    assert tester.state() == state
