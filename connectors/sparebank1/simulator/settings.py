"""What a simulator is set up with; decodable from TOML or JSON."""

import msgspec

from connectors.simulation_faults import FaultRule
from connectors.sparebank1.simulator.switches import Switches


class AccountConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One more ledger account than the built-in plan, or another name for one of it."""

    number: int
    name: str = ""
    vat_code: str | None = None
    locked: bool = False
    lock_manual_posts: bool = False


class CompanyConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One company: its key is the CompanyKey. Lock dates are YYYY-MM-DD."""

    key: str
    name: str
    organisation_number: str = "123456785"
    base_currency: str = "NOK"
    customers_from: int = 100_000
    customers_to: int = 199_999
    active: bool = True
    accounting_locked_date: str | None = None
    vat_locked_date: str | None = None
    accounts: tuple[AccountConfig, ...] = ()


class ClientConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One client of the identity server. `public_key` is PEM; `companies` None means all."""

    client_id: str
    public_key: str
    scopes: tuple[str, ...] = ("AppFramework",)
    companies: tuple[str, ...] | None = None


class SimulatorConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole simulator. Delays are milliseconds before a request takes effect.

    `identity_url` None: the token endpoint is below the host that the client called.
    `state_path` None: books are kept in memory only; a `seed` repeats the same random faults.
    """

    companies: tuple[CompanyConfig, ...]
    clients: tuple[ClientConfig, ...] = ()
    switches: Switches = Switches()
    hostile: bool = False  # Switches.hostile() in place of `switches`
    faults: tuple[FaultRule, ...] = ()
    delay_ms: int = 0
    booking_delay_ms: int = 0
    seed: int = 0
    token_seconds: int = 3600
    identity_url: str | None = None
    state_path: str | None = None

    @property
    def answers(self) -> Switches:
        """The switches in force at the start."""
        return Switches.hostile() if self.hostile else self.switches
