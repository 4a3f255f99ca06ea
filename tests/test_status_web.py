"""The status over HTTP: what is answered to whom."""

from __future__ import annotations

import json

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred

from tests.status_web import TOKEN, Answer, WebTestCase
from txdoorbell.loop import Loop


class PageTests(WebTestCase):
    """What a page has on it, without JavaScript too."""

    def test_page(self) -> None:
        """The page says whether it hears, and on which channels."""
        page = self.ask("/")
        self.assertEqual(page.status, 200)
        self.assertEqual(page.headers["content-type"], "text/html; charset=utf-8")
        self.assertIn("<strong>Listening</strong>", page.body)
        self.assertIn("on jobs, mail", page.body)

    def test_deaf(self) -> None:
        """It says that it does not hear, and why."""
        self.listener.deafen("a probe was not heard")
        self.turn()
        page = self.ask("/")
        self.assertIn("<strong>Deaf</strong>", page.body)
        self.assertIn("a probe was not heard", page.body)

    def test_function(self) -> None:
        """A function is there, with its error and the traceback."""
        self.bell.add(lambda: 1 / 0, name="divide", channels="jobs")
        self.turn()
        page = self.ask("/").body
        self.flushLoggedErrors(ZeroDivisionError)
        for text in ("divide", "in 5 s", "ZeroDivisionError", "<summary>", "failed"):
            self.assertIn(text, page)

    def test_running(self) -> None:
        """What is active is named, with for how long."""
        active = self.unfired(self.bell)
        self.clock.advance(3)
        self.assertIn("active<small>for 3.0 s</small>", self.ask("/").body)
        active.callback(None)
        self.turn()

    def test_stuck(self) -> None:
        """A stuck function is told, and makes the process sick."""
        loop = Loop(self.clock, name="other", timeout=1, stop_timeout=1)
        self.bell.add_loop(loop)
        gone: Deferred[None] = Deferred()

        async def stubborn() -> None:
            try:
                await Deferred()
            except BaseException:  # noqa: BLE001 - that is what makes it stubborn
                await gone

        loop.add(stubborn, name="stubborn")
        self.turn()
        self.clock.pump([1, 5])
        health = self.ask("/healthz")
        self.assertEqual((health.status, health.body), (503, "stubborn is stuck in other\n"))
        self.assertIn("stubborn is stuck in other", self.ask("/").body)
        gone.callback(None)
        self.turn()
        self.assertEqual(self.ask("/healthz").status, 200)

    def test_escaped(self) -> None:
        """What looks like HTML in a name, a result or an error is shown as it is."""
        bad = "<img src=x onerror=alert(1)>\"'</title>"

        def hostile() -> None:
            raise ValueError(bad)

        self.bell.add(hostile, name=bad)
        self.bell.add_channels(bad)
        self.turn()
        page = self.ask("/").body
        self.flushLoggedErrors(ValueError)
        self.assertNotIn("<img src=x", page)
        self.assertIn("&lt;img src=x", page)

    def test_unencodable(self) -> None:
        """A name that can't be encoded is shown as far as it can be, everywhere."""
        self.bell.add(lambda: None, name="\udcff\x00")
        self.turn()
        for path in ("/", "/status.json"):
            self.assertEqual(self.ask(path).status, 200, path)

    def test_no_inline(self) -> None:
        """There is nothing on the page that its own policy forbids."""
        page = self.ask("/").body
        self.assertNotIn(" style=", page)
        self.assertNotIn("<style", page)
        self.assertNotIn(" onclick", page)
        self.assertNotIn("//", page.replace("<!DOCTYPE html>", ""))

    def test_assets(self) -> None:
        """Style, script and picture come from the same place."""
        for name, kind in (("page.css", "text/css"), ("page.js", "text/javascript")):
            answer = self.ask(f"/{name}")
            self.assertEqual(
                (answer.status, answer.headers["content-type"][: len(kind)]), (200, kind)
            )
        self.assertEqual(self.ask("/bell.svg").headers["content-type"], "image/svg+xml")

    def test_json(self) -> None:
        """Everything is there as JSON."""
        status = json.loads(self.ask("/status.json").body)
        self.assertEqual(status["listener"]["state"], "listening")

    def test_ready(self) -> None:
        """It is ready while it hears on every channel, and says why when not."""
        self.assertEqual((self.ask("/readyz").status, self.ask("/readyz").body), (200, "ok\n"))
        self.listener.lose("the server has gone")
        self.turn()
        answer = self.ask("/readyz")
        self.assertEqual(answer.status, 503)
        self.assertIn("the server has gone", answer.body)
        self.assertEqual(self.ask("/healthz").status, 200)


class ProtocolTests(WebTestCase):
    """Paths, methods and headers."""

    def test_unknown(self) -> None:
        """What is not there is not found, whatever it looks like."""
        for path in ("/x", "/metrics/", "/page.py", "/../setup.cfg", "//"):
            self.assertEqual(self.ask(path).status, 404, path)

    def test_head(self) -> None:
        """HEAD answers as GET does, without the content."""
        for path in ("/", "/status.json", "/healthz", "/readyz", "/events"):
            answer = self.ask(path, "HEAD")
            self.assertEqual((answer.status, answer.body), (200, ""), path)

    def test_methods(self) -> None:
        """Pages are only read, actions are only sent."""
        for method, path, allowed in (
            ("POST", "/", "GET, HEAD"),
            ("DELETE", "/metrics", "GET, HEAD"),
            ("GET", "/ring?channel=jobs", "POST"),
            ("HEAD", "/run", "POST"),
        ):
            answer = self.ask(path, method)
            self.assertEqual((answer.status, answer.headers["allow"]), (405, allowed), path)
        self.assertEqual(self.listener.sent, ())

    def test_headers(self) -> None:
        """Every answer says that it is not to be kept, embedded, guessed at or referred to."""
        for path in ("/", "/status.json", "/nothing", "/page.js"):
            headers = self.ask(path).headers
            self.assertTrue(headers["content-security-policy"].startswith("default-src 'none'; "))
            self.assertEqual(headers["cache-control"], "no-store")
            self.assertEqual(headers["x-content-type-options"], "nosniff")
            self.assertEqual(headers["referrer-policy"], "no-referrer")
            self.assertEqual(headers["cross-origin-resource-policy"], "same-origin")
            self.assertNotIn("access-control-allow-origin", headers)

    def test_hosts(self) -> None:
        """Only the endpoint's own names are answered to."""
        for host in ("localhost:8765", "127.0.0.1", "[::1]:1", "10.0.0.7", "BELL.example.", None):
            self.assertEqual(self.ask("/", host=host).status, 200, host)
        for host in ("evil.example", "10.0.0.8", "localhost.evil.example", "[::2]", "127.0.0.1.x"):
            answer = self.ask("/status.json", host=host)
            self.assertEqual(answer.status, 403, host)
            self.assertNotIn("listening", answer.body)

    def test_no_host(self) -> None:
        """A Host header that is no host with a port is nobody's name, whatever it begins with."""
        for host in ("127.0.0.1:8765@evil", "localhost:evil", "[::1]evil", "[::1", "localhost:1:2"):
            self.assertEqual(self.ask("/status.json", host=host).status, 403, host)

    def test_unix(self) -> None:
        """A Unix socket has no name, so any will do."""
        self.local = UNIXAddress("/run/doorbell.sock")
        self.assertEqual(self.ask("/", host="whatever").status, 200)

    def test_other_sites(self) -> None:
        """A browser gets nothing for a page of another site; a link there may be followed."""
        for site in ("cross-site", "same-site"):
            self.assertEqual(self.ask("/status.json", sec_fetch_site=site).status, 403)
        linked = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}
        self.assertEqual(self.ask("/", **linked).status, 200)
        self.assertEqual(self.ask("/", sec_fetch_site="same-origin").status, 200)

    def test_other_origins(self) -> None:
        """Nor does one that says by Origin alone for whom it asks."""
        for origin in ("http://evil.example", "http://127.0.0.1:8766", "null"):
            answer = self.ask("/status.json", host="127.0.0.1:8765", origin=origin)
            self.assertEqual(answer.status, 403, origin)
        ours = self.ask("/status.json", host="127.0.0.1:8765", origin="http://127.0.0.1:8765")
        self.assertEqual(ours.status, 200)


class ActionTests(WebTestCase):
    """What the token allows."""

    def assert_done(self, answer: Answer, text: str) -> None:
        """The action was done, and told in words."""
        self.assertEqual((answer.status, answer.body), (200, text))

    def test_ring(self) -> None:
        """A ring is a NOTIFY with its payload."""
        self.assert_done(self.act("ring", "channel=jobs&payload=%7B%22id%22%3A7%7D"), "Rang jobs.")
        self.assertEqual(
            [(n.channel, n.payload) for n in self.listener.sent], [("jobs", '{"id":7}')]
        )

    def test_ring_fails(self) -> None:
        """A ring that could not be sent is told as such."""
        self.listener.refuse("no more connections")
        self.assertEqual(self.act("ring", "channel=jobs").status, 502)

    def test_ring_refused(self) -> None:
        """Only channels that there are can be rung, with payloads that can be."""
        for body in ("channel=nobody", "", f"channel=jobs&payload={'x' * 8000}", "channel=%FF"):
            self.assertEqual(self.act("ring", body).status, 400)
        self.assertEqual(self.listener.sent, ())

    def test_run(self) -> None:
        """One function runs, the others don't."""
        self.bell.add(self.noting("a"), name="a")
        self.bell.add(self.noting("b"), name="b & <c>")
        self.turn()
        self.ran.clear()
        self.assert_done(self.act("run", "loop=loop&function=b+%26+%3Cc%3E"), "b & <c> runs.")
        self.turn()
        self.assertEqual(self.ran, ["b"])
        self.assertEqual(self.act("run", "loop=loop&function=x").status, 400)
        self.act("mute", "loop=loop&function=a")
        self.assertEqual(self.act("run", "loop=loop&function=a").body, "a is muted.")
        self.assertEqual(self.act("run", "loop=x&function=a").status, 400)

    def test_mute_function(self) -> None:
        """A muted function is not called until it is unmuted."""
        self.bell.add(self.noting("a"), name="a")
        self.turn()
        self.assert_done(self.act("mute", "loop=loop&function=a"), "a is muted.")
        self.assertEqual(self.rung("jobs"), [])
        self.assert_done(self.act("unmute", "loop=loop&function=a"), "a is unmuted.")
        self.turn()
        self.assertEqual(self.ran, ["a"])

    def test_mute_channel(self) -> None:
        """A muted channel is not listened to."""
        self.assert_done(self.act("mute", "channel=jobs"), "jobs is muted.")
        self.assertEqual(self.bell.switchboard.active_channels, {"mail"})
        self.assert_done(self.act("unmute", "channel=jobs"), "jobs is unmuted.")
        self.assertEqual(self.bell.switchboard.active_channels, {"jobs", "mail"})

    def test_too_long(self) -> None:
        """What is longer than any form can be is not kept, and refused."""
        self.assertEqual(self.act("ring", "channel=jobs&payload=" + "x" * 70_000).status, 413)
        self.assertEqual(self.listener.sent, ())

    def test_token(self) -> None:
        """The page asks whether a token is the right one before it keeps it."""
        self.assertEqual(self.act("token").status, 200)

    def test_wrong_token(self) -> None:
        """Without the token nothing is done, wherever else it may stand."""
        for given in (None, "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer ", "Bearer \xff"):
            self.assertEqual(self.act("ring", "channel=jobs", authorization=given).status, 403)
        body = f"channel=jobs&token={TOKEN}"
        self.assertEqual(self.act("ring", body, authorization=None).status, 403)
        self.assertEqual(self.listener.sent, ())

    def test_other_origins(self) -> None:
        """With the token, too, nothing is done for a page from elsewhere."""
        for headers in (
            {"origin": "http://evil.example"},
            {"origin": "http://127.0.0.1:8766"},
            {"origin": "null"},
            {"sec_fetch_site": "same-site"},
            {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"},
        ):
            self.assertEqual(self.act("ring", "channel=jobs", **headers).status, 403, headers)
        self.assertEqual(self.listener.sent, ())

    def test_no_origin(self) -> None:
        """A program that is no browser sends none."""
        self.assertEqual(self.act("ring", "channel=jobs", origin=None).status, 200)


class NoTokenTests(WebTestCase):
    """Without a token there are no actions."""

    token = None

    def test_not_there(self) -> None:
        """They are not there, for anybody."""
        for action in ("ring", "run", "mute", "unmute", "token"):
            self.assertEqual(self.act(action, "channel=jobs").status, 404)
        self.assertEqual(self.act("ring", "channel=jobs", authorization="Bearer ").status, 404)

    def test_no_forms(self) -> None:
        """The page has no form."""
        self.assertNotIn("<form", self.ask("/").body)


class EventTests(WebTestCase):
    """Those who watch."""

    def events(self, text: bytes) -> list[dict[str, str]]:
        """Return what was told."""
        told = [part for part in text.decode().split("\n") if part.startswith("data: ")]
        return [json.loads(part.removeprefix("data: ")) for part in told]

    def test_watch(self) -> None:
        """Who watches is told at once, and each second."""
        watcher = self.connect()
        self.send(watcher, "/events")
        self.turn()
        self.assertIn(b"text/event-stream", watcher.value())
        self.assertEqual(len(self.events(watcher.value())), 1)
        self.clock.pump([0.5] * 6)
        self.assertEqual(len(self.events(watcher.value())), 4)
        self.leave(watcher)
        self.turn()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_ring(self) -> None:
        """A ring is told at once, and many as one."""
        watcher = self.connect()
        self.send(watcher, "/events")
        self.clock.pump([0, 0.5])
        self.bell.add(lambda: None, name="process")
        self.turn()
        before = len(self.events(watcher.value()))
        self.clock.advance(0.45)
        for _ in range(100):
            self.listener.deliver("jobs")
        self.turn()
        told = self.events(watcher.value())[before:]
        self.assertEqual(len(told), 1)
        self.assertIn("100 rings", told[0]["html"])
        self.leave(watcher)

    def test_slow(self) -> None:
        """One who does not read is told nothing until there is room again."""
        watcher = self.connect()
        self.send(watcher, "/events")
        self.turn()
        assert watcher.producer is not None
        watcher.producer.pauseProducing()
        length = len(watcher.value())
        self.clock.pump([1] * 3)
        self.assertEqual(len(watcher.value()), length)
        watcher.producer.resumeProducing()
        self.clock.pump([1] * 2)
        self.assertGreater(len(watcher.value()), length)
        self.leave(watcher)

    def test_idle(self) -> None:
        """Nobody watches and nothing happens: no timer is set."""
        self.clock.advance(10)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_too_many(self) -> None:
        """Too many are refused."""
        watchers = [self.connect() for _ in range(51)]
        for watcher in watchers:
            self.send(watcher, "/events")
        self.assertIn(b"503", watchers[-1].value())
        for watcher in watchers:
            self.leave(watcher)

    def test_stop(self) -> None:
        """The end of the service is the end of their connections."""
        watcher = self.connect()
        self.send(watcher, "/events", connection="close")
        self.turn()
        self.resource.stop()
        self.assertTrue(watcher.disconnecting)
