"""Being told to end before there is anything to end.

Loads nothing but what Python has in itself, so that it can come before everything else.
"""

import os
import signal
from typing import Final

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
DONE: Final = 0


def listen() -> None:
    """End at once with 0 on SIGTERM or SIGINT, until a worker listens itself.

    Nothing was begun that a stop in order would save: what is written to a ledger then is a
    migration in a transaction. Exceptions would have to get through half-loaded modules.
    """
    for number in SIGNALS:
        signal.signal(number, lambda *_: os._exit(DONE))
    # What it asks for is done anyway: the integrations are about to be read.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
