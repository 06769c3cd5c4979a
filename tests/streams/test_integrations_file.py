from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.integrations import (
    DataType,
    ItemCodeSource,
    Language,
    Secret,
    System,
    VoucherNumber,
)
from connectors.platforms import BANKS, PLATFORMS
from streams.integrations_file import Integrations, IntegrationsError, read

HUSH = "3f0c2a52-0000-4d0e-9d32-3f2a1f8d8b99"
ENVIRON = {"VIK_TOKEN": HUSH, "OTHER_TOKEN": "other", "SB1_KEY": "-----BEGIN hush-hush"}

CLIENT = """
[clients.sparebank1]
client_id = "our-client"
key_env = "SB1_KEY"
"""
FJORD = """
[[integrations]]
id = "fjord-sb1"
company = "c-1001"
system = "sparebank1"
bank = "sb1ostlandet"
company_key = "3F0C2A52-0a5e-4d0e-9d32-3f2a1f8d8b11"
data = ["customers", "projects", "invoices"]
notify = "regnskap@fjord.example"
language = "nb"
"""
VIK = """
[[integrations]]
id = "vik-dk"
company = "c-2001"
system = "dkplus"
token_env = "VIK_TOKEN"
sales_person = "web"
item_code_sources = ["productNumber", "externalRevenueClass", "vatCode"]
data = ["customers", "projects", "invoices"]
notify = "bokhald@vik.example"
language = "is"
"""

Reading = Callable[[str], Integrations]
Refusing = Callable[[str], str]


@pytest.fixture
def reading(tmp_path: Path) -> Reading:
    def read_text(text: str) -> Integrations:
        file = tmp_path / "integrations.toml"
        file.write_text(text, encoding="utf-8")
        return read(str(file), ENVIRON)

    return read_text


@pytest.fixture
def refusing(reading: Reading) -> Refusing:
    def told(text: str) -> str:
        with pytest.raises(IntegrationsError) as caught:
            reading(text)
        message = str(caught.value) + repr(caught.value.refusals)
        assert HUSH not in message
        assert "hush" not in message
        return str(caught.value)

    return told


def test_the_file_of_the_interface_is_read(reading: Reading) -> None:
    found = reading(CLIENT + FJORD + VIK)
    fjord, vik = found.integrations
    assert (fjord.system, fjord.language) == (System.SPAREBANK1, Language.NB)
    assert fjord.base_url == "https://regnskap.sb1ostlandet.no"
    assert fjord.identity_url == "https://login.regnskap.sparebank1.no"
    assert fjord.company_key == "3f0c2a52-0a5e-4d0e-9d32-3f2a1f8d8b11"
    assert fjord.client is not None
    assert (fjord.client.client_id, fjord.client.scope) == ("our-client", "AppFramework")
    assert fjord.client.key == Secret(env="SB1_KEY")
    assert fjord.voucher_number is VoucherNumber.SERVER
    assert vik.base_url == "https://api.dkplus.is/api/v1"
    assert (vik.token, vik.sales_person) == (Secret(env="VIK_TOKEN"), "web")
    assert vik.item_code_sources == tuple(ItemCodeSource)
    assert vik.data == frozenset(DataType)
    assert found.by_company == {"c-1001": (fjord,), "c-2001": (vik,)}
    assert found.by_id("vik-dk") == vik
    assert found.by_id("vik") is None


def test_optional_keys_are_taken(reading: Reading) -> None:
    extra = 'rounding_account = "7740"\nvoucher_number = "payment-id"\n'
    (fjord,) = reading(CLIENT + FJORD + extra).integrations
    assert (fjord.rounding_account, fjord.voucher_number) == ("7740", VoucherNumber.PAYMENT_ID)


def test_the_digest_is_that_of_what_is_said_and_not_of_how(reading: Reading) -> None:
    one = reading(CLIENT + FJORD + VIK)
    reordered = VIK.replace('"customers", "projects"', '"projects",   "customers"')
    assert reading("# a comment\n" + CLIENT + reordered + FJORD).digest == one.digest
    assert reading(CLIENT + FJORD + VIK.replace('"web"', '"other"')).digest != one.digest


@pytest.mark.parametrize("bank", BANKS)
def test_every_bank_of_the_contract_shares_one_identity_server(bank: str, reading: Reading) -> None:
    (one,) = reading(CLIENT + FJORD.replace("sb1ostlandet", bank)).integrations
    assert one.base_url == BANKS[bank].base_url
    assert one.identity_url == "https://login.regnskap.sparebank1.no"


@pytest.mark.parametrize("platform", [name for name, p in PLATFORMS.items() if p.identity_url])
def test_other_platforms_have_hosts_and_a_client_of_their_own(
    platform: str, reading: Reading, refusing: Refusing
) -> None:
    text = FJORD.replace('bank = "sb1ostlandet"', f'platform = "{platform}"')
    (one,) = reading(CLIENT.replace("sparebank1", platform) + text).integrations
    assert one.base_url == PLATFORMS[platform].base_url
    assert f"needs a table [clients.{platform}]" in refusing(CLIENT + text)


def test_a_platform_of_unknown_identity_server_must_name_it(
    reading: Reading, refusing: Refusing
) -> None:
    client = CLIENT.replace("sparebank1", "eika")
    text = FJORD.replace('bank = "sb1ostlandet"', 'platform = "eika"')
    assert "identity_url" in refusing(client + text)
    allowed = 'allow_hosts = ["login.eika.example:443"]\n'
    (one,) = reading(
        allowed + client + text + 'identity_url = "https://login.eika.example"\n'
    ).integrations
    assert one.identity_url == "https://login.eika.example"


def test_another_client_may_be_chosen(reading: Reading) -> None:
    text = CLIENT.replace("sparebank1", "ours") + FJORD + 'client = "ours"\n'
    (one,) = reading(text).integrations
    assert one.client is not None
    assert one.client.client_id == "our-client"


WRONG = {
    "unknown key": (VIK + 'languages = "is"\n', "languages: there is no such key; did you mean"),
    "key of the other system": (
        VIK + 'bank = "smn"\n',
        "bank: belongs to an integration of system",
    ),
    "no id": (VIK.replace('id = "vik-dk"', ""), "id: is missing"),
    "id with spaces": (VIK.replace("vik-dk", "vik dk"), "id = 'vik dk': 1 to 100 letters"),
    "no company": (VIK.replace('company = "c-2001"', ""), "company: is missing"),
    "system": (VIK.replace('"dkplus"', '"tripletex"'), "system = 'tripletex': one of"),
    "no data": (VIK.replace('["customers", "projects", "invoices"]', "[]"), "data = []: a list of"),
    "data word": (VIK.replace('"projects", "inv', '"project", "inv'), "a list of at least one of"),
    "data twice": (VIK.replace('"projects", "inv', '"customers", "inv'), "none twice"),
    "notify": (VIK.replace("bokhald@vik", "bokhald.vik"), "notify = 'bokhald.vik.example': one"),
    "language": (VIK.replace('language = "is"', 'language = "da"'), "language = 'da': one of en"),
    "no sales person": (VIK.replace('sales_person = "web"', ""), "sales_person: is missing"),
    "sources": (VIK.replace('"vatCode"', '"price"'), "item_code_sources ="),
    "bank": (CLIENT + FJORD.replace("sb1ostlandet", "dnb"), "bank = 'dnb': one of sb1sornorge"),
    "no bank": (CLIENT + FJORD.replace('bank = "sb1ostlandet"', ""), "bank: one of bank and"),
    "bank and platform": (
        CLIENT + FJORD + 'platform = "dnb"\n',
        "platform = 'dnb': stands instead",
    ),
    "company key": (CLIENT + FJORD.replace("3F0C2A52-", "3F0C-"), "company_key ="),
    "rounding account": (CLIENT + FJORD + "rounding_account = 7740\n", "rounding_account = 7740"),
    "voucher number": (CLIENT + FJORD + 'voucher_number = "kid"\n', "voucher_number = 'kid': one"),
    "no client": (FJORD, "client: needs a table [clients.sparebank1]; there are: none"),
    "client id": (CLIENT.replace("client_id", "clientid") + FJORD, "did you mean client_id?"),
    "variable not set": (VIK.replace("VIK_TOKEN", "NOT_SET"), "NOT_SET is empty or not set"),
    "file not there": (
        VIK.replace('token_env = "VIK_TOKEN"', 'token_file = "/nowhere/vik"'),
        "token_file = '/nowhere/vik': its file cannot be read",
    ),
    "two tokens": (VIK + 'token_file = "t"\n', "token_file: exactly one of token_file and"),
    "no token": (VIK.replace('token_env = "VIK_TOKEN"', ""), "exactly one of token_file"),
    "no integrations": (CLIENT, "has no [[integrations]] table"),
    "not a table": ("integrations = [1]", "integrations[0]: must be a table"),
    "not toml": ("token = hush", "is not TOML (at line 1"),
    "hosts": ('allow_hosts = "a:1"\n' + VIK, "allow_hosts = 'a:1': a list"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_with_table_key_and_what_is_allowed(
    case: str, refusing: Refusing
) -> None:
    text, expected = WRONG[case]
    told = refusing(text)
    assert expected in told


def test_the_table_is_named_by_its_place_and_its_id(refusing: Refusing) -> None:
    told = refusing(CLIENT + FJORD + VIK.replace('"is"', '"da"'))
    assert told.startswith("integrations[1] (vik-dk): language = 'da': one of en, nb, is")


def test_every_refusal_is_told_at_once(refusing: Refusing) -> None:
    told = refusing(FJORD.replace("sb1ostlandet", "x") + VIK.replace('"is"', '"da"'))
    assert "integrations[0] (fjord-sb1): bank" in told
    assert "integrations[1] (vik-dk): language" in told


def test_without_invoices_no_sales_person_is_needed(reading: Reading) -> None:
    text = VIK.replace(', "invoices"', "").replace('sales_person = "web"', "")
    (one,) = reading(text).integrations
    assert one.sales_person == ""


@pytest.mark.parametrize(
    "line",
    [
        f'token = "{HUSH}"',
        'key = "hush"',
        'password = "hush"',
        'secret = "hush"',
        'client_secret = "hush"',
        'api_key = "hush"',
        'private_key = """-----BEGIN hush"""',
        'certificate_text = """\n-----BEGIN hush"""',
        f'note = "{HUSH}"',
        f'tokens = {{ vik = "{HUSH}" }}',
    ],
)
def test_a_secret_written_into_the_file_is_refused_and_never_repeated(
    line: str, refusing: Refusing
) -> None:
    told = refusing(VIK + line + "\n")
    assert line.partition(" =")[0] in told


@pytest.mark.parametrize("key", ["token", "password", "client_secret", "private_key", "pem"])
def test_the_way_to_do_it_right_is_told(key: str, refusing: Refusing) -> None:
    assert "token_file" in refusing(VIK + f'{key} = "hush"\n')
    assert "key_file" in refusing(CLIENT + f'{key} = "hush"\n' + FJORD)


@pytest.mark.parametrize("key", ["token_file", "token_env"])
def test_a_secret_in_place_of_where_it_is_kept_is_not_repeated(
    key: str, refusing: Refusing
) -> None:
    told = refusing(VIK.replace('token_env = "VIK_TOKEN"', f'{key} = "{HUSH}"'))
    assert "never the secret itself" in told


def test_a_token_is_read_from_a_file(tmp_path: Path, reading: Reading) -> None:
    token = tmp_path / "vik"
    token.write_text("t0k3n\n")
    (one,) = reading(VIK.replace('token_env = "VIK_TOKEN"', f'token_file = "{token}"')).integrations
    assert one.token == Secret(file=str(token))


# --- other environments ----------------------------------------------------------------------

LOCAL = 'allow_hosts = ["127.0.0.1:18081", "sb1.example:443"]\n'


def test_other_hosts_are_called_only_where_they_are_listed(
    reading: Reading, refusing: Refusing
) -> None:
    urls = 'base_url = "http://127.0.0.1:18081/"\nidentity_url = "https://sb1.example"\n'
    text = CLIENT + FJORD.replace('bank = "sb1ostlandet"', "") + urls
    (one,) = reading(LOCAL + text).integrations
    assert (one.base_url, one.identity_url) == ("http://127.0.0.1:18081", "https://sb1.example")
    told = refusing(text)
    assert 'allow_hosts = ["127.0.0.1:18081"]' in told
    assert 'allow_hosts = ["sb1.example:443"]' in told


def test_a_bank_may_stand_beside_other_urls(reading: Reading) -> None:
    (one,) = reading(LOCAL + CLIENT + FJORD + 'base_url = "http://127.0.0.1:18081"\n').integrations
    assert one.base_url == "http://127.0.0.1:18081"
    assert one.identity_url == "https://login.regnskap.sparebank1.no"


def test_the_base_url_of_dkplus_carries_its_path(reading: Reading, refusing: Refusing) -> None:
    (one,) = reading(LOCAL + VIK + 'base_url = "http://127.0.0.1:18081/api/v1/"\n').integrations
    assert one.base_url == "http://127.0.0.1:18081/api/v1"
    told = refusing(LOCAL + VIK + 'base_url = "http://127.0.0.1:18081"\n')
    assert "a URL of the form scheme://host:port/api/v1" in told


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://sb1.example:443", "https, since plain http is for loopback only"),
        ("https://sb1.example/api", "a URL of the form scheme://host:port"),
        ("ftp://127.0.0.1:18081", "a URL of the form"),
        ("https://me:hush@sb1.example", "a URL of the form"),
        ("https://sb1.example?x=1", "a URL of the form"),
        ("https://sb1.example:x", "a URL of the form"),
        ("https://127.0.0.1.sb1.example:18081", "allow_hosts"),
    ],
)
def test_other_urls_are_plain_and_safe(url: str, expected: str, refusing: Refusing) -> None:
    assert expected in refusing(LOCAL + CLIENT + FJORD + f'base_url = "{url}"\n')


# --- doubles ---------------------------------------------------------------------------------


def test_an_id_names_one_integration(refusing: Refusing) -> None:
    second = VIK.replace("VIK_TOKEN", "OTHER_TOKEN")
    assert "id = 'vik-dk': must be an id that no other" in refusing(VIK + second)


def test_two_integrations_on_the_same_books_are_refused(refusing: Refusing) -> None:
    second = FJORD.replace("fjord-sb1", "again").replace("3F0C2A52", "3f0c2a52")
    told = refusing(CLIENT + FJORD + second)
    assert "integrations[1] (again): writes to the same books as integrations[0]" in told


def test_a_token_in_two_places_is_still_one_set_of_books(
    tmp_path: Path, refusing: Refusing
) -> None:
    """A DK+ token belongs to one company (contract dkplus A1)."""
    token = tmp_path / "vik"
    token.write_text(HUSH)
    second = VIK.replace("vik-dk", "again").replace(
        'token_env = "VIK_TOKEN"', f'token_file = "{token}"'
    )
    assert "same books as integrations[0] (vik-dk)" in refusing(VIK + second)


def test_a_company_may_have_several_integrations(reading: Reading) -> None:
    found = reading(CLIENT + FJORD.replace("c-1001", "c-2001") + VIK)
    assert [one.id for one in found.by_company["c-2001"]] == ["fjord-sb1", "vik-dk"]


def test_a_file_may_say_that_there_is_none(reading: Reading) -> None:
    assert reading("integrations = []").integrations == ()


def test_a_file_that_is_not_there_is_told_by_its_path() -> None:
    with pytest.raises(IntegrationsError, match=r"nowhere\.toml: cannot be read"):
        read("nowhere.toml", {})
