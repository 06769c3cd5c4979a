"""Both systems, each under the likeliest and under the hardest answers to what is unknown."""

from typing import cast

import pytest

from tests.contracts.places import EVERYWHERE, OF_DKPLUS, OF_SPAREBANK1
from tests.contracts.world import Place


@pytest.fixture(params=EVERYWHERE, ids=lambda place: place.id)
def place(request: pytest.FixtureRequest) -> Place:
    """Where a test takes place; it takes place in all of them."""
    return cast("Place", request.param)


@pytest.fixture(params=OF_SPAREBANK1, ids=lambda place: place.id)
def sparebank1(request: pytest.FixtureRequest) -> Place:
    """SpareBank 1 Regnskap alone."""
    return cast("Place", request.param)


@pytest.fixture(params=OF_DKPLUS, ids=lambda place: place.id)
def dkplus(request: pytest.FixtureRequest) -> Place:
    """DK+ alone."""
    return cast("Place", request.param)
