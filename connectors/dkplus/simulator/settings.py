"""What a simulator is started with: companies, products, sales persons, faults, delay.

Decodes from TOML or JSON: `msgspec.toml.decode(text, type=SimulatorConfig)`. A preset of switches
is named by `preset`; single ones are set over it by `switches`.
"""

from decimal import Decimal
from typing import Any
from zlib import crc32

import msgspec

from connectors.dkplus.simulator.switches import PRESETS, Switches
from connectors.simulation_faults import FaultRule

# the codes that S-PM and S-ALDA show, with a day count where the code carries one
DEFAULT_TERMS = ("stgr", "lm", "m15", "m20", "d15", "d20", "d30", "post")
_SERIALS = 10_000
DEFAULT_CURRENCIES = ("ISK", "EUR", "USD", "NOK", "DKK", "SEK", "GBP")


class ProductConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A product that is in dk before anybody calls. `tax_percent` as dk holds it: 24, 11, 0."""

    item_code: str
    description: str = ""
    tax_percent: Decimal = Decimal(24)
    unit_price: Decimal = Decimal(0)
    allow_discount: bool = True


class CompanyConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One company of dk and the token that is bound to it.

    `key` names it on the admin side; without one `name` does. `first_invoice_number` lets dk's
    own series start elsewhere than Moment's.
    """

    token: str
    name: str
    key: str = ""
    kennitala: str = ""  # without one a made-up one, different for each token
    currency: str = "ISK"
    sales_persons: tuple[str, ...] = ("web",)
    products: tuple[ProductConfig, ...] = ()
    first_invoice_number: int = 20311
    payment_terms: tuple[str, ...] = DEFAULT_TERMS
    currencies: tuple[str, ...] = DEFAULT_CURRENCIES
    closed_until: str | None = None  # YYYY-MM-DD, this day included
    switches: dict[str, Any] = {}  # over those of the simulator, for this company alone

    def __post_init__(self) -> None:
        """Refuse a company that nobody could name."""
        if not (self.key or self.name) or not self.token:
            raise ValueError("a company of the simulator needs a token and a name")

    @property
    def identity(self) -> str:
        """The name of the company on the admin side."""
        return self.key or self.name

    @property
    def own_kennitala(self) -> str:
        """The company's kennitala; a made-up one is dated 2099, so that nobody has it."""
        return self.kennitala or f"711299{self._serial:04d}"

    @property
    def license(self) -> str:
        """The licence that dk shows, one for each company."""
        return f"001-{self._serial:04d}-07DD-{self._serial:04d}"

    @property
    def _serial(self) -> int:
        return crc32(self.token.lower().encode()) % _SERIALS

    def __repr__(self) -> str:
        """The company without its token."""
        return f"CompanyConfig({self.identity!r})"


class SimulatorConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole simulator. `delay_ms` is spent on every call, `seed` drives chance in faults."""

    companies: tuple[CompanyConfig, ...] = ()
    preset: str = "default"
    switches: dict[str, Any] = {}
    faults: tuple[FaultRule, ...] = ()
    delay_ms: int = 0
    seed: int = 0
    state_path: str | None = None  # JSON lines; a restart on the same file keeps its books

    def __post_init__(self) -> None:
        """Refuse an unknown preset and two companies that could not be told apart."""
        if self.preset not in PRESETS:
            raise ValueError(f"preset must be one of {', '.join(sorted(PRESETS))}")
        for what in ("identity", "token"):
            names = [getattr(company, what).lower() for company in self.companies]
            if len(set(names)) != len(names):
                raise ValueError(f"two companies of the simulator have the same {what}")

    def switches_of(self, company: CompanyConfig) -> Switches:
        """The switches in force for a company: preset, then the simulator's, then its own."""
        return changed(changed(PRESETS[self.preset](), self.switches), company.switches)


def changed(switches: Switches, members: dict[str, Any]) -> Switches:
    """The switches with these members set; `limits` may be given in part.

    Raises msgspec.ValidationError for an unknown member or a wrong value.
    """
    whole = msgspec.to_builtins(switches)
    for name, value in members.items():
        old = whole.get(name)
        whole[name] = (
            {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
        )
    return msgspec.convert(whole, Switches)
