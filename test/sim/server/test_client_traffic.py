"""The client's own Traffic Manager drives on this server's vehicle model."""

from __future__ import annotations

import pytest

PORT = 21300


@pytest.mark.parametrize(
    'number, town', list(enumerate(('Highway', 'Grid', 'Parking', 'Roundabout')))
)
def test_autopilot_stays_on_its_lane(server, run_scenario, number, town):
    seen = run_scenario('autopilot', PORT, town=town, manager_port=28300 + number)
    assert seen['driven'] > 200.0
    assert seen['worst'] < 0.5 and seen['outside'] == 0.0
