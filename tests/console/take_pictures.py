"""The pictures of docs/console.md: `python -m tests.console.take_pictures [DIRECTORY]`.

Every page of the same day, with a clock that stands still; needs Chromium.
"""

import asyncio
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from aiohttp import web
from playwright.async_api import Browser

from schemas.commands import CommandKind
from streams.console.acting import Deed, How, Stage
from streams.console.desk import DESK
from tests.console import browser as chrome
from tests.console.conftest import fill
from tests.console.serving import application, served, settings_for
from tests.console.small_png import smaller
from tests.console.test_pages import dead_id, overview_ready
from tests.console.world import NOW, World

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
BYTES_MAX = 150_000
WIDE = {"width": 1120, "height": 800}
PHONE = {"width": 390, "height": 844}
TALLEST = 1_500  # pixels: what is below is more of the same


DEED = "0" * 32


async def _day(world: World) -> None:
    await world.day()
    world.stage.go_on(-1_200)
    await world.acted()


def _canary(app: web.Application, name: str) -> None:
    """An act as it stands when its canary is in the books; none is sent for a picture."""
    (console,) = app._subapps
    console[DESK].acts._deeds[DEED] = Deed(
        id=DEED,
        kind=CommandKind.REPLAY,
        by="kari",
        reason="account 3000 has VAT code 3 now",
        at=NOW - 20,
        back="/console/dead",
        again="/console/dead",
        companies=frozenset({"c-1001"}),
        names=(name,),
        how=How.ALONE,
        stage=Stage.DONE,
        done=1,
        left=39,
        canary_well=True,
        canary_states=((name, "applied", ""),),
    )


def pages(url: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """What is taken: name, address, and how the reader's browser is."""
    name = dead_id(url, "1001")
    cause = "code=vat-code-unknown&integration=fjord-sb1"
    dark: dict[str, Any] = {"color_scheme": "dark"}
    return {
        "overview": ("/console/", {}),
        "overview-below": ("/console/", {"from": 1_290}),
        "overview-dark": ("/console/", dark),
        "overview-phone": ("/console/", {"viewport": PHONE}),
        "dead-all": ("/console/dead", {}),
        "dead": (f"/console/dead?{cause}", {}),
        "letter": (f"/console/dead/{name}", {"locale": "nb-NO"}),
        "letter-phone-dark": (f"/console/dead/{name}", {"viewport": PHONE, **dark}),
        "edit": (f"/console/edit/{name}", {}),
        "dry-run": (f"/console/mend?kind=replay&{cause}", {}),
        "dry-run-edited": (f"/console/mend?kind=replay&id={name}&edit=lines[0].vatCode=3", {}),
        "canary": (f"/console/deed/{DEED}", {}),
        "discard": (f"/console/mend?kind=discard&id={name}", {}),
        "story": ("/console/story/c-1001/invoice/1101", {}),
        "waiting": ("/console/waiting", {}),
        "hold": ("/console/resume/vik-dk", {}),
        "acts": ("/console/acts", {}),
        "not-there": ("/console/dead/0d9b77", {}),
    }


async def _take(browser: Browser, base: str, url: str, directory: Path) -> None:
    await overview_ready(base)
    empty = await browser.new_page()
    for name, (address, options) in pages(url).items():
        given = {"viewport": WIDE, **options}
        top = given.pop("from", 0)
        async with chrome.page_of(browser, base, **given) as page:
            await page.goto(address)
            await page.wait_for_function("document.documentElement.dataset.following !== 'no'")
            size = await page.evaluate("document.documentElement.scrollHeight")
            path = directory / f"{name}.png"
            width = given["viewport"]["width"]
            clip = {"x": 0, "y": top, "width": width, "height": min(size - top, TALLEST)}
            taken = await page.screenshot(full_page=True, clip=clip)  # type: ignore[arg-type]  # the library takes a dict too
        picture = await smaller(empty, taken)
        path.write_bytes(picture)
        sys.stdout.write(f"{path.name}: {len(picture) // 1000} kB\n")
        assert len(picture) < BYTES_MAX, f"{path.name} is larger than {BYTES_MAX} bytes"


async def _run(url: str, directory: Path) -> None:
    settings = settings_for(url, CONSOLE="act", CONSOLE_USER_HEADER="X-Forwarded-User")
    app = application(settings)
    _canary(app, dead_id(url, "1001"))
    async with served(app) as base, chrome.chromium() as browser:
        await _take(browser, base, url, directory)


def main() -> None:
    """Take all of them."""
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("*.png"):
        if re.fullmatch(r"[a-z-]+\.png", old.name):
            old.unlink()
    with tempfile.TemporaryDirectory() as place:
        url = f"sqlite:///{Path(place) / 'ledger.db'}"
        fill(url, _day)
        asyncio.run(_run(url, directory))


if __name__ == "__main__":
    main()
