"""A real Chromium, driven: the Debian package where it is, and axe-core from npm."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

HERE = Path(__file__).parent
AXE = HERE / "node_modules" / "axe-core" / "axe.min.js"
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 15_000  # for something to appear on a busy machine


def missing() -> str | None:
    """Why no test can run in a browser here, or None."""
    if not any(shutil.which(name) for name in NAMES):
        return "no Chromium on this machine: `make browser` as root installs Debian's"
    if not AXE.exists():
        return "axe-core is not installed: `make browser` fetches it with npm"
    return None


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser with a profile of its own, empty."""
    executable = next(found for name in NAMES if (found := shutil.which(name)))
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def page_of(browser: Browser, base: str, **options: Any) -> AsyncIterator[Page]:
    """A page of its own; ends with an error where a script failed or a policy was broken."""
    options.setdefault("extra_http_headers", {"X-Forwarded-User": "kari"})
    options.setdefault("timezone_id", "Europe/Oslo")
    options.setdefault("locale", "en-GB")
    context = await browser.new_context(base_url=base, **options)
    wrong: list[str] = []
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console",
        lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None,
    )
    page.on(
        "request",
        lambda asked: None if asked.url.startswith(base) else wrong.append(f"asked {asked.url}"),
    )
    try:
        yield page
    finally:
        await context.close()
    assert wrong == []


async def findings(page: Page, rules: tuple[str, ...] = ()) -> list[str]:
    """What axe finds that is moderate or worse; without `rules` by all of its rules."""
    if not await page.evaluate("() => 'axe' in window"):
        # Into the page's own world, past its policy, as the browser's tools do.
        await page.evaluate(AXE.read_text(encoding="utf-8"))
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = list(rules)
    found = await page.evaluate("(options) => axe.run(document, options)", options)
    return [
        f"{one['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:300]}"
        for one in found["violations"]
        if one["impact"] in {"serious", "critical", "moderate"}
        for node in one["nodes"]
    ]
