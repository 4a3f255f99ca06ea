"""
What every source of notifications promises, whatever is behind it.

The fake listener, the real one, and the reader of the log pass the same tests. They are written as
coroutines that wait for things with a deadline; what a wait is, and how a server is made to do
something, the subclass says.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.audience import RecordingAudience
from txdoorbell.notification import Hearable, ListenerStopped, Source, State


class SourceContract(TestCase):
    """
    The contract; the methods up to ``eventually`` are a subclass's to write.

    :cvar knows_senders: whether a notification says whose session sent it; else its pid is 0.
    """

    knows_senders = True

    def make_source(self) -> Source:
        """Return a source that isn't started, all of this test at the same server."""
        raise NotImplementedError

    def send(self, channel: str, payload: str = "") -> int:
        """Notify from somebody else's session, committed on return; return that session's pid."""
        raise NotImplementedError

    def lose(self, *sources: Source) -> None:
        """End the sessions of these sources, and let no source connect until ``regain``."""
        raise NotImplementedError

    def regain(self, *sources: Source) -> None:
        """Let these sources connect again, which they do without being asked."""
        raise NotImplementedError

    async def eventually(self, what: str, predicate: Callable[[], object]) -> None:
        """Wait until something holds; fail, saying what, when that takes too long."""
        raise NotImplementedError

    # -- builders and waits

    def build(
        self, *channels: str, start: bool = True, audience: RecordingAudience | None = None
    ) -> tuple[Source, RecordingAudience]:
        """Return a source that wants these channels, with its audience; stopped at the end."""
        source, audience = self.make_source(), audience or RecordingAudience()
        source.report_to(audience)
        source.set_channels(channels)
        if start:
            source.startService()
        self.addCleanup(source.stopService)
        return source, audience

    async def listening(
        self, *channels: str, audience: RecordingAudience | None = None
    ) -> tuple[Source, RecordingAudience]:
        """Return a source that listens to these channels, and an audience that knows of it."""
        source, audience = self.build(*channels, audience=audience)
        await self.eventually("the first LISTEN", lambda: audience.listens)
        return source, audience

    async def result(self, what: str, answer: Deferred[Any] | None) -> Any:
        """Wait for a Deferred, and return or raise what it has."""
        results: list[object] = []
        if answer is not None:
            answer.addBoth(results.append)
            await self.eventually(what, lambda: results)
            if isinstance(results[0], Failure):
                results[0].raiseException()
            return results[0]
        return None

    async def fails(self, kind: type[Exception], answer: Deferred[Any]) -> None:
        """Assert that a Deferred fails with this error."""
        try:
            value = await self.result(f"{kind.__name__}", answer)
        except kind:
            return
        self.fail(f"{kind.__name__} expected, got {value!r}")

    async def heard(self, audience: RecordingAudience, payload: str) -> list[str]:
        """Wait for a payload; return all that were heard on any channel, in order."""
        await self.eventually(
            f"the ring {payload!r}", lambda: payload in [heard[1] for heard in audience.heard]
        )
        return [heard[1] for heard in audience.heard]

    async def gone(self, source: Source, audience: RecordingAudience) -> None:
        """Lose the session, and wait until the source knows."""
        # A probe under way would be lost too, and make the source deaf.
        await self.result("a probe", source.probe())
        self.lose(source)
        await self.eventually("the loss", lambda: State.WAITING in audience.states)

    # -- hearing

    async def test_listens(self) -> None:
        """Started, it connects, and says once that it listens, to what, and that it is new."""
        source, audience = self.build("jobs", "mail", start=False)
        self.assertEqual((source.state, audience.calls), (State.STOPPED, []))
        source.startService()
        await self.eventually("the first LISTEN", lambda: audience.listens)
        self.assertEqual(audience.states, [State.CONNECTING, State.LISTENING])
        self.assertEqual(audience.listens, [({"jobs", "mail"}, True)])
        self.assertEqual(source.state, State.LISTENING)

    async def test_no_channels(self) -> None:
        """With no channel at all it listens too, and says so."""
        _, audience = await self.listening()
        self.assertEqual(audience.listens, [(frozenset(), True)])

    async def test_hears(self) -> None:
        """Each notification on its channels is heard as it was sent, in the order of sending."""
        _, audience = await self.listening("jobs", "mail")
        sent = []
        for number in range(50):
            channel = ("jobs", "mail", "else")[number % 3]
            pid = self.send(channel, f"{number}")
            sent.append((channel, f"{number}", pid if self.knows_senders else 0))
        self.send("jobs", "end")
        await self.heard(audience, "end")
        self.assertEqual(audience.heard[:-1], [ring for ring in sent if ring[0] != "else"])

    async def test_payloads(self) -> None:
        """A payload is heard as it is: empty, the longest, quotes, and any character but NUL."""
        _, audience = await self.listening("jobs")
        payloads = [
            "",
            "x" * 7999,
            "é" * 3999,
            'it\'s "so"',
            "\\",
            "%s {} \n\t",
            "'; drop table x",
            "🔔",
        ]
        for payload in payloads:
            self.send("jobs", payload)
        self.send("jobs", "end")
        self.assertEqual(await self.heard(audience, "end"), [*payloads, "end"])

    async def test_names(self) -> None:
        """A channel's name keeps its case and its quotes, and may have 63 bytes."""
        names = ["Jobs", 'a"b', "x" * 63, "é" * 31, "with space", "select"]
        _, audience = await self.listening(*names)
        for name in ["jobs", *names]:
            self.send(name, name)
        self.assertEqual(await self.heard(audience, names[-1]), names)

    # -- channels on the live session

    async def test_add_channel(self) -> None:
        """A channel that is wanted later is listened to on the same session, and told of."""
        source, audience = await self.listening("jobs")
        source.set_channels(["jobs", "mail"])
        await self.eventually("the second LISTEN", lambda: len(audience.listens) > 1)
        self.send("mail", "1")
        self.assertEqual(await self.heard(audience, "1"), ["1"])
        self.assertEqual(audience.listens[1:], [({"mail"}, False)])
        self.assertEqual(audience.states, [State.CONNECTING, State.LISTENING])

    async def test_remove_channel(self) -> None:
        """A channel that isn't wanted any more is heard no more; the others stay."""
        source, audience = await self.listening("jobs", "mail")
        source.set_channels(["jobs"])
        source.set_channels(["jobs", "news"])
        await self.eventually("the second LISTEN", lambda: len(audience.listens) > 1)
        self.send("mail", "1")
        self.send("jobs", "2")
        self.assertEqual(await self.heard(audience, "2"), ["2"])
        self.assertEqual(audience.listens[1:], [({"news"}, False)])

    async def test_same_channels(self) -> None:
        """Wanting what is listened to already changes nothing."""
        source, audience = await self.listening("jobs")
        source.set_channels(iter(["jobs", "jobs"]))
        await self.result("LISTEN", source.when_listening())
        self.send("jobs", "1")
        await self.heard(audience, "1")
        self.assertEqual(audience.listens, [({"jobs"}, True)])

    async def test_many_changes(self) -> None:
        """However fast it is changed, what was wanted last is what is listened to."""
        source, audience = await self.listening("jobs")
        for number in range(20):
            source.set_channels([f"c{number}"])
        await self.result("LISTEN", source.when_listening())
        for number in range(20):
            self.send(f"c{number}", f"{number}")
        self.assertEqual((await self.heard(audience, "19"))[-1], "19")
        self.send("c19", "end")
        heard = await self.heard(audience, "end")
        self.assertEqual(heard, ["19", "end"])

    async def test_wrong_channels(self) -> None:
        """A name that PostgreSQL would not take is refused at once, and nothing is changed."""
        source, audience = await self.listening("jobs")
        wrong: list[tuple[type[Exception], Any]] = [
            (ValueError, ["mail", ""]),
            (ValueError, ["mail", "x" * 64]),
            (ValueError, ["mail", "a\0b"]),
            (TypeError, ["mail", b"x"]),
            (TypeError, ["mail", None]),
            (TypeError, "mail"),
        ]
        for error, names in wrong:
            with self.assertRaises(error):
                source.set_channels(names)
        await self.result("LISTEN", source.when_listening())
        self.send("mail", "1")
        self.send("jobs", "2")
        self.assertEqual(await self.heard(audience, "2"), ["2"])

    # -- waiting

    async def test_when_listening(self) -> None:
        """Each who waits has a Deferred of its own, which fires when all channels are heard."""
        source, audience = self.build("jobs", start=False)
        before = source.when_listening(), source.when_listening()
        self.assertIsNot(*before)
        source.startService()
        for waiter in before:
            self.assertIsNone(await self.result("LISTEN", waiter))
        source.set_channels(["jobs", "mail"])
        await self.result("LISTEN", source.when_listening())
        self.send("mail", "1")
        await self.heard(audience, "1")

    async def test_when_listening_cancelled(self) -> None:
        """Whoever waits no longer disturbs nobody."""
        source, _ = self.build("jobs")
        given_up, other = source.when_listening(), source.when_listening()
        given_up.cancel()
        await self.fails(CancelledError, given_up)
        await self.result("LISTEN", other)

    async def test_when_listening_stopped(self) -> None:
        """Whoever waits when it is stopped is told so, and so is whoever comes later."""
        source, audience = await self.listening("jobs")
        await self.gone(source, audience)
        waiter = source.when_listening()
        await self.result("the stop", source.stopService())
        await self.fails(ListenerStopped, waiter)
        await self.fails(ListenerStopped, source.when_listening())

    # -- sending

    async def test_notify(self) -> None:
        """What it sends is committed when the Deferred says so, and it hears that itself."""
        source, audience = await self.listening("jobs")
        self.assertIsNone(await self.result("NOTIFY", source.notify("jobs", "7")))
        await self.result("NOTIFY", source.notify("elsewhere"))
        self.assertEqual(await self.heard(audience, "7"), ["7"])
        self.assertEqual(audience.heard[0][2] > 0, self.knows_senders)

    async def test_notify_in_order(self) -> None:
        """What is sent without waiting is heard in the order of sending, repetitions too."""
        source, audience = await self.listening("jobs")
        payloads = [f"{number // 2}" for number in range(20)]
        answers = [source.notify("jobs", payload) for payload in [*payloads, "end"]]
        self.assertEqual(await self.heard(audience, "end"), [*payloads, "end"])
        for answer in answers:
            await self.result("NOTIFY", answer)

    async def test_notify_refused(self) -> None:
        """What PostgreSQL would not take isn't sent; the call raises at once."""
        source, audience = await self.listening("jobs")
        wrong: list[tuple[type[Exception], Any, Any]] = [
            (ValueError, "", ""),
            (ValueError, "x" * 64, ""),
            (ValueError, "jobs", "x" * 8000),
            (ValueError, "jobs", "a\0b"),
            (TypeError, b"jobs", ""),
            (TypeError, "jobs", b"x"),
            (TypeError, "jobs", 7),
        ]
        for error, channel, payload in wrong:
            with self.assertRaises(error):
                source.notify(channel, payload)
        self.send("jobs", "end")
        self.assertEqual(await self.heard(audience, "end"), ["end"])

    async def test_probe(self) -> None:
        """A probe tells how long a ring takes, and the audience nothing."""
        source, audience = await self.listening("jobs")
        seconds = await self.result("the probe", source.probe())
        self.assertIsInstance(seconds, float)
        self.assertTrue(0 <= seconds < 5)
        self.assertEqual((audience.heard, audience.states[-1]), ([], State.LISTENING))

    # -- loss

    async def test_lost_and_back(self) -> None:
        """A lost session is replaced; everyone is told to catch up, and rings are heard again."""
        source, audience = await self.listening("jobs", "mail")
        await self.gone(source, audience)
        waiter = source.when_listening()
        self.send("jobs", "in the gap")
        self.regain(source)
        await self.result("LISTEN", waiter)
        await self.eventually("the second LISTEN", lambda: len(audience.listens) > 1)
        self.assertEqual(audience.listens[1:], [({"jobs", "mail"}, True)])
        self.send("jobs", "1")
        self.assertEqual(await self.heard(audience, "1"), ["1"])

    async def test_states_of_a_loss(self) -> None:
        """Each change of state is told once, with the reason for a loss in one line."""
        source, audience = await self.listening("jobs")
        await self.gone(source, audience)
        self.regain(source)
        await self.eventually("the second LISTEN", lambda: len(audience.listens) > 1)
        states = audience.states
        self.assertTrue(all(one is not other for one, other in pairwise(states)))
        self.assertEqual(states[-2:], [State.CONNECTING, State.LISTENING])
        self.assertEqual(source.state, State.LISTENING)
        reasons = [str(call[1]) for call in audience.calls if call[0] is State.WAITING]
        for reason in reasons:
            self.assertRegex(reason, r"\A[^\n]+\Z")

    async def test_notify_in_the_gap(self) -> None:
        """What can't be sent fails, rather than being sent some time; afterwards it can be."""
        source, audience = await self.listening("jobs")
        await self.gone(source, audience)
        await self.fails(Exception, source.notify("jobs", "too early"))
        self.regain(source)
        await self.eventually("the second LISTEN", lambda: len(audience.listens) > 1)
        await self.result("NOTIFY", source.notify("jobs", "1"))
        self.assertEqual(await self.heard(audience, "1"), ["1"])

    async def test_changed_in_the_gap(self) -> None:
        """Channels changed while there is no session are those of the next."""
        source, audience = await self.listening("jobs")
        await self.gone(source, audience)
        source.set_channels(["mail"])
        self.regain(source)
        await self.eventually("the second LISTEN", lambda: len(audience.listens) > 1)
        self.assertEqual(audience.listens[1:], [({"mail"}, True)])
        for channel in ("jobs", "mail"):
            self.send(channel, channel)
        self.assertEqual(await self.heard(audience, "mail"), ["mail"])

    async def test_absent_at_start(self) -> None:
        """A server that isn't there at the start is waited for, and isn't called healthy."""
        source, audience = self.build("jobs", start=False)
        self.lose(source)
        source.startService()
        await self.eventually("the first failure", lambda: State.WAITING in audience.states)
        self.assertEqual(audience.listens, [])
        self.assertNotIn(State.LISTENING, audience.states)
        self.regain(source)
        await self.eventually("the first LISTEN", lambda: audience.listens)
        self.assertEqual(audience.listens, [({"jobs"}, True)])

    # -- stop and restart

    async def test_stop(self) -> None:
        """Stopped, it says so, hears nothing, and leaves nothing behind in the reactor."""
        source, audience = await self.listening("jobs")
        _, other = await self.listening("jobs")
        await self.result("the stop", source.stopService())
        self.assertEqual((source.state, audience.states[-1]), (State.STOPPED, State.STOPPED))
        told = list(audience.calls)
        self.send("jobs", "1")
        await self.heard(other, "1")
        self.assertEqual(audience.calls, told)

    async def test_stop_in_the_gap(self) -> None:
        """Stopped while it waits for its server, it tries no more."""
        source, audience = await self.listening("jobs")
        await self.gone(source, audience)
        await self.result("the stop", source.stopService())
        told = list(audience.calls)
        self.regain(source)
        _, other = await self.listening("jobs")
        self.send("jobs", "1")
        await self.heard(other, "1")
        self.assertEqual(audience.calls, told)

    async def test_stop_at_once(self) -> None:
        """Stopped before it is connected, it is stopped; nobody is told that it listens."""
        source, audience = self.build("jobs")
        await self.result("the stop", source.stopService())
        self.assertEqual((audience.states[-1:], audience.listens), ([State.STOPPED], []))

    async def test_stop_twice(self) -> None:
        """A second stop is no error, and is told to nobody."""
        source, audience = await self.listening("jobs")
        stops = source.stopService(), source.stopService()
        for stop in stops:
            await self.result("the stop", stop)
        self.assertEqual(audience.states.count(State.STOPPED), 1)

    async def test_never_started(self) -> None:
        """Stopped before it was started, it fails those who wait for it."""
        source, audience = self.build("jobs", start=False)
        waiter = source.when_listening()
        await self.fails(ListenerStopped, source.notify("jobs"))
        await self.fails(ListenerStopped, source.probe())
        await self.result("the stop", source.stopService())
        await self.fails(ListenerStopped, waiter)
        self.assertEqual((source.state, audience.calls), (State.STOPPED, []))

    async def test_sending_stopped(self) -> None:
        """What isn't known to be sent when it is stopped fails; so does what comes later."""
        source, _ = await self.listening("jobs")
        ring, probe = source.notify("jobs"), source.probe()
        await self.result("the stop", source.stopService())
        await self.fails(ListenerStopped, ring)
        await self.fails(Exception, probe)
        await self.fails(ListenerStopped, source.notify("jobs"))
        await self.fails(ListenerStopped, source.probe())

    async def test_restart(self) -> None:
        """Started again, it listens again, to what was wanted meanwhile too."""
        source, audience = await self.listening("jobs")
        await self.result("the stop", source.stopService())
        source.set_channels(["jobs", "mail"])
        source.startService()
        await self.eventually("the second LISTEN", lambda: len(audience.listens) > 1)
        self.assertEqual(audience.listens[1:], [({"jobs", "mail"}, True)])
        self.send("mail", "1")
        self.assertEqual(await self.heard(audience, "1"), ["1"])
        self.assertEqual(
            audience.states,
            [State.CONNECTING, State.LISTENING, State.STOPPED, State.CONNECTING, State.LISTENING],
        )

    # -- who calls whom

    async def test_never_from_inside(self) -> None:
        """The audience isn't called from inside its own call, whatever it calls the source for."""
        source, audience = self.build("jobs", start=False)
        inside: list[str] = []

        def call(what: str, function: Callable[[], object]) -> None:
            before = len(audience.calls)
            function()
            inside.extend([what] * (len(audience.calls) > before))

        call("startService", source.startService)
        call("set_channels", lambda: source.set_channels(["mail"]))
        await self.eventually("the first LISTEN", lambda: audience.listens)
        call("set_channels", lambda: source.set_channels(["jobs", "mail"]))
        call("when_listening", lambda: source.when_listening().addErrback(lambda _: None))
        call("notify", lambda: source.notify("jobs", "1").addErrback(lambda _: None))
        await self.heard(audience, "1")
        self.assertEqual(inside, [])

    async def test_audience_answers(self) -> None:
        """An audience may call the source from inside each of the calls that it gets."""

        class Answering(RecordingAudience):
            def notified(self, notification: Hearable) -> None:
                super().notified(notification)
                if notification.payload == "more":
                    source.set_channels(["jobs", "mail"])

            def listening(self, channels: frozenset[str], fresh: bool) -> None:
                super().listening(channels, fresh)
                if "mail" in channels:
                    answers.append(source.notify("mail", "there"))

        answers: list[Deferred[None]] = []
        source, audience = await self.listening("jobs", audience=Answering())
        self.send("jobs", "more")
        self.assertEqual(await self.heard(audience, "there"), ["more", "there"])
        [answer] = answers
        self.assertIsNone(await self.result("NOTIFY", answer))
