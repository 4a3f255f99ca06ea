"""The status page in a real browser, before a real doorbell on a real PostgreSQL."""

from __future__ import annotations

import os
import re
from pathlib import Path
from time import monotonic
from typing import Any

import psycopg2
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.task import LoopingCall
from twisted.protocols.policies import WrappingFactory
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import Data

from tests.browser import Browser, missing
from tests.commands import Command, CommandTestCase, environment
from tests.servers import execute, private_server, shared_server
from tests.status_scene import FleetScene, Scene
from tests.waiting import wait_for
from txdoorbell.leadership import lock_key
from txdoorbell.status.site import StatusSite

TOKEN = "correct-horse-battery-staple"
NO_BROWSER = missing()

JOBS = """\
def process():
    print("jobs were processed")


def broken():
    raise ValueError("<script>document.title = 'owned'</script>")
"""

HOSTILE = "<img src=x onerror=\"document.title='owned'\">"


class PageTests(CommandTestCase):
    """What a user sees and does."""

    skip = NO_BROWSER
    timeout = 60

    def setUp(self) -> None:
        """Have a browser, and functions to run."""
        super().setUp()
        self.browser = Browser()
        (self.directory / "jobs.py").write_text(JOBS)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.browser.leave()))

    async def start(self, dsn: str, *options: str) -> Command:
        """Start a doorbell with a status page, and open that."""
        bell = self.twistd(
            *("-n", "doorbell", "--dsn", dsn, "--channel", "jobs", *options),
            *("--status", "tcp:0:interface=127.0.0.1"),
            environ={**environment(), "TXDOORBELL_STATUS_TOKEN": TOKEN},
        )
        await bell.prints("is listening")
        found = re.search(r"the status page is at (\S+)", bell.out)
        assert found is not None, bell.out
        self.url = found[1]
        await self.browser.open(self.url)
        await self.browser.shows("#pace", "live")
        return bell

    async def unlock(self) -> None:
        """Give the token."""
        await self.browser.type("#token", TOKEN)
        await self.browser.click("#login .enter")
        await self.browser.shows("#said", "unlocked")

    async def test_ring(self) -> None:
        """The page goes live, shows a ring within a second, and complains of nothing."""
        dsn = shared_server().dsn
        await self.start(dsn, "--channel", HOSTILE, "--processor", "jobs:broken")
        await self.browser.shows("#functions", "ValueError: <script>")
        await self.browser.click("summary")
        rows = "#channels tbody tr[data-key='channel jobs'] [data-label=Rings]"
        await self.browser.shows(rows, "0")
        began = monotonic()
        execute(
            dsn, "select pg_notify('jobs', '<script>1</script>'), pg_notify(%s, '')", (HOSTILE,)
        )
        await self.browser.shows(rows, "1")
        self.assertLess(monotonic() - began, 1.0)
        await self.browser.shows("#channels", HOSTILE)
        self.assertTrue(await self.browser.run("return document.querySelector('details').open"))
        self.assertIn("txdoorbell", await self.browser.run("return document.title"))
        self.assertEqual(await self.browser.complaints(), [])

    async def test_deaf(self) -> None:
        """The page shows that the server has gone, and that it is back."""
        server = private_server(self)
        bell = await self.start(server.dsn)
        await self.browser.shows(".verdict", "Listening")
        server.stop("immediate")
        await self.browser.shows("#readyz, #hearing.bad .what", "the listener is")
        server.start()
        await self.browser.shows("#hearing.good .verdict", "Listening", 15)
        self.assertEqual(await self.browser.complaints(), [])
        bell.signal("KILL")
        await self.browser.shows("#lost", "No connection to the process")
        self.assertEqual(await self.browser.text("#pace"), "not live")

    async def test_buttons(self) -> None:
        """Whoever has the token rings, runs and mutes; what was typed stays while news come in."""
        bell = await self.start(shared_server().dsn)
        self.assertFalse(await self.displayed(".acts form"))
        await self.browser.type("#token", "a wrong one, of some length")
        await self.browser.click("#login .enter")
        await self.browser.shows("#said", "the token is missing or wrong")
        await self.browser.complaints()
        await self.unlock()
        await self.browser.type("#channels input[name=payload]", "hello & good bye")
        await self.browser.run("window.before = document.getElementById('pace').innerText")
        await self.browser.run_async(
            "const [done] = arguments; const timer = setInterval(() => {"
            "if (document.getElementById('pace').innerText !== window.before) "
            "{ clearInterval(timer); done(); } }, 50)"
        )
        await self.browser.click("#channels form[action=ring] button")
        await bell.prints("'jobs' rang: payload 'hello & good bye'")
        await self.browser.click("#functions form[action=mute] button")
        await self.browser.shows("#functions", "muted")
        await self.browser.click("#login .leave")
        self.assertFalse(await self.displayed(".acts form"))
        self.assertEqual(await self.browser.complaints(), [])

    async def test_lock(self) -> None:
        """The page shows that another one holds the lock, and, live, that it is held here."""
        dsn = shared_server().dsn
        rival = psycopg2.connect(dsn)
        self.addCleanup(rival.close)
        rival.cursor().execute("select pg_advisory_lock(%s, %s)", lock_key("page"))
        await self.start(dsn, "--lock", "page")
        row = "#fleet tr[data-key='lock loop']"
        await self.browser.shows(f"{row} .badge", "standby")
        await self.browser.shows(f"{row} [data-label='Held by']", "127.0.0.1")
        await self.browser.shows("#functions .badge", "standby")
        await self.browser.shows("#hearing.good", " runs it")
        rival.close()
        await self.browser.shows(f"{row} .badge", "holding")
        await self.browser.shows(f"{row} [data-label='Held by']", "this process")
        await self.browser.shows("#functions .badge", "idle")
        self.assertEqual(await self.browser.complaints(), [])

    async def displayed(self, selector: str) -> bool:
        """Say whether one can see it."""
        script = "return document.querySelector(arguments[0]).getClientRects().length > 0"
        return bool(await self.browser.run(script, selector))

    async def test_without_javascript(self) -> None:
        """Without JavaScript the page says the same, once."""
        await self.start(shared_server().dsn)
        await self.browser.command("Emulation.setScriptExecutionDisabled", value=True)
        await self.browser.command("Page.reload")
        await self.browser.shows("#hearing", "Listening")
        await self.browser.shows("header", "reload for a newer state")

    async def test_other_origin(self) -> None:
        """A page on another origin can't ring or read anything, not even with the token."""
        bell = await self.start(shared_server().dsn)
        page = Resource()
        page.putChild(b"", Data(_THIEF.replace("@", self.url).encode(), "text/html"))
        thief = await serve(self, StatusSite(page))
        await self.browser.open(thief)
        results = await self.browser.run_async("attack(arguments[0])")
        self.assertEqual(set(results.values()), {"nothing"}, results)
        await self.browser.leave()
        await self.browser.open(self.url)
        await self.browser.shows("#channels [data-label=Rings]", "0")
        self.assertNotIn("rang", bell.out)


async def serve(testcase: TestCase, site: Site) -> str:
    """Serve a site until the end of a test, and return its address."""
    from twisted.internet import reactor

    connections = WrappingFactory(site)
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(connections)

    async def close() -> None:
        await port.stopListening()
        for connection in list(connections.protocols):
            connection.transport.abortConnection()
        await wait_for("the connections to be closed", lambda: not connections.protocols)

    testcase.addCleanup(lambda: Deferred.fromCoroutine(close()))
    address: Any = port.getHost()
    return f"http://127.0.0.1:{address.port}/"


_THIEF = f"""<!DOCTYPE html><title>thief</title><body><script>
const url = "@", headers = {{Authorization: "Bearer {TOKEN}"}};
const body = new URLSearchParams({{channel: "jobs", payload: "stolen"}});
async function read(path, options) {{
  try {{ return (await (await fetch(url + path, options)).text()) || "nothing"; }}
  catch {{ return "nothing"; }}
}}
function load(tag, attributes, text) {{
  return new Promise(done => {{
    const element = Object.assign(document.createElement(tag), attributes);
    element.onload = () => done(text(element)); element.onerror = () => done("nothing");
    document.body.append(element);
    setTimeout(() => done("nothing"), 2000);
  }});
}}
function listen() {{
  return new Promise(done => {{
    const source = new EventSource(url + "events");
    source.onmessage = event => done(event.data); source.onerror = () => done("nothing");
  }});
}}
async function post() {{
  const frame = Object.assign(document.createElement("iframe"), {{name: "frame"}});
  const form = Object.assign(document.createElement("form"),
    {{method: "post", action: url + "ring", target: "frame"}});
  form.innerHTML = '<input name="channel" value="jobs"><input name="token" value="{TOKEN}">';
  document.body.append(frame, form);
  form.submit();
  await new Promise(done => setTimeout(done, 300));
  return "nothing";
}}
async function attack(done) {{
  done({{
    json: await read("status.json"), opaque: await read("status.json", {{mode: "no-cors"}}),
    page: await read(""), metrics: await read("metrics"), events: await listen(),
    ring: await read("ring", {{method: "POST", headers, body}}),
    plain: await read("ring", {{method: "POST", body, mode: "no-cors"}}),
    script: await load("script", {{src: url + "page.js"}}, () => "a script"),
    image: await load("img", {{src: url + "bell.svg"}}, () => "a picture"),
    frame: await load("iframe", {{src: url}}, frame => {{
      try {{ return frame.contentDocument?.body.innerText || "nothing"; }}
      catch {{ return "nothing"; }} }}),
    form: await post(),
  }});
}}
</script>"""


class PictureTests(TestCase):
    """Pictures of the page, for the documentation: TXDOORBELL_PICTURES says where to put them."""

    skip = NO_BROWSER
    timeout = 60

    async def test_pictures(self) -> None:
        """The page fits into wide and narrow windows, by day and by night."""
        self.addCleanup(self.flushLoggedErrors, ConnectionRefusedError)
        await self.take(
            Scene(TOKEN),
            ("status-light", "light", 1200),
            ("status-dark", "dark", 1200),
            ("status-narrow", "light", 390),
        )

    async def test_fleet(self) -> None:
        """So does that of a host in a fleet, which shows who runs what."""
        browser = await self.take(
            FleetScene(TOKEN), ("status-fleet-narrow", "dark", 390), ("status-fleet", "light", 1200)
        )
        for row, state in (("billing", "holding"), ("mail", "standby"), ("search", "waiting")):
            await browser.shows(f"#fleet tr[data-key='lock {row}'] .badge", state)
        await browser.shows("#fleet tr[data-key='lock mail']", "berta.example.org")
        await browser.shows("#fleet tr.note", "this host holds 1 loop, and takes no more")
        await browser.shows("#hearing .facts", "berta.example.org runs it")

    async def take(self, scene: Scene, *pictures: tuple[str, str, int]) -> Browser:
        """Take pictures of a scene, each with a name, a colour scheme and a width."""
        self.addCleanup(scene.stop)
        scene.play()
        ticking = LoopingCall(scene.tick)
        ticking.start(0.2)
        self.addCleanup(ticking.stop)
        browser = Browser()
        await browser.open(await serve(self, scene.site))
        self.addCleanup(lambda: Deferred.fromCoroutine(browser.leave()))
        await browser.shows("#pace", "live")
        folder = Path(os.environ.get("TXDOORBELL_PICTURES", "."))
        for name, scheme, width in pictures:
            await self.look(browser, scheme, width)
            await browser.picture(folder / f"{name}.png")
        self.assertEqual(await browser.complaints(), [])
        return browser

    async def look(self, browser: Browser, scheme: str, width: int) -> None:
        """Make the window as wide as that, and as high as the page; nothing may stick out."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        await browser.command("Emulation.setEmulatedMedia", features=[feature])
        size = {"width": width, "deviceScaleFactor": 1, "mobile": False}
        await browser.command("Emulation.setDeviceMetricsOverride", height=800, **size)
        root = "document.documentElement"
        wide, high = await browser.run(f"return [{root}.scrollWidth, {root}.scrollHeight]")
        self.assertLessEqual(wide, width)
        await browser.command("Emulation.setScrollbarsHidden", hidden=True)
        high = min(high, 1500)
        await browser.command("Emulation.setDeviceMetricsOverride", height=high, **size)
