"""Every frame ends in exactly one account, whatever happens to it on its way."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy')

from std_msgs.msg import Header

from seg_node.errors import ConfigError, FrameError
from seg_node.images.frames import Frame, fill_image
from seg_node.mailbox import Mailboxes
from seg_node.model.loader import LoadedModel
from seg_node.ros import camera as camera_module
from seg_node.ros import outputs
from seg_node.ros.camera import CameraHost, CameraInput
from seg_node.ros.engine import Engine, ModelChoice
from seg_node.ros.frame_loop import FrameLoop
from seg_node.ros.mapping_settings import MappingSettings
from seg_node.ros.node_settings import NodeSettings
from seg_node.ros.outputs.output import Output
from seg_node.ros.rig import Inputs, cameras, check_names
from seg_node.timing import Stopwatch


class Sink(Output):
    """An output that keeps what it takes, or does what a test wants of it."""

    def __init__(self, late: bool = False, do=None) -> None:
        self.late, self.read, self.taken, self._do = late, True, [], do

    read = True

    def take(self, frame) -> None:
        if self._do is not None:
            raise self._do
        self.taken.append((frame.message, frame.mask.copy()))


@pytest.fixture(scope='module')
def engine(contract_model):
    return Engine(ModelChoice(str(contract_model), NodeSettings(cache_dir='off').run_options()))


class Way:
    """A camera with sinks, without ROS topics."""

    def __init__(self, engine, *sinks: Sink, age_ms: float = 5.0, **settings: object) -> None:
        self.reports: list[tuple[str, str]] = []
        current = {NodeSettings: NodeSettings(**settings), MappingSettings: MappingSettings()}
        host = CameraHost(
            None,
            SimpleNamespace(of=current.__getitem__),
            lambda message: age_ms,
            lambda cause, line: self.reports.append((cause, line)),
            lambda line: None,
        )
        self.camera = CameraInput(Inputs.named(''), host)
        self.camera._outputs = tuple(sorted(sinks, key=lambda sink: sink.late))
        self._engine = engine
        self._boxes: Mailboxes = Mailboxes({'': 1})
        self.camera._put = lambda message: self._boxes.put('', message)

    def send(self, message) -> None:
        self.camera.on_image(message)
        self.work()

    def work(self) -> None:
        while (taken := self._boxes.take(0.0)) is not None:
            self.camera.process(taken[1], self._engine)
            self._boxes.done('')

    @property
    def counts(self):
        return self.camera.account.counts()


def message(encoding: str = 'bgr8'):
    return fill_image(SimpleNamespace(header=Header()), np.zeros((32, 64, 3), np.uint8), encoding)


def test_a_good_frame_reaches_every_output_that_is_read_and_no_other(engine):
    early, late, unread = Sink(), Sink(late=True), Sink()
    unread.read = False
    way = Way(engine, late, early, unread)
    sent = message()
    way.send(sent)
    assert (way.counts.published, way.counts.pending, way.reports) == (1, 0, [])
    assert early.taken[0][0] is late.taken[0][0] is sent
    assert early.taken[0][1].shape == (32, 64)
    assert unread.taken == []


def test_a_bad_frame_is_rejected_by_its_cause(engine):
    way = Way(engine, Sink())
    way.send(message('hsv9'))
    assert (way.counts.published, way.camera.account.causes()) == (0, {'encoding': 1})
    assert way.reports[0][0] == 'encoding'


def test_an_old_frame_is_stale(engine):
    way = Way(engine, Sink(), age_ms=101.0, max_frame_age_ms=100.0)
    way.send(message())
    assert (way.counts.stale, way.counts.published) == (1, 0)
    assert way.reports == [('stale', 'frame is 101 ms old, the limit is 100 ms')]


def test_an_unforeseen_error_rejects_the_frame_and_the_next_one_goes_through(engine):
    broken = Sink(do=RuntimeError('surprise'))
    way = Way(engine, broken)
    way.send(message())
    assert (way.counts.published, way.camera.account.causes()) == (0, {'internal': 1})
    assert 'RuntimeError: surprise' in way.reports[0][1]
    broken._do = None
    way.send(message())
    assert (way.counts.published, way.counts.pending) == (1, 0)


@pytest.mark.parametrize('error', [RuntimeError('paint'), FrameError('size', 'paint')])
def test_a_failing_late_output_does_not_count_the_frame_twice(engine, error):
    way = Way(engine, Sink(), Sink(late=True, do=error))
    way.send(message())
    assert (way.counts.published, way.camera.account.causes(), way.counts.pending) == (1, {}, 0)
    assert 'paint' in way.reports[0][1]


def test_nothing_is_inferred_while_nobody_reads(engine):
    sink = Sink()
    sink.read = False
    way = Way(engine, sink)
    for _ in range(3):
        way.send(message())
    assert (way.counts.unread, way.counts.published, way.counts.pending) == (3, 0, 0)
    sink.read = True
    way.camera.on_readers()  # somebody comes: the last frame is theirs
    way.work()
    assert (way.counts.unread, way.counts.published, way.counts.pending) == (2, 1, 0)
    way.camera.on_readers()
    way.work()
    assert len(sink.taken) == 1


def test_an_unread_frame_that_is_old_stays_unread(engine, monkeypatch):
    sink = Sink()
    sink.read = False
    way = Way(engine, sink)
    way.send(message())
    sink.read = True
    monkeypatch.setattr(camera_module, '_HELD_S', 0.0)
    way.camera.on_readers()
    way.work()
    assert (way.counts.unread, way.counts.published, sink.taken) == (1, 0, [])


def test_without_lazy_every_frame_is_inferred(engine):
    sink = Sink()
    sink.read = False
    way = Way(engine, sink, lazy=False)
    way.send(message())
    assert (way.counts.unread, way.counts.published) == (0, 1)


def failing(loaded: LoadedModel):
    """The loaded model, whose runtime fails from now on."""

    def fail():
        raise RuntimeError('device lost\nadvice that nobody needs')

    loaded.runner.run = fail


@pytest.mark.parametrize('backend', ['openvino', 'onnxruntime'])
def test_a_runtime_that_fails_is_replaced_and_the_frame_is_not_lost(contract_model, backend):
    said: list[str] = []
    options = NodeSettings(backend=backend, cache_dir='off').run_options()
    engine = Engine(ModelChoice(str(contract_model), options), say=said.append)
    sink = Sink()
    way = Way(engine, sink)
    way.send(message())
    failing(engine.loaded)
    way.send(message())
    assert (way.counts.published, way.counts.pending) == (2, 0)
    assert engine.loaded.runner.backend != backend
    assert engine.fell_back
    assert len(said) == 1
    assert 'goes on with' in said[0] and 'advice' in said[0]
    failing(engine.loaded)  # the second one too: no third
    way.send(message())
    assert (way.counts.published, way.camera.account.causes()) == (2, {'backend': 1})
    engine.reload()
    way.send(message())
    assert engine.loaded.runner.backend == backend
    assert way.counts.published == 3


@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
def test_a_loop_that_hangs_or_has_ended_says_so_and_stops_in_time():
    boxes: Mailboxes = Mailboxes({'': 1})
    begun, go_on = threading.Event(), threading.Event()

    def hang(worker: int, camera: str, item: object) -> None:
        begun.set()
        go_on.wait(30)

    loop = FrameLoop(boxes, hang, lambda cause, line: None)
    loop.start()
    assert loop.trouble(0.0) == ''
    boxes.put('', 1)
    assert begun.wait(10)
    assert 'inference hangs' in loop.trouble(0.0)
    assert loop.trouble(60.0) == ''
    boxes.close()
    assert not loop.stop(0.05)
    go_on.set()
    assert loop.stop(10.0)

    def die(worker: int, camera: str, item: object) -> None:
        raise SystemExit

    boxes = Mailboxes({'': 1})
    loop = FrameLoop(boxes, die, lambda cause, line: None)
    loop.start()
    boxes.put('', 1)
    loop._threads[0].join(10)
    assert 'has ended' in loop.trouble(5.0)
    assert loop.stop(1.0)


def test_the_camera_that_has_waited_longest_is_served_next():
    boxes: Mailboxes[int] = Mailboxes({'a': 1, 'b': 1, 'c': 2})
    assert [boxes.put('a', 1), boxes.put('c', 2), boxes.put('c', 3), boxes.put('b', 4)] == [
        None
    ] * 4

    def next_one():
        taken = boxes.take(0.0)
        boxes.done(taken[0])
        return taken

    order = [next_one()]
    boxes.put('a', 5)
    order += [next_one() for _ in range(4)]
    assert order == [('a', 1), ('b', 4), ('c', 2), ('a', 5), ('c', 3)]
    assert boxes.take(0.0) is None
    boxes.put('b', 6)
    assert boxes.close() == (('b', 6),)
    assert boxes.put('b', 7) == 7
    assert boxes.take() is None


def test_a_camera_is_in_one_hand_at_a_time():
    boxes: Mailboxes[int] = Mailboxes({'a': 2, 'b': 2})
    for item in (1, 2):
        boxes.put('a', item)
        boxes.put('b', 10 * item)
    assert [boxes.take(0.0), boxes.take(0.0)] == [('a', 1), ('b', 10)]
    assert boxes.take(0.0) is None
    got: list[object] = []
    waiting = threading.Thread(target=lambda: got.append(boxes.take(10.0)))
    waiting.start()
    boxes.done('b')
    waiting.join(10)
    assert got == [('b', 20)]


def test_two_workers_side_by_side_answer_as_one_does(contract_model):
    """Each camera's own pictures, in order, on whichever thread; and both runtimes at a loss."""
    settings = NodeSettings(cache_dir='off', threads=2)
    cameras = [f'camera_{number}' for number in range(3)]
    engines = [
        Engine(ModelChoice(str(contract_model), settings.run_options(count))) for count in (1, 3)
    ]
    assert [engine.workers for engine in engines] == [1, 2]
    rng = np.random.default_rng(0)
    pictures = [
        (camera, Frame(rng.integers(0, 256, (48, 96, 3), np.uint8), 'bgr'))
        for _ in range(20)
        for camera in cameras
    ]
    masks: list[dict[str, list[np.ndarray]]] = []
    meeting = threading.Barrier(2, timeout=10)
    for engine in engines:
        boxes: Mailboxes[Frame] = Mailboxes(dict.fromkeys(cameras, 20))
        made: dict[str, list[np.ndarray]] = {camera: [] for camera in cameras}
        left = threading.Semaphore(0)
        first = [True] * engine.workers

        def work(worker, camera, frame, engine=engine, made=made, left=left, first=first) -> None:
            if engine.workers == 2 and first[worker]:
                first[worker] = False
                meeting.wait()  # two frames are in hand at one time
            made[camera].append(
                engine.segment(camera, frame, Stopwatch(), None, worker).mask.copy()
            )
            left.release()

        for camera, frame in pictures:
            boxes.put(camera, frame)
        complaints: list[str] = []
        loop = FrameLoop(
            boxes, work, lambda cause, line, said=complaints: said.append(line), engine.workers
        )
        loop.start()
        assert all(left.acquire(timeout=30) for _ in pictures), complaints
        boxes.close()
        assert loop.stop(10)
        masks.append(made)
        if engine.workers == 2:
            assert not meeting.broken
    for camera in cameras:
        assert np.array_equal(masks[0][camera], masks[1][camera])


def test_two_workers_meet_a_runtime_that_fails_once(contract_model):
    said: list[str] = []
    options = NodeSettings(cache_dir='off', threads=2).run_options(2)
    engine = Engine(ModelChoice(str(contract_model), options), say=said.append)
    meeting = threading.Barrier(2, timeout=10)

    def fail():
        meeting.wait()
        raise RuntimeError('device lost')

    for runner in engine.loaded.runners:
        runner.run = fail
    masks: dict[int, np.ndarray] = {}

    def work(worker: int) -> None:
        frame = Frame(np.zeros((48, 96, 3), np.uint8), 'bgr')
        masks[worker] = engine.segment(f'{worker}', frame, Stopwatch(), None, worker).mask

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(masks) == [0, 1]
    assert len(said) == 1
    assert (engine.loaded.runner.backend, engine.workers) == ('onnxruntime', 2)


def test_a_new_file_is_a_new_output(tmp_path, monkeypatch):
    """What the package says of itself: nothing else names an output."""
    (tmp_path / 'echo_of_test.py').write_text(
        'from dataclasses import dataclass\n'
        'from seg_node.ros.declared import parameter\n'
        'RANK = 15\n'
        '@dataclass(frozen=True)\n'
        'class SETTINGS:\n'
        "    echo_gain: float = parameter(1.0, 'Gain.')\n"
        "def create(site):\n    return 'made at ' + site\n"
    )
    monkeypatch.setattr(outputs, '__path__', [*outputs.__path__, str(tmp_path)])
    outputs.modules.cache_clear()
    try:
        names = [module.__name__.rpartition('.')[2] for module in outputs.modules()]
        assert names[:2] == ['mask', 'echo_of_test']
        assert any(hasattr(kind, 'echo_gain') for kind in outputs.settings_kinds())
        assert outputs.modules()[1].create('home') == 'made at home'
    finally:
        outputs.modules.cache_clear()


def test_camera_names_must_make_topics():
    check_names(('front', 'rear/left_2'))
    for names, words in (
        (('1st',), 'cannot be part'),
        (('a b',), 'cannot be part'),
        (('a//b',), 'cannot be part'),
        (('a', 'a'), 'different names'),
    ):
        with pytest.raises(ConfigError, match=words):
            check_names(names)


def test_cameras_of_a_rig_file_have_the_topics_of_ros_bridge(tmp_path):
    place = {'x': 1.0, 'yaw': 60.0}
    sensors = [
        {'type': 'sensor.camera.rgb', 'id': 'rgb_left', 'spawn_point': place},
        {'type': 'sensor.camera.depth', 'id': 'deep', 'spawn_point': {**place, 'z': 0}},
        {'type': 'sensor.camera.rgb', 'id': 'rgb_front', 'spawn_point': {}},
        {'type': 'sensor.lidar.ray_cast', 'id': 'lidar'},
    ]
    rig = tmp_path / 'rig.json'
    rig.write_text(
        json.dumps({'objects': [{'type': 'vehicle.x.y', 'id': 'ego', 'sensors': sensors}]})
    )
    left, front = cameras(None, [str(rig)])
    assert left == Inputs(
        'rgb_left', '/carla/ego/rgb_left/image', '/carla/ego/rgb_left/camera_info',
        '/carla/ego/deep/image', '/carla/ego/deep/camera_info',
    )  # fmt: skip
    assert (front.name, front.depth) == ('rgb_front', '/carla/ego/rgb_front/depth/image')
    for content, words in (
        ('{', 'not JSON'),
        ('[]', 'objects'),
        (json.dumps({'objects': [{'id': 'ego', 'sensors': []}]}), 'it has none'),
        (json.dumps({'objects': [{'id': 'ego', 'sensors': [{}]}]}), 'expected sensors'),
    ):
        rig.write_text(content)
        with pytest.raises(ConfigError, match=words):
            cameras(None, [str(rig)])
    with pytest.raises(ConfigError, match='cannot be read'):
        cameras(None, [str(tmp_path / 'none.json')])


def test_a_pattern_that_nothing_matches_says_what_there_is(monkeypatch):
    class Graph:
        def get_namespace(self):
            return '/bot'

        def get_fully_qualified_name(self):
            return '/bot/seg_node'

        def get_topic_names_and_types(self):
            image = ['sensor_msgs/msg/Image']
            return [('/cam/image', image), ('/bot/seg_node/mask', image), ('/tf', ['x'])]

    monkeypatch.setattr('seg_node.ros.rig._PATIENCE_S', 0.0)
    with pytest.raises(ConfigError) as refused:
        cameras(Graph(), ['rig/*/image'])
    assert str(refused.value) == (
        'cameras: no image topic matches /bot/rig/*/image after 0 s, there are: /cam/image'
    )
    with pytest.raises(ConfigError, match=r'expected one \*'):
        cameras(Graph(), ['/*/*/image'])
