"""A real browser, Chromium, driven by Selenium: one for all tests of a process."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.threads import deferToThread

from tests.waiting import wait_for

T = TypeVar("T")

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
)


def missing() -> str | None:
    """Tell what is missing for tests with a browser; None when nothing is."""
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            return f"there is no {program} here (Debian: chromium, chromium-driver)"
    try:
        import selenium  # noqa: F401
    except ImportError as error:
        return str(error)
    return None


@cache
def _driver() -> Any:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    profile = tempfile.mkdtemp(prefix="txdoorbell-browser-")
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.set_script_timeout(10)
    driver.set_page_load_timeout(10)
    atexit.register(shutil.rmtree, profile, ignore_errors=True)
    atexit.register(driver.quit)
    return driver


class Browser:
    """The browser as a test uses it. Each call runs in a thread, so that our reactor serves."""

    async def _do(self, act: Callable[[Any], T]) -> T:
        return await deferToThread(lambda: act(_driver()))

    async def open(self, url: str) -> None:
        """Forget what was before, and open a page."""

        def act(driver: Any) -> None:
            driver.get_log("browser")
            driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
            driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
            driver.get(url)

        await self._do(act)

    async def leave(self) -> None:
        """Leave the page, so that nothing of it goes on."""
        await self._do(lambda driver: driver.get("about:blank"))

    async def run(self, script: str, *arguments: object) -> Any:
        """Return what a script returns on the page."""
        return await self._do(lambda driver: driver.execute_script(script, *arguments))

    async def run_async(self, script: str) -> Any:
        """Return what a script gives to its last argument, a function."""
        return await self._do(lambda driver: driver.execute_async_script(script))

    async def text(self, selector: str) -> str:
        """Return the text of what a selector finds first, as it is shown."""
        script = "return document.querySelector(arguments[0])?.innerText ?? ''"
        return str(await self.run(script, selector))

    async def shows(self, selector: str, text: str, deadline: float = 5.0) -> None:
        """Wait until a text is shown there."""
        seen = [""]

        async def look() -> bool:
            seen[0] = await self.text(selector)
            return text in seen[0]

        await self._until(f"{text!r} in {selector}", look, deadline, seen)

    async def _until(self, what: str, look: Any, deadline: float, seen: list[str]) -> None:
        from twisted.internet import reactor

        clock: Any = reactor
        end = clock.seconds() + deadline
        while not await look():
            if clock.seconds() > end:
                raise AssertionError(f"waited {deadline:g} s in vain for {what}: {seen[0]!r}")
            await wait_for("a moment", lambda: True)

    async def click(self, selector: str) -> None:
        """Click on what a selector finds first, as a user does."""
        await self._do(lambda driver: driver.find_element("css selector", selector).click())

    async def type(self, selector: str, text: str) -> None:
        """Type into a field."""
        await self._do(lambda driver: driver.find_element("css selector", selector).send_keys(text))

    async def command(self, name: str, **parameters: object) -> Any:
        """Give a command of the DevTools protocol."""
        return await self._do(lambda driver: driver.execute_cdp_cmd(name, parameters))

    async def complaints(self) -> list[str]:
        """Return what the console has of warnings and errors, since the page was opened."""
        log = await self._do(lambda driver: driver.get_log("browser"))
        return [entry["message"] for entry in log if entry["level"] in ("WARNING", "SEVERE")]

    async def picture(self, path: Path) -> None:
        """Save a picture of the page."""
        await self._do(lambda driver: driver.save_screenshot(str(path)))
