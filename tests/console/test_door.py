"""Who gets in, what they see, and what they may do."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from streams.console.people import PeopleError, door_of, read_people
from streams.console.security import FORM_COOKIE
from streams.setting_values import Address
from streams.settings import Settings, SettingsError
from tests.console.conftest import Client, visit
from tests.console.serving import people_file, settings_for
from tests.console.test_pages import dead_id, overview

USER = "X-Forwarded-User"
TOKEN = "0" * 40


def acting(url: str, **more: str) -> Settings:
    return settings_for(url, CONSOLE="act", CONSOLE_USER_HEADER=USER, **more)


def with_people(url: str, directory: Path) -> Settings:
    return acting(url, CONSOLE_PEOPLE=str(people_file(directory)))


async def form_of(client: Client, person: str) -> dict[str, str]:
    """What a form of ours carries, for a browser that has looked at a page."""
    await client.get("/console/dead", headers={USER: person})
    (cookie,) = [c for c in client.session.cookie_jar if c.key == FORM_COOKIE]
    return {"form": cookie.value}


def test_who_acts_must_be_known_by_the_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="CONSOLE_USER_HEADER or CONSOLE_PEOPLE"):
        settings_for(f"sqlite:///{tmp_path / 'ledger.db'}", CONSOLE="act")


def test_on_an_address_that_others_reach_it_is_closed_unless_people_are_told_apart(
    sqlite_world: str,
) -> None:
    anywhere = Address("0.0.0.0", 8080)  # noqa: S104 - what is tested
    assert not door_of(settings_for(sqlite_world), anywhere).open_to_all
    assert door_of(settings_for(sqlite_world), Address("127.0.0.1", 8080)).open_to_all
    assert not door_of(acting(sqlite_world), Address("127.0.0.1", 8080)).open_to_all

    async def story(client: Client) -> None:
        answer = await client.get("/console/")
        assert answer.status == 403
        assert "MOMENT_SYNC_CONSOLE_USER_HEADER" in await answer.text()

    visit(settings_for(sqlite_world, WEB="0.0.0.0:8080"), story)


def test_open_to_this_machine_it_answers_to_no_other_name(sqlite_world: str) -> None:
    """Else a site whose name is made to lead here could read along."""

    async def story(client: Client) -> None:
        for host, status in (
            ("localhost:80", 200),
            ("127.0.0.1", 200),
            ("[::1]:80", 200),
            ("127.0.0.1.evil.example", 403),
            ("evil.example:8080", 403),
        ):
            answer = await client.get("/console/dead", headers={"Host": host})
            assert answer.status == status, host

    visit(settings_for(sqlite_world), story)


def test_nobody_gets_in_whom_the_proxy_does_not_name(sqlite_world: str) -> None:
    async def story(client: Client) -> None:
        for address in ("/console/", "/console/dead", "/console/live", "/console/acts"):
            answer = await client.get(address)
            assert answer.status == 401, address
            assert "fjord" not in await answer.text()
        long = {USER: "k" * 201}
        assert (await client.get("/console/dead", headers=long)).status == 401
        assert (await client.get("/console/dead", headers={USER: "kari"})).status == 200

    visit(acting(sqlite_world), story)


def test_a_form_that_is_not_ours_does_nothing(sqlite_world: str) -> None:
    name = dead_id(sqlite_world, "1001")
    asked = {"kind": "replay", "id": name, "reason": "r"}
    kari = {USER: "kari"}

    async def story(client: Client) -> None:
        ours = await form_of(client, "kari")
        for form, headers in (
            ({}, kari),
            ({"form": "x"}, kari),
            ({"form": "a" * 64}, kari),
            (ours, {**kari, "Sec-Fetch-Site": "cross-site"}),
            (ours, {**kari, "Sec-Fetch-Site": "same-site"}),
            (ours, {**kari, "Origin": "https://elsewhere.example"}),
        ):
            answer = await client.post("/console/mend", data={**asked, **form}, headers=headers)
            assert answer.status == 403, (form, headers)
            assert "not one of ours" in await answer.text()
        answer = await client.post(
            "/console/mend", data={**asked, **ours}, headers=kari, allow_redirects=False
        )
        assert answer.status == 303

    visit(acting(sqlite_world), story)


@pytest.mark.parametrize("console", ["read", "act"])
def test_who_may_only_look_cannot_act(sqlite_world: str, tmp_path: Path, console: str) -> None:
    """Read-only for all, and for one person among others who may act."""
    name = dead_id(sqlite_world, "2000")
    people = people_file(tmp_path)
    settings = settings_for(
        sqlite_world, CONSOLE=console, CONSOLE_USER_HEADER=USER, CONSOLE_PEOPLE=str(people)
    )

    async def story(client: Client) -> None:
        siv = {USER: "siv"}
        form = await form_of(client, "siv")
        for address, data in (
            ("/console/mend", {"kind": "replay", "id": name, "reason": "r"}),
            ("/console/edit/" + name, {"at:description": "x"}),
            ("/console/resume/nord-sb1", {"reason": "r"}),
        ):
            answer = await client.post(address, data={**data, **form}, headers=siv)
            assert answer.status == 403, address
            assert "cannot act" in await answer.text()
        page = await client.get(f"/console/mend?kind=replay&id={name}", headers=siv)
        assert 'action="/console/mend"' not in await page.text()

    visit(settings, story)


def test_who_belongs_to_one_company_sees_nothing_of_another(world_url: str, tmp_path: Path) -> None:
    other, own = dead_id(world_url, "1001"), dead_id(world_url, "2000")
    siv = {USER: "siv"}  # of c-1002

    async def story(client: Client) -> None:
        client.session.headers.update(siv)
        for address in (
            f"/console/dead/{other}",
            f"/console/edit/{other}",
            f"/console/mend?kind=replay&id={other}",
            f"/console/mend?kind=replay&id={own}&id={other}",
            "/console/story/c-1001/invoice/1001",
            "/console/resume/fjord-sb1",
            "/console/dead?company=c-1001",
            "/console/waiting?integration=fjord-sb1",
            "/console/find?q=1001",
            f"/console/find?q={other}",
        ):
            answer = await client.get(address)
            assert answer.status == 404, address
            text = await answer.text()
            assert "vat-code" not in text
            assert "100100" not in text
        for address in (
            "/console/dead",
            "/console/dead?code=vat-code-unknown",
            "/console/dead?integration=fjord-sb1",
            "/console/dead?text=vat",
            "/console/mend?kind=replay&all=1&class=set-up",
            "/console/waiting",
            "/console/acts",
        ):
            text = await (await client.get(address)).text()
            for foreign in ("Invoice 1001", "VAT code 33", "c-1001", "vik-dk", "c-2001"):
                assert foreign not in text, (address, foreign)
        text = await overview(client)
        assert "nord-sb1" in text
        for foreign in ("fjord-sb1", "c-1001", "vik-dk", "VAT code 33", "could not be read"):
            assert foreign not in text, foreign
        assert (await client.get(f"/console/dead/{own}")).status == 200

    visit(with_people(world_url, tmp_path), story)


def test_a_token_opens_the_door_and_signs_out_again(sqlite_world: str, tmp_path: Path) -> None:
    people = tmp_path / "people.toml"
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    people.write_text(f'[[people]]\nname = "kari"\ntoken_sha256 = "{digest}"\nact = true\n')
    settings = settings_for(sqlite_world, CONSOLE="act", CONSOLE_PEOPLE=str(people))

    async def story(client: Client) -> None:
        answer = await client.get("/console/dead")
        text = await answer.text()
        assert (answer.status, "Sign in" in text) == (401, True)
        (form,) = [c.value for c in client.session.cookie_jar if c.key == FORM_COOKIE]
        wrong = await client.post("/console/sign-in", data={"form": form, "token": "guess"})
        assert wrong.status == 403
        right = await client.post("/console/sign-in", data={"form": form, "token": TOKEN})
        assert right.status == 200
        assert "kari" in await right.text()
        cookie = next(c for c in client.session.cookie_jar if c.key == "moment-sync-token")
        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
        await client.post("/console/sign-out", data={"form": form})
        assert (await client.get("/console/dead")).status == 401
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert (await client.get("/console/dead", headers=bearer)).status == 200

    visit(settings, story)


def test_a_file_of_people_that_went_wrong_lets_nobody_in(
    sqlite_world: str,
    tmp_path: Path,
    background_errors: Any,
) -> None:
    people = people_file(tmp_path)
    settings = settings_for(sqlite_world, CONSOLE_USER_HEADER=USER, CONSOLE_PEOPLE=str(people))

    async def story(client: Client) -> None:
        assert (await client.get("/console/dead", headers={USER: "siv"})).status == 200
        people.write_text("[[people]]\n")
        answer = await client.get("/console/dead", headers={USER: "siv"})
        assert answer.status == 503
        assert str(tmp_path) not in await answer.text()

    visit(settings, story)
    assert background_errors.take("console_people_refused")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[people]]\nact = true\n", "name"),
        ('[[people]]\nname = "a"\ntoken = "secret"\n', "token"),
        ('[[people]]\nname = "a"\ntoken_sha256 = "abc"\n', "--new-token"),
        ('[[people]]\nname = "a"\n[[people]]\nname = "a"\n', "twice"),
        ("people = 1\n", "people"),
        ("[[people\n", "not TOML"),
    ],
)
def test_a_wrong_file_of_people_is_told_with_its_place(
    tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "people.toml"
    path.write_text(text)
    with pytest.raises(PeopleError, match=says) as refusal:
        read_people(path)
    assert "secret" not in str(refusal.value)
