"""pgnotifier's ``Notifier``: the real one, and a doorbell, told the same at the same server."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.peers import peer
from tests.servers import execute, shared_server
from tests.waiting import in_time, wait_for
from txdoorbell.doorbell import Doorbell
from txdoorbell.notification import State

Heard = list[tuple[Hashable, str, object, int]]

CHANNELS = ("prices", "Weather", "news")


class NotifierCase(TestCase):
    """A doorbell that nobody has subscribed to, and a real notifier where a test wants one."""

    timeout = 40

    def setUp(self) -> None:
        """Begin with nothing heard."""
        self.dsn = shared_server().dsn
        self.ours: Heard = []
        self.theirs: Heard = []

    def hear(self, subscriber: Hashable, channel: str, payload: object, pid: int) -> None:
        """Note a notification, as a subscriber of ours."""
        self.ours.append((subscriber, channel, payload, pid))

    def hear_theirs(self, subscriber: Hashable, channel: str, payload: object, pid: int) -> None:
        """Note a notification, as a subscriber of theirs."""
        self.theirs.append((subscriber, channel, payload, pid))

    async def bell(self) -> Doorbell:
        """Return a doorbell that runs."""
        from twisted.internet import reactor

        clock: Any = reactor
        dsn = f"{self.dsn} application_name={self.session}"
        bell = Doorbell(clock, dsn, channels=[], interval=0, probe_interval=0)
        self.addCleanup(bell.stopService)
        bell.startService()
        await in_time("the session", bell.when_listening())
        return bell

    def notifier(self) -> Any:
        """Return a real notifier."""
        notifier = peer("pgnotifier").Notifier({"conninfo": self.dsn})
        self.addCleanup(notifier.stop)
        return notifier

    @property
    def session(self) -> str:
        """The name of the doorbell's session."""
        return self.id().rpartition(".")[2]

    def backend(self) -> int:
        """Return the backend that listens for the doorbell: the oldest of its own."""
        sql = "select pid from pg_stat_activity where application_name = %s order by backend_start"
        pid: int = execute(self.dsn, sql, (self.session,))[0][0]
        return pid

    def notify(self, channel: str, payload: str = "0") -> None:
        """Notify, as somebody else's session."""
        execute(self.dsn, "select pg_notify(%s, %s)", (channel, payload))


class BesideTests(NotifierCase):
    """The same calls on both, and the same heard after each of them."""

    SCRIPT: tuple[tuple[Any, ...], ...] = (
        ("add_channels", ["prices", "Weather"]),
        ("subscribe", "screen", "prices"),
        ("subscribe", "archive", "prices"),
        ("subscribe", ("a", 1), "Weather"),
        ("subscribe", "screen", "news"),
        ("mute_channels", "prices"),
        ("unmute_channels", ["prices"]),
        ("mute_subscriber", "screen", ["prices"]),
        ("mute_subscriber", "archive"),
        ("unmute_subscriber", "screen"),
        ("mute_channels",),
        ("unmute_channels",),
        ("unmute_subscriber", "archive", ["prices"]),
        ("unsubscribe", ("a", 1), "Weather"),
        ("remove_channels", ["prices"]),
    )

    async def test_step_by_step(self) -> None:
        """After each step of a long script both have heard the same, of the same senders."""
        notifier, bell = self.notifier(), await self.bell()
        notifier.subscribe("step", "step", self.hear_theirs)
        bell.subscribe("step", "step", self.hear)
        for number, (name, *arguments) in enumerate(self.SCRIPT):
            theirs = [*arguments, self.hear_theirs] if name == "subscribe" else arguments
            await deferToThread(getattr(notifier, name), *theirs)
            ours = [*arguments, self.hear] if name == "subscribe" else arguments
            getattr(bell.switchboard, name)(*ours)
            # Muting all of them mutes the channel that ends a step, too.
            await deferToThread(notifier.unmute_channels, "step")
            bell.unmute_channels("step")
            await in_time("LISTEN", bell.when_listening())
            await self.assert_same(number)

    async def assert_same(self, number: int) -> None:
        """Ring every channel, and compare what was heard."""
        for channel in (*CHANNELS, "step"):
            self.notify(channel, str(number))
        await wait_for(f"our step {number}", lambda: self.ours and self.ours[-1][0] == "step")
        await wait_for(f"their step {number}", lambda: self.theirs and self.theirs[-1][0] == "step")
        self.assertEqual(_sorted(self.ours), _sorted(self.theirs))
        self.ours.clear()
        self.theirs.clear()

    async def test_native_values(self) -> None:
        """Payloads that are Python literals arrive as the same values."""
        notifier, bell = self.notifier(), await self.bell()
        notifier.subscribe("a", "prices", self.hear_theirs)
        bell.subscribe("a", "prices", self.hear)
        await in_time("LISTEN", bell.when_listening())
        for text in ("1", "-2.5", "'pears'", "[1, 'x']", "{'a': (1, None)}", "True", "{1, 2}"):
            self.notify("prices", text)
        await wait_for("all values", lambda: len(self.ours) == len(self.theirs) == 7)
        self.assertEqual(self.ours, self.theirs)

    async def test_its_fault(self) -> None:
        """One payload that is no literal deafens the real one for ever; here it is text."""
        notifier, bell = self.notifier(), await self.bell()
        notifier.subscribe("a", "prices", self.hear_theirs)
        bell.subscribe("a", "prices", self.hear)
        await in_time("LISTEN", bell.when_listening())
        with redirect_stdout(StringIO()) as printed:
            self.notify("prices", "1")
            self.notify("prices", "seven pears")
            await wait_for("the notifier's error", lambda: "invalid syntax" in printed.getvalue())
        self.notify("prices", "2")
        await wait_for("all payloads", lambda: len(self.ours) == 3)
        self.assertEqual([payload for _, _, payload, _ in self.ours], [1, "seven pears", 2])
        self.assertEqual([payload for _, _, payload, _ in self.theirs], [1])
        self.assertTrue(notifier.is_running())

    async def test_one_of_two_channels(self) -> None:
        """Who leaves one channel hears the other still; there its next notification is fatal."""
        notifier, bell = self.notifier(), await self.bell()
        for told, hear in ((notifier, self.hear_theirs), (bell, self.hear)):
            told.subscribe("a", "prices", hear)
            told.subscribe("a", "news", hear)
            told.subscribe("b", "news", hear)
            told.unsubscribe("a", "prices")
        await in_time("LISTEN", bell.when_listening())
        self.notify("news", "1")
        self.notify("news", "2")
        await wait_for("all news", lambda: len(self.ours) == 4)
        self.assertEqual([subscriber for subscriber, *_ in self.ours], ["a", "b"] * 2)
        self.assertLess(len(self.theirs), 2)

    async def test_names_of_what_there_is(self) -> None:
        """Both tell of the same channels and subscribers, muted and active alike."""
        notifier, bell = self.notifier(), await self.bell()
        for told, hear in ((notifier, self.hear_theirs), (bell.switchboard, self.hear)):
            told.subscribe("screen", "prices", hear)
            told.subscribe("archive", "prices", hear)
            told.subscribe("archive", "news", hear)
            told.mute_subscriber("archive", ["prices"])
            told.mute_channels("news")
        ours, theirs = bell.switchboard.channels(), notifier.channels()
        self.assertEqual(ours.keys(), theirs.keys())
        for name, channel in theirs.items():
            self.assertEqual(ours[name]["muted"], channel["mute"])
            self.assertEqual(ours[name]["active"], channel["active"])
            self.assertEqual(
                {id_: view["muted"] for id_, view in ours[name]["subscribers"].items()},
                {id_: view["mute"] for id_, view in channel["subscribers"].items()},
            )
        muted = {
            id_: {name: view["sub_mute"] for name, view in subscriber["channels"].items()}
            for id_, subscriber in notifier.subscribers().items()
        }
        self.assertEqual(
            {
                id_: {name: view["muted"] for name, view in channels.items()}
                for id_, channels in bell.subscribers().items()
            },
            muted,
        )


class LiveTests(NotifierCase):
    """Changes on the live session, and its life."""

    async def test_no_reconnect(self) -> None:
        """Every change keeps the session, where the real one connects anew."""
        bell = await self.bell()
        changes: tuple[Callable[[], None], ...] = (
            lambda: bell.subscribe("a", "prices", self.hear),
            lambda: bell.mute_channels("prices"),
            bell.unmute_channels,
            lambda: bell.mute_subscriber("a"),
            lambda: bell.unmute_subscriber("a"),
            lambda: bell.unsubscribe("a", "prices"),
            lambda: bell.subscribe("b", "news", self.hear),
        )
        before = self.backend()
        for change in changes:
            change()
            await in_time("LISTEN", bell.when_listening())
            self.assertEqual(self.backend(), before)
        self.notify("news", "1")
        await wait_for("the news", lambda: self.ours)

    async def test_nothing_is_lost_by_a_change(self) -> None:
        """What is notified while a channel is added is heard, each once and in order."""
        bell = await self.bell()
        bell.subscribe("a", "prices", self.hear)
        await in_time("LISTEN", bell.when_listening())
        for number in range(50):
            self.notify("prices", str(number))
            bell.subscribe("b", f"other{number}", self.hear)
        await wait_for("all prices", lambda: len(self.ours) >= 50)
        self.assertEqual([payload for _, _, payload, _ in self.ours], [*range(50)])

    async def test_start_stop_restart(self) -> None:
        """``running`` says whether it is started; a restart makes a new session."""
        bell = await self.bell()
        bell.subscribe("a", "prices", self.hear)
        await in_time("LISTEN", bell.when_listening())
        self.assertTrue(bell.running)
        before = self.backend()
        await in_time("the restart", bell.restart())
        await in_time("LISTEN", bell.when_listening())
        self.assertNotEqual(self.backend(), before)
        self.notify("prices", "1")
        await wait_for("the price", lambda: self.ours)
        await in_time("the stop", bell.stopService())
        self.assertFalse(bell.running)
        self.assertIs(bell.listener.state, State.STOPPED)
        bell.startService()
        await in_time("LISTEN", bell.when_listening())
        self.notify("prices", "2")
        await wait_for("the price", lambda: len(self.ours) == 2)

    async def test_an_error_of_a_subscriber(self) -> None:
        """A subscriber that fails ends nothing, where it ends the real one."""
        bell = await self.bell()
        bell.subscribe("broken", "prices", lambda *_: 1 / 0)
        bell.subscribe("a", "prices", self.hear)
        await in_time("LISTEN", bell.when_listening())
        self.notify("prices")
        self.notify("prices")
        await wait_for("both prices", lambda: len(self.ours) == 2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)


def _sorted(heard: Heard) -> list[str]:
    return sorted(map(repr, heard))
