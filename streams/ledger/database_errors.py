"""Whose fault an error is: the database's, so that all is run again, or that of what is written."""

from typing import Final

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

# Classes of SQLSTATE that say "not now" or "not here", whatever is written: connection (08),
# serialization failure and deadlock (40), resources (53), not in this state (55), ended by an
# administrator or starting up (57), input and output (58), internal (XX).
_NOT_NOW: Final = frozenset({"08", "40", "53", "55", "57", "58", "XX"})
# A server that was demoted to a standby while we were connected; and what a connection has
# prepared and the server does not know any more, after a fail-over or a migration beside us.
_ON_ANOTHER: Final = frozenset({"25006", "26000", "0A000"})


def is_of_the_database(error: BaseException) -> bool:
    """Whether the same may well succeed on a new connection.

    What PostgreSQL refuses for what it was given (too large for an index, a value out of range)
    is not: it would be tried for ever. SQLite names no state: locked, full and the like are its
    operational errors.
    """
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    if error.connection_invalidated or not isinstance(state, str):
        return isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated
    return state[:2] in _NOT_NOW or state in _ON_ANOTHER
