"""PyGreSQL's ``NotificationHandler``: the real one, and a doorbell, at the same server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from psycopg2.extensions import parse_dsn
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.peers import peer
from tests.servers import execute, shared_server
from tests.waiting import in_time, wait_for
from txdoorbell.doorbell import Doorbell

Heard = tuple[str, str, int]


class HandlerCase(TestCase):
    """A doorbell and, where it is installed, a real handler."""

    timeout = 40

    def setUp(self) -> None:
        """Begin with nothing heard."""
        self.dsn = shared_server().dsn
        self.heard: list[Heard] = []

    def hear(self, subscriber: object, event: str, extra: Any, pid: int) -> None:
        """Note a notification, as a subscriber."""
        self.heard.append((event, extra, pid))

    async def bell(self, **options: Any) -> Doorbell:
        """Return a doorbell that listens to ``orders``, in a session of its own name."""
        from twisted.internet import reactor

        clock: Any = reactor
        bell = Doorbell(
            clock,
            f"{self.dsn} application_name={self.session}",
            channels=[],
            interval=0,
            probe_interval=0,
            **options,
        )
        bell.subscribe("test", "orders", self.hear)
        self.addCleanup(bell.stopService)
        bell.startService()
        await in_time("LISTEN", bell.when_listening())
        return bell

    @property
    def session(self) -> str:
        """The name of the doorbell's session."""
        return self.id().rpartition(".")[2]

    def sessions(self) -> list[int]:
        """Return the backends of the doorbell: the one that listens, then those that ring."""
        sql = "select pid from pg_stat_activity where application_name = %s order by backend_start"
        return [pid for (pid,) in execute(self.dsn, sql, (self.session,))]

    def handler(self, callback: Callable[[Any], None], **options: Any) -> Any:
        """Return a real handler, of ``orders`` and ``stop_orders``."""
        pg = peer("pg")
        place = parse_dsn(self.dsn)
        place["port"] = int(place["port"])
        handler = pg.NotificationHandler(pg.DB(**place), "orders", callback, **options)
        self.addCleanup(handler.close)
        return handler

    def notify(self, channel: str, payload: str = "") -> None:
        """Notify, as somebody else's session."""
        execute(self.dsn, "select pg_notify(%s, %s)", (channel, payload))


class BesideTests(HandlerCase):
    """The same notifications, heard by both."""

    async def test_event_pid_and_extra(self) -> None:
        """Both call back with the event, the sender's pid and the payload."""
        theirs: list[Heard] = []

        def callback(event: dict[str, Any]) -> None:
            theirs.append((event["event"], event["extra"], event["pid"]))

        handler = self.handler(callback, timeout=0)
        handler.listen()
        await self.bell()
        for payload in ("", "seven pears", "ä"):
            self.notify("orders", payload)
        await wait_for("what was notified", lambda: len(self.heard) == 3)
        handler()
        self.assertEqual(self.heard, theirs)

    async def test_its_notify_rings_ours(self) -> None:
        """What the real handler's ``notify`` sends is heard here; with ``stop`` it stops us."""
        handler = self.handler(lambda event: None)
        handler.listen()
        bell = await self.bell(stop_channel="stop_orders")
        handler.notify(payload="pears")
        await wait_for("the payload", lambda: self.heard)
        self.assertEqual(self.heard[0][:2], ("orders", "pears"))
        handler.notify(stop=True)
        await in_time("the stop", bell.when_stopped())
        self.assertFalse(bell.running)

    async def test_our_ring_notifies_it(self) -> None:
        """``ring`` is heard by the real handler, and stops it on its stop event."""
        theirs: list[str] = []
        handler = self.handler(lambda event: theirs.append(event["event"] + event["extra"]))
        bell = await self.bell()
        handler.listen()
        running = deferToThread(handler)
        await in_time("the ring", bell.ring("orders", " pears"))
        await in_time("the stop", bell.ring("stop_orders"))
        await in_time("the handler's end", running)
        self.assertEqual(theirs, ["orders pears", "stop_orders"])

    async def test_timeout(self) -> None:
        """Both call back when nothing comes; the real one then hears no more, we go on."""
        theirs: list[object] = []
        idle: list[int] = []
        handler = self.handler(theirs.append, timeout=0.1)
        running = deferToThread(handler)
        await self.bell(idle_timeout=0.1, on_idle=lambda: idle.append(1))
        await in_time("the handler's end", running)
        await wait_for("the second silence", lambda: len(idle) >= 2)
        self.assertEqual((theirs, handler.listening), ([None], False))
        self.notify("orders")
        await wait_for("a notification", lambda: self.heard)


class TranslationTests(HandlerCase):
    """What a handler's methods become."""

    async def test_unlisten_and_listen(self) -> None:
        """To unsubscribe is to hear no more, to subscribe again is to hear: in one session."""
        bell = await self.bell()
        bell.subscribe("test", "others", self.hear)
        before = self.sessions()[0]
        bell.unsubscribe("test", "orders")
        await in_time("UNLISTEN", bell.when_listening())
        self.notify("orders", "unheard")
        bell.subscribe("test", "orders", self.hear)
        await in_time("LISTEN", bell.when_listening())
        self.notify("orders", "heard")
        await wait_for("the payload", lambda: self.heard)
        self.assertEqual([extra for _, extra, _ in self.heard], ["heard"])
        self.assertEqual(self.sessions()[0], before)

    async def test_payload_with_quotes(self) -> None:
        """Any text is a payload, quotes included, on which the real ``notify`` fails."""
        bell = await self.bell()
        text = "it's \"the\" \\ ; $$ 'end"
        await in_time("the ring", bell.ring("orders", text))
        await wait_for("the payload", lambda: self.heard)
        self.assertEqual(self.heard[0][1], text)
        handler = self.handler(lambda event: None)
        handler.listen()
        with self.assertRaises(peer("pg").ProgrammingError):
            handler.notify(payload=text)

    async def test_close(self) -> None:
        """Stopped, it has no session left."""
        bell = await self.bell()
        self.assertTrue(self.sessions())
        await in_time("the stop", bell.stopService())
        await wait_for("the session to end", lambda: not self.sessions())

    async def test_no_stop_channel(self) -> None:
        """Unless it is asked for, nothing that is notified stops it."""
        bell = await self.bell()
        self.notify("stop_orders")
        self.notify("orders", "still here")
        await wait_for("the payload", lambda: self.heard)
        self.assertTrue(bell.running)

    async def test_stop_when_idle(self) -> None:
        """``on_idle`` may stop it, which is what the real handler's timeout comes to."""
        stopping: list[Deferred[None]] = []
        bell = await self.bell(idle_timeout=0.1, on_idle=lambda: stopping.append(stop()))

        def stop() -> Deferred[None]:
            return bell.stopService()

        await in_time("the stop", bell.when_stopped())
        self.assertEqual(len(stopping), 1)

    async def test_poll(self) -> None:
        """``poll`` runs everything once, without listening: their ``timeout=0``."""
        from twisted.internet import reactor

        clock: Any = reactor
        bell = Doorbell(clock, self.dsn)
        ran: list[int] = []
        bell.add(lambda: ran.append(1))
        await in_time("the poll", bell.poll())
        await in_time("the next poll", bell.poll())
        self.assertEqual(ran, [1, 1])
        self.assertFalse(bell.running)
