"""What each accounting system bears: from the settings where they have it, else as registered."""

from connectors.systems import SYSTEMS, Limits, System
from streams.settings import Settings


def limits_of(system: System, settings: Settings) -> Limits:
    """The limits of one system."""
    own = {
        System.SPAREBANK1: Limits(
            timeout_s=settings.sparebank1_timeout_s,
            settle_s=settings.sparebank1_settle_s,
            bookings=settings.sparebank1_bookings,
            in_flight=settings.sparebank1_in_flight,
        ),
        System.DKPLUS: Limits(
            timeout_s=settings.dkplus_timeout_s,
            settle_s=settings.dkplus_settle_s,
            bookings=settings.dkplus_bookings,
            in_flight=settings.dkplus_in_flight,
        ),
    }
    return own.get(system) or SYSTEMS[system].limits


def longest(settings: Settings) -> Limits:
    """The longest waits of any system: for what is set up no more."""
    every = [limits_of(system, settings) for system in SYSTEMS]
    return Limits(
        timeout_s=max(one.timeout_s for one in every),
        settle_s=max(one.settle_s for one in every),
    )
