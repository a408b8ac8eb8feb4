"""A camera over a drawn road, see `drawn_road`."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from drawn_road import LANE, Road, Stripe


@pytest.fixture
def drawn():
    """The classes `Road` and `Stripe`."""
    return SimpleNamespace(Road=Road, Stripe=Stripe, LANE=LANE)
