"""Towns: OpenDRIVE text written by our own code, and what any OpenDRIVE text tells."""

from seg_node_sim.maps.towns import (
    load_town,
    town_aliases,
    town_from_opendrive,
    town_names,
    training_towns,
)

__all__ = ['load_town', 'town_aliases', 'town_from_opendrive', 'town_names', 'training_towns']
