"""The vehicle model: a bicycle on the road surface, driven by throttle, brake and steer.

Kinematic bicycle about the centre of the wheelbase (Rajamani, Vehicle Dynamics and Control, 2.2),
with a steering actuator of limited rate, CARLA's speed-dependent steering curve and a bound on the
lateral acceleration that tyres can give.  No suspension: the body stays level with the road.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from seg_node_sim.server.catalogue import VehicleType
from seg_node_sim.server.wire import AckermannControl, VehicleControl

# The client's Traffic Manager steers in proportion to the angle of a point ahead, farther away the
# faster it drives, and halves its gain at 60 km/h.  With these two it follows curves of 8 to 400 m
# radius at their speeds without cutting or leaving them; the step of the curve is the answer to
# that of the gain (seg_node_sim.server.figures measures).
MAX_STEER_DEG = 38.0
STEERING_CURVE = (  # km/h, share of the full angle
    (0.0, 1.0),
    (25.0, 1.0),
    (50.0, 0.75),
    (56.0, 0.55),
    (59.5, 0.5),
    (61.0, 0.9),
    (80.0, 0.85),
    (120.0, 0.8),
)
_STEER_RATE = math.radians(400.0)
_MAX_BRAKE = 8.0  # m/s^2
_COAST = 0.25  # m/s^2: rolling resistance and engine drag
_DRAG = 3.0e-4  # 1/m: c_d A rho / (2 m) of a passenger car
_LATERAL_GRIP = 14.0  # m/s^2; CARLA's wheels have a friction of 3.5, far above real tyres
_STEP = 0.02  # s, longest step of the integration
_STILL = 1e-3  # m/s


@dataclass
class MotionState:
    """Planar state of one vehicle: metres, radians (right turn positive), m/s along the body."""

    x: float
    y: float
    yaw: float
    speed: float = 0.0
    steer_angle: float = 0.0
    yaw_rate: float = 0.0
    slip: float = 0.0  # angle of the velocity against the body, radians


def curve_share(speed: float) -> float:
    """Share of the full steering angle that is available at `speed` (m/s)."""
    kmh = abs(speed) * 3.6
    for (low, a), (high, b) in itertools.pairwise(STEERING_CURVE):
        if kmh <= high:
            return a + (b - a) * (kmh - low) / (high - low)
    return STEERING_CURVE[-1][1]


def advance(
    state: MotionState,
    control: VehicleControl,
    vehicle: VehicleType,
    dt: float,
    constant_speed: float | None = None,
) -> None:
    """Move the vehicle by `dt` seconds under one control."""
    steps = max(1, math.ceil(dt / _STEP - 1e-9))
    for _ in range(steps):
        _advance(state, control, vehicle, dt / steps, constant_speed)


def _advance(
    state: MotionState,
    control: VehicleControl,
    vehicle: VehicleType,
    dt: float,
    constant_speed: float | None,
) -> None:
    target = control.steer * math.radians(MAX_STEER_DEG) * curve_share(state.speed)
    reach = _STEER_RATE * dt
    state.steer_angle += max(-reach, min(reach, target - state.steer_angle))
    if constant_speed is None:
        state.speed = _next_speed(state.speed, control, vehicle, dt)
    else:
        state.speed = constant_speed
    half = vehicle.wheelbase / 2.0
    slip = math.atan(0.5 * math.tan(state.steer_angle))
    yaw_rate = state.speed * math.sin(slip) / half
    # Beyond the tyres' grip the car understeers: it turns as fast as the grip allows.
    limit = _LATERAL_GRIP / max(abs(state.speed), 0.1)
    if abs(yaw_rate) > limit:
        yaw_rate = math.copysign(limit, yaw_rate)
        slip = math.asin(max(-1.0, min(1.0, yaw_rate * half / state.speed)))
    state.slip, state.yaw_rate = slip, yaw_rate
    course = state.yaw + yaw_rate * dt / 2.0 + slip
    state.x += state.speed * math.cos(course) * dt
    state.y += state.speed * math.sin(course) * dt
    state.yaw += yaw_rate * dt


def _next_speed(speed: float, control: VehicleControl, vehicle: VehicleType, dt: float) -> float:
    reverse = control.reverse or (control.manual_gear_shift and control.gear < 0)
    top = vehicle.top_speed if not reverse else 8.0
    ratio = min(abs(speed) / top, 1.0)
    drive = control.throttle * vehicle.max_acceleration * (1.0 - ratio * ratio)
    push = -drive if reverse else drive
    brake = max(control.brake, 1.0 if control.hand_brake else 0.0) * _MAX_BRAKE
    resist = brake + _COAST + _DRAG * speed * speed
    pushed = speed + push * dt
    # Resistance can stop the car but never turn it round.
    if abs(pushed) <= resist * dt:
        return 0.0
    slowed = pushed - math.copysign(resist * dt, pushed)
    return slowed if abs(slowed) > _STILL else 0.0


@dataclass
class AckermannDriver:
    """Turns an Ackermann target into pedals and steer, a proportional controller on speed."""

    target: AckermannControl

    def control(self, state: MotionState) -> VehicleControl:
        """The control for the next step. `target.steer` in radians, right positive."""
        full = math.radians(MAX_STEER_DEG) * curve_share(state.speed)
        steer = max(-1.0, min(1.0, self.target.steer / full))
        error = abs(self.target.speed) - abs(state.speed)
        if abs(self.target.speed) < 0.05:
            return VehicleControl(steer=steer, brake=min(1.0, 0.3 + abs(state.speed) * 0.2))
        reverse = self.target.speed < 0.0
        if error >= 0.0:
            hold = 0.06 + 0.002 * abs(state.speed)  # against rolling resistance
            return VehicleControl(min(1.0, hold + 0.4 * error), steer, 0.0, reverse=reverse)
        return VehicleControl(0.0, steer, min(1.0, -0.15 * error), reverse=reverse)
