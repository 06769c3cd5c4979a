"""Where the tests of the port take place: each system, under its likeliest and hardest answers."""

from typing import Final

from tests.contracts import dkplus_world, sparebank1_world
from tests.contracts.world import Place

SPAREBANK1: Final = Place(sparebank1_world.made, False, "sparebank1-default")
SPAREBANK1_HOSTILE: Final = Place(sparebank1_world.made, True, "sparebank1-hostile")
DKPLUS: Final = Place(dkplus_world.made, False, "dkplus-default")
DKPLUS_HOSTILE: Final = Place(dkplus_world.made, True, "dkplus-hostile")

OF_SPAREBANK1: Final = (SPAREBANK1, SPAREBANK1_HOSTILE)
OF_DKPLUS: Final = (DKPLUS, DKPLUS_HOSTILE)
EVERYWHERE: Final = (*OF_SPAREBANK1, *OF_DKPLUS)
