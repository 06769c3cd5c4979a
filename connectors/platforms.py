"""Where the accounting systems are: the only hosts that are ever called but for `allow_hosts`.

Sources: contract sparebank1-regnskap 1.1, contract dkplus A1. No URL ends with a slash.
"""

from typing import Final

import msgspec

SPAREBANK1_IDENTITY_URL: Final = "https://login.regnskap.sparebank1.no"
DKPLUS_BASE_URL: Final = "https://api.dkplus.is/api/v1"

# What `client` is where an integration names none: one agreement with the vendor covers all banks.
SPAREBANK1_CLIENT: Final = "sparebank1"


class Platform(msgspec.Struct, frozen=True, kw_only=True):
    """One white label of the Unimicro platform. `identity_url` is None where it is not known.

    `client` is the name of the client table that serves it unless an integration names another.
    """

    base_url: str
    identity_url: str | None
    client: str


def _bank(host: str) -> Platform:
    return Platform(
        base_url=f"https://{host}",
        identity_url=SPAREBANK1_IDENTITY_URL,
        client=SPAREBANK1_CLIENT,
    )


# SpareBank 1 Regnskap has one base URL a bank, and one identity server for all of them.
BANKS: Final[dict[str, Platform]] = {
    "sb1sornorge": _bank("regnskap.sb1sornorge.no"),
    "sb1ostlandet": _bank("regnskap.sb1ostlandet.no"),
    "snn": _bank("regnskap.snn.no"),
    "smn": _bank("regnskap.smn.no"),
    "sb1": _bank("regnskap.sb1.no"),
    "bank": _bank("regnskap.bank.no"),
    "sparebank1oa": _bank("regnskap.sparebank1oa.no"),
    "rhbank": _bank("regnskap.rhbank.no"),
    "s1g": _bank("regnskap.s1g.no"),
    "sb1ls": _bank("regnskap.sb1ls.no"),
}

# The contract names an identity server for unimicro, dnb and test. smb is Unimicro's own and
# shares its server; for eika and azets the integration must name it (`identity_url`).
PLATFORMS: Final[dict[str, Platform]] = {
    "unimicro": Platform(
        base_url="https://app.unimicro.no",
        identity_url="https://login.unimicro.no",
        client="unimicro",
    ),
    "dnb": Platform(
        base_url="https://dnbregnskap.dnb.no",
        identity_url="https://login.dnbregnskap.dnb.no",
        client="dnb",
    ),
    "smb": Platform(
        base_url="https://smb.unimicro.no",
        identity_url="https://login.unimicro.no",
        client="smb",
    ),
    "eika": Platform(
        base_url="https://system.eikaregnskap.no",
        identity_url=None,
        client="eika",
    ),
    "azets": Platform(
        base_url="https://complete.azets.no",
        identity_url=None,
        client="azets",
    ),
    "test": Platform(
        base_url="https://test.unimicro.no",
        identity_url="https://test-login.unimicro.no",
        client="test",
    ),
}
