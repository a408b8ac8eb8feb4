"""What the scenarios share: a client, an episode, actors and their data."""

from __future__ import annotations

import queue

import carla
import numpy as np

STEP_S = 0.05


def place_of(transform):
    location, rotation = transform.location, transform.rotation
    return [
        location.x,
        location.y,
        location.z,
        rotation.pitch,
        rotation.yaw,
        rotation.roll,
    ]


def connected(port):
    client = carla.Client('127.0.0.1', port)
    client.set_timeout(100.0)
    return client


def make_synchronous(world, fixed=STEP_S):
    settings = world.get_settings()
    settings.synchronous_mode, settings.fixed_delta_seconds = True, fixed
    return world.apply_settings(settings)


def fresh_world(port, town=None):
    """A client and a new synchronous episode."""
    client = connected(port)
    world = client.load_world(town) if town else client.reload_world()
    make_synchronous(world)
    return client, world


def spawn_car(world, index=0, model='vehicle.tesla.model3'):
    blueprint = world.get_blueprint_library().find(model)
    return world.spawn_actor(blueprint, world.get_map().get_spawn_points()[index])


def spawn_camera(world, kind, parent=None, mount=None, **attributes):
    blueprint = world.get_blueprint_library().find(f'sensor.camera.{kind}')
    for name, text in {'image_size_x': 96, 'image_size_y': 54, **attributes}.items():
        blueprint.set_attribute(name, str(text))
    mount = mount or carla.Transform(carla.Location(x=1.5, z=1.7), carla.Rotation(pitch=-5.0))
    return world.spawn_actor(blueprint, mount, attach_to=parent)


def listen_to(sensor):
    data = queue.Queue()
    sensor.listen(data.put)
    return data


def pixels_of(image):
    # The memory is the image's: a view of it outlives a temporary image badly.
    return np.array(image.raw_data, np.uint8).reshape(image.height, image.width, 4)


def error_of(function):
    try:
        function()
    except RuntimeError as error:
        return str(error)
    return None
