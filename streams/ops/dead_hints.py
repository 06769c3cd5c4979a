"""What may have been meant where an id is unknown."""

import difflib
from typing import Any, Final

from streams.ledger.mend_queries import ids_near
from streams.ops.ledger_view import LedgerView

CLOSEST_MOST: Final = 3
ALIKE: Final = 0.75  # of an id, for it to be taken for a slip: chance ones have half of that
START_LEAST: Final = (
    4  # characters that say which id was meant: the beginning of one is often copied
)


def closest(view: LedgerView, name: str) -> list[str]:
    """Ids of deliveries and letters that look like this one, the likest first."""
    known = view.ask(lambda connection: ids_near(connection, name))
    begun = [one for one in known if len(name) >= START_LEAST and one.startswith(name)]
    alike = difflib.get_close_matches(name.lower(), known, CLOSEST_MOST, ALIKE)
    return list(dict.fromkeys([*begun, *alike]))[:CLOSEST_MOST]


def unknown(view: LedgerView, name: str) -> dict[str, Any]:
    """An unknown id as it is refused, with what may have been meant."""
    found = closest(view, name)
    hint = f"did you mean {' or '.join(found)}?" if found else "see `moment-sync deadletters list`"
    refused: dict[str, Any] = {
        "deliveryId": name,
        "reason": "unknown",
        "text": f"the ledger knows no delivery or letter of this id; {hint}",
    }
    return {**refused, "closest": found} if found else refused
