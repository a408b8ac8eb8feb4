"""What can be spawned: vehicles with the sizes of CARLA's own, walkers, props.

Half sizes in metres, masses in kg, as published in CARLA's vehicle catalogue; where the catalogue
is silent, the real vehicle's.
"""

from __future__ import annotations

from dataclasses import dataclass

Vector = tuple[float, float, float]

# CARLA's semantic tags (numbering since 0.9.14) of things that can be spawned.
PEDESTRIAN, RIDER, CAR, TRUCK, BUS, MOTORCYCLE, BICYCLE, STATIC = 12, 13, 14, 15, 16, 18, 19, 20


@dataclass(frozen=True)
class VehicleType:
    """One vehicle model. `extent`: half length, width, height."""

    id: str
    extent: Vector
    mass: float
    base_type: str = 'car'
    special_type: str = ''
    generation: int = 1
    wheels: int = 4
    tags: tuple[int, ...] = (CAR,)
    colours: tuple[str, ...] = ()
    max_acceleration: float = 4.5  # m/s^2 at standstill, full throttle
    top_speed: float = 50.0  # m/s

    @property
    def wheelbase(self) -> float:
        """Metres between the axles; about 0.59 of the length of road vehicles."""
        return 1.18 * self.extent[0]


@dataclass(frozen=True)
class WalkerType:
    """A pedestrian of the library; `extent`: half sizes in metres; `speeds`: m/s, as texts."""

    id: str
    extent: Vector
    gender: str
    age: str
    speeds: tuple[str, ...] = ('0.0', '1.4', '2.8')


@dataclass(frozen=True)
class PropType:
    """A thing of the library; `extent`: half sizes in metres."""

    id: str
    extent: Vector
    size: str


_BASIC = ('26,26,26', '173,173,173', '220,220,220')

VEHICLES = (
    VehicleType('vehicle.audi.a2', (1.853, 0.894, 0.777), 1200.0, colours=(*_BASIC, '35,70,120')),
    VehicleType('vehicle.audi.tt', (2.091, 0.997, 0.693), 1450.0, colours=(*_BASIC, '178,40,34')),
    VehicleType(
        'vehicle.audi.etron', (2.428, 1.016, 0.825), 2490.0, colours=(*_BASIC, '13,60,88')
    ),
    VehicleType('vehicle.bmw.grandtourer', (2.306, 1.121, 0.834), 1600.0, colours=_BASIC),
    VehicleType(
        'vehicle.chevrolet.impala', (2.679, 1.017, 0.705), 1700.0, colours=(*_BASIC, '60,60,110')
    ),
    VehicleType(
        'vehicle.citroen.c3', (1.994, 0.925, 0.809), 1100.0, colours=(*_BASIC, '99,20,20')
    ),
    VehicleType(
        'vehicle.dodge.charger_2020',
        (2.503, 1.049, 0.767),
        1920.0,
        generation=2,
        colours=(*_BASIC, '110,20,16'),
        max_acceleration=6.0,
        top_speed=65.0,
    ),
    VehicleType(
        'vehicle.dodge.charger_police',
        (2.487, 1.038, 0.771),
        1950.0,
        special_type='emergency',
        max_acceleration=6.0,
        top_speed=65.0,
    ),
    VehicleType(
        'vehicle.ford.mustang',
        (2.359, 0.947, 0.650),
        1650.0,
        colours=(*_BASIC, '180,130,20'),
        max_acceleration=6.0,
    ),
    VehicleType(
        'vehicle.jeep.wrangler_rubicon',
        (1.933, 0.953, 0.939),
        1950.0,
        colours=(*_BASIC, '65,80,55'),
    ),
    VehicleType(
        'vehicle.lincoln.mkz_2020', (2.446, 1.115, 0.738), 1750.0, generation=2, colours=_BASIC
    ),
    VehicleType(
        'vehicle.lincoln.mkz_2017', (2.451, 1.064, 0.755), 1720.0, colours=(*_BASIC, '20,40,90')
    ),
    VehicleType('vehicle.mercedes.coupe', (2.513, 1.076, 0.825), 1735.0, colours=_BASIC),
    VehicleType(
        'vehicle.mini.cooper_s', (1.903, 0.985, 0.738), 1230.0, colours=(*_BASIC, '150,30,30')
    ),
    VehicleType(
        'vehicle.nissan.micra', (1.817, 0.923, 0.751), 1000.0, colours=(*_BASIC, '120,140,40')
    ),
    VehicleType('vehicle.nissan.patrol', (2.302, 0.966, 0.928), 2150.0, colours=_BASIC),
    VehicleType(
        'vehicle.seat.leon', (2.096, 0.908, 0.737), 1300.0, colours=(*_BASIC, '155,90,50')
    ),
    VehicleType(
        'vehicle.tesla.model3',
        (2.396, 1.082, 0.744),
        1845.0,
        colours=(*_BASIC, '137,0,0', '15,60,115'),
        max_acceleration=5.5,
        top_speed=60.0,
    ),
    VehicleType(
        'vehicle.toyota.prius', (2.257, 1.003, 0.762), 1380.0, colours=(*_BASIC, '90,110,130')
    ),
    VehicleType(
        'vehicle.volkswagen.t2',
        (2.240, 1.035, 1.019),
        1400.0,
        base_type='van',
        colours=(*_BASIC, '200,150,60', '60,120,130'),
        max_acceleration=3.0,
        top_speed=36.0,
    ),
    VehicleType(
        'vehicle.mercedes.sprinter',
        (2.958, 0.994, 1.280),
        2500.0,
        base_type='van',
        generation=2,
        tags=(TRUCK,),
        colours=_BASIC,
        max_acceleration=3.2,
        top_speed=42.0,
    ),
    VehicleType(
        'vehicle.tesla.cybertruck',
        (3.137, 1.195, 1.049),
        3000.0,
        base_type='truck',
        tags=(TRUCK,),
        max_acceleration=6.0,
    ),
    VehicleType(
        'vehicle.carlamotors.carlacola',
        (2.608, 1.307, 1.233),
        5200.0,
        base_type='truck',
        tags=(TRUCK,),
        colours=('170,20,20',),
        max_acceleration=2.2,
        top_speed=30.0,
    ),
    VehicleType(
        'vehicle.carlamotors.firetruck',
        (4.234, 1.446, 1.914),
        14000.0,
        base_type='truck',
        special_type='emergency',
        generation=2,
        tags=(TRUCK,),
        max_acceleration=1.8,
        top_speed=30.0,
    ),
    VehicleType(
        'vehicle.ford.ambulance',
        (3.183, 1.176, 1.216),
        4200.0,
        base_type='van',
        special_type='emergency',
        generation=2,
        tags=(TRUCK,),
        max_acceleration=3.0,
        top_speed=40.0,
    ),
    VehicleType(
        'vehicle.mitsubishi.fusorosa',
        (5.136, 1.972, 2.126),
        8000.0,
        base_type='bus',
        generation=2,
        tags=(BUS,),
        colours=_BASIC,
        max_acceleration=1.6,
        top_speed=28.0,
    ),
    VehicleType(
        'vehicle.harley-davidson.low_rider',
        (1.178, 0.382, 0.764),
        300.0,
        base_type='motorcycle',
        wheels=2,
        tags=(MOTORCYCLE, RIDER),
        colours=_BASIC,
        max_acceleration=6.0,
    ),
    VehicleType(
        'vehicle.kawasaki.ninja',
        (1.017, 0.401, 0.773),
        180.0,
        base_type='motorcycle',
        wheels=2,
        tags=(MOTORCYCLE, RIDER),
        colours=_BASIC,
        max_acceleration=7.0,
        top_speed=65.0,
    ),
    VehicleType(
        'vehicle.bh.crossbike',
        (0.744, 0.430, 0.794),
        90.0,
        base_type='bicycle',
        wheels=2,
        tags=(BICYCLE, RIDER),
        colours=_BASIC,
        max_acceleration=1.5,
        top_speed=11.0,
    ),
    VehicleType(
        'vehicle.gazelle.omafiets',
        (0.917, 0.430, 0.785),
        95.0,
        base_type='bicycle',
        wheels=2,
        tags=(BICYCLE, RIDER),
        colours=_BASIC,
        max_acceleration=1.3,
        top_speed=8.0,
    ),
)

WALKERS = tuple(
    WalkerType(f'walker.pedestrian.{number:04d}', (half, half, height), gender, age)
    for number, half, height, gender, age in (
        (1, 0.188, 0.93, 'male', 'adult'),
        (2, 0.188, 0.90, 'female', 'adult'),
        (3, 0.188, 0.93, 'male', 'elderly'),
        (4, 0.188, 0.86, 'female', 'elderly'),
        (5, 0.188, 0.92, 'male', 'adult'),
        (9, 0.165, 0.60, 'female', 'child'),
        (10, 0.165, 0.62, 'male', 'child'),
        (14, 0.188, 0.88, 'female', 'adult'),
    )
)

PROPS = (
    PropType('static.prop.trafficcone01', (0.20, 0.20, 0.33), 'small'),
    PropType('static.prop.barrel', (0.31, 0.31, 0.46), 'medium'),
    PropType('static.prop.box01', (0.32, 0.32, 0.32), 'small'),
    PropType('static.prop.streetbarrier', (0.60, 0.21, 0.52), 'medium'),
    PropType('static.prop.warningconstruction', (0.51, 0.40, 0.60), 'medium'),
    PropType('static.prop.bin', (0.31, 0.30, 0.58), 'small'),
)
