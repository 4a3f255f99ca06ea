"""Channel names and payloads of somebody who means harm, or doesn't know better."""

from __future__ import annotations

from functools import partial

from twisted.python.failure import Failure

from tests.faults.bells import BellFaultTestCase
from tests.faults.case import PATIENT, ring
from tests.servers import execute, shared_server
from tests.waiting import in_time, wait_for

CHANNELS = [
    'jobs"; drop table precious; --',
    "jobs'); drop table precious; --",
    "jobs; notify mail",
    'a"b',
    '"',
    '""',
    "'",
    "it's",
    "two words",
    " jobs ",
    "JOBS",
    "Jobs",
    "jobs",
    "select",
    "*",
    "%s",
    "%(name)s",
    "$1",
    "\\",
    "E'\\x41'",
    "line\nline",
    "tab\tbell\a",
    "тест",
    "🔔",
    "é" * 31 + "x",
    "x" * 63,
]
"""Names that are all allowed; the last two have 63 bytes."""

PAYLOADS = [
    "",
    " ",
    "x" * 7999,
    "é" * 3999 + "x",
    "[" * 7999,
    "(" * 7999,
    '{"a":' * 1599,
    "-" * 7999,
    "9" * 7999,
    "1e999999",
    "NaN",
    "{",
    "{'a': 1",
    '"\\ud800"',
    "__import__('os').abort()",
    "'; drop table precious; --",
    "%s %(name)s $1",
    "\\",
    "line\nline\r",
    "\u2028",
    "🔔",
]
"""Payloads that somebody may send; none of them is what a function hopes for."""


class HostileTests(BellFaultTestCase):
    """A doorbell, and somebody who may notify."""

    def setUp(self) -> None:
        """Have a server, with a table that SQL in a name would drop."""
        self.dsn = shared_server().dsn
        execute(self.dsn, "create table precious ()")
        super().setUp()
        self.addCleanup(execute, self.dsn, "drop table precious")

    async def test_channels(self) -> None:
        """Each channel hears its own notifications and no others, whatever its name."""
        heard: list[tuple[str, object]] = []
        ran: list[str] = []
        bell = self.doorbell(self.dsn, channels=CHANNELS, **PATIENT)
        for name in CHANNELS:
            bell.subscribe("a", name, lambda _, channel, data, pid: heard.append((channel, data)))
            bell.add(partial(ran.append, name), name=name, channels=[name])
        await in_time("LISTEN", bell.when_listening())
        await in_time("the loop to be quiet", bell.loop.when_quiet())
        ran.clear()
        for number, name in enumerate(CHANNELS):
            ring(self.dsn, name, f"from outside to {number}")
            await in_time("the ring", bell.ring(name, f"from us to {number}"))
            await self.grown(f"{name!r} to be heard", heard, 2 * number + 2)
        expected = [
            (name, f"from {who} to {number}")
            for number, name in enumerate(CHANNELS)
            for who in ("outside", "us")
        ]
        self.assertEqual(heard, expected)
        await in_time("the loop to be quiet", bell.loop.when_quiet())
        self.assertEqual(list(dict.fromkeys(ran)), CHANNELS)
        await in_time("a probe", bell.listener.probe())
        bell.remove_channels(CHANNELS)
        await in_time("UNLISTEN", bell.when_listening())
        self.assertEqual(execute(self.dsn, "select to_regclass('precious')"), [("precious",)])
        self.assertEqual(self.logged_texts(), [])

    async def grown(self, what: str, heard: list[tuple[str, object]], length: int) -> None:
        """Wait until a list is that long."""
        await wait_for(what, lambda: len(heard) == length)

    async def test_payloads(self) -> None:
        """Each payload is heard as it was sent, and given to subscribers as some value."""
        payloads: list[str] = []
        values: list[object] = []
        bell = self.doorbell(self.dsn, **PATIENT)
        bell.switchboard.observe(lambda notification: payloads.append(notification.payload), "jobs")
        bell.subscribe("a", "jobs", lambda _, channel, data, pid: values.append(data))
        await in_time("LISTEN", bell.when_listening())
        for payload in PAYLOADS:
            ring(self.dsn, "jobs", payload)
            await in_time("the ring", bell.ring("jobs", payload))
        await wait_for("all of them", lambda: len(payloads) == 2 * len(PAYLOADS))
        self.assertEqual(payloads, [payload for payload in PAYLOADS for _ in range(2)])
        self.assertEqual(len(values), len(payloads))
        await in_time("a probe", bell.listener.probe())
        self.assertEqual(self.logged_texts(), [])

    async def test_too_much(self) -> None:
        """What PostgreSQL would cut or refuse is refused before it is sent."""
        bell = self.doorbell(self.dsn, **PATIENT)
        await in_time("LISTEN", bell.when_listening())
        for channel, payload in [("é" * 32, ""), ("x" * 64, ""), ("", ""), ("jobs", "x" * 8000)]:
            with self.assertRaisesRegex(ValueError, "limit of (63|7999)|empty"):
                bell.ring(channel, payload)
        for name in ("é" * 32, "a\0b", ""):
            self.assertRaises(ValueError, bell.add_channels, name)
        await in_time("a probe", bell.listener.probe())

    async def test_failing_subscriber(self) -> None:
        """A subscriber that fails is logged, and the others hear all the same."""
        heard: list[object] = []

        def fail(*_: object) -> None:
            raise LookupError("a subscriber of a user's")

        bell = self.doorbell(self.dsn, **PATIENT)
        bell.subscribe("failing", "jobs", fail)
        bell.subscribe("other", "jobs", lambda _, channel, data, pid: heard.append(data))
        await in_time("LISTEN", bell.when_listening())
        for number in range(3):
            ring(self.dsn, "jobs", f"{number}")
        await wait_for("the other subscriber to hear", lambda: heard == [0, 1, 2])
        failures: list[Failure] = self.flushLoggedErrors(LookupError)
        self.assertEqual(len(failures), 3)
