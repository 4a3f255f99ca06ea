"""Tests for the switchboard: who hears what, and which channels need a LISTEN."""

from collections.abc import Callable, Coroutine, Hashable
from typing import Any

from psycopg2.extensions import Notify
from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from txdoorbell.notification import Notification
from txdoorbell.switchboard import Switchboard

Heard = list[tuple[Hashable, str, object, int]]


def broken(*arguments: Any) -> None:
    """Fail, as a hearer."""
    raise IndexError("broken")


class Base(SynchronousTestCase):
    """One switchboard that records what its hearers and its listener are told."""

    def setUp(self) -> None:
        """Make the switchboard."""
        self.board = Switchboard()
        self.heard: Heard = []
        self.changes: list[frozenset[str]] = []
        self.board.on_change = self.changes.append

    def hear(self, *call: Any) -> None:
        """Record a call of a subscriber."""
        self.heard.append((call[0], call[1], call[2], call[3]))

    def ring(self, channel: str, payload: str = "", pid: int = 0) -> list[Hashable]:
        """Dispatch one notification; return the ids that heard it, in order."""
        self.heard.clear()
        self.board.dispatch(Notification(channel, payload, pid))
        return [call[0] for call in self.heard]

    def assert_refused(
        self, error: type[Exception], text: str, call: Callable[..., object], *arguments: Any
    ) -> None:
        """Assert that a call raises, and has changed nothing."""
        before = (self.board.channels(), self.board.subscribers(), self.board.active_channels)
        with self.assertRaisesRegex(error, text):
            call(*arguments)
        after = (self.board.channels(), self.board.subscribers(), self.board.active_channels)
        self.assertEqual(before, after)


class DispatchTests(Base):
    """Who is called for a notification, with what, and in which order."""

    def test_what_is_heard(self) -> None:
        """A subscriber is told its id, the channel, the decoded payload and the sender's pid."""
        self.board.subscribe("a", "jobs", self.hear)
        self.ring("jobs", '{"id": 7}', 42)
        self.assertEqual(self.heard, [("a", "jobs", {"id": 7}, 42)])

    def test_order(self) -> None:
        """Hearers are called in the order in which they subscribed, each once."""
        for name in "cab":
            self.board.subscribe(name, "jobs", self.hear)
        self.assertEqual(self.ring("jobs"), ["c", "a", "b"])

    def test_other_channel(self) -> None:
        """A notification on a channel that isn't there, or has no hearer, is no error."""
        self.board.add_channels("empty")
        self.assertEqual(self.ring("empty"), [])
        self.assertEqual(self.ring("unknown"), [])

    def test_one_id_many_channels(self) -> None:
        """One id may hear many channels, each with a function of its own."""
        self.board.subscribe("a", "jobs", self.hear)
        self.board.subscribe("a", "mail", lambda *call: self.hear("other", *call[1:]))
        self.assertEqual((self.ring("jobs"), self.ring("mail")), (["a"], ["other"]))

    def test_observer(self) -> None:
        """An observer gets the notification itself, in its place among the others."""
        notification = Notification("jobs", "7", 42)
        order: list[object] = []
        self.board.subscribe("a", "jobs", lambda *call: order.append("a"))
        self.board.observe(order.append, ["jobs", "mail"])
        self.board.subscribe("b", "jobs", lambda *call: order.append("b"))
        self.board.dispatch(notification)
        self.assertEqual(order, ["a", notification, "b"])
        self.assertIs(order[1], notification)

    def test_driver(self) -> None:
        """What psycopg2 delivers is dispatched as it is."""
        notification = Notify(42, "jobs", "[7]")
        seen: list[object] = []
        self.board.subscribe("a", "jobs", self.hear)
        self.board.observe(seen.append, "jobs")
        self.board.dispatch(notification)
        self.assertEqual(self.heard, [("a", "jobs", [7], 42)])
        self.assertIs(seen[0], notification)

    def test_observed_twice(self) -> None:
        """An observer that observes a channel twice is called once."""
        seen: list[object] = []
        self.board.observe(seen.append, "jobs")
        self.board.observe(seen.append, ["jobs", "mail"])
        self.ring("jobs")
        self.assertEqual(len(seen), 1)

    def test_decoded_once(self) -> None:
        """A payload is decoded once for all subscribers, and not at all for observers alone."""
        asked: list[str] = []

        class Counting:
            channel, pid = "jobs", 0

            @property
            def payload(self) -> str:
                asked.append("payload")
                return "[7]"

        self.board.observe(lambda notification: None, "jobs")
        self.board.dispatch(Counting())
        self.assertEqual(asked, [])
        self.board.subscribe("a", "jobs", self.hear)
        self.board.subscribe("b", "jobs", self.hear)
        self.board.dispatch(Counting())
        self.assertEqual(asked, ["payload"])
        self.assertIs(self.heard[0][2], self.heard[1][2])

    def test_hostile_payload(self) -> None:
        """No payload can silence a subscriber: what can't be decoded is heard as text."""
        self.board.subscribe("a", "jobs", self.hear)
        for payload in ["'", "[" * 7999, "9" * 7999, "\0", "1if"]:
            self.ring("jobs", payload)
            self.assertEqual(self.heard[0][2], payload)


class ErrorTests(Base):
    """An error in one hearer is logged and stops no other."""

    def logged(self, kind: type[Exception]) -> list[str]:
        """Return what log.err was told of errors of this kind."""
        return [str(failure.value) for failure in self.flushLoggedErrors(kind)]

    def test_subscriber_fails(self) -> None:
        """The others are called, now and later, and so is the one that failed."""
        self.board.subscribe("a", "jobs", broken)
        self.board.subscribe("b", "jobs", self.hear)
        self.assertEqual((self.ring("jobs"), self.ring("jobs")), (["b"], ["b"]))
        self.assertEqual(len(self.flushLoggedErrors(IndexError)), 2)

    def test_observer_fails(self) -> None:
        """An observer's error stops nobody either."""
        self.board.observe(broken, "jobs")
        self.board.subscribe("b", "jobs", self.hear)
        self.assertEqual(self.ring("jobs"), ["b"])
        self.assertEqual(len(self.flushLoggedErrors(IndexError)), 1)

    def test_named(self) -> None:
        """The log says which id failed on which channel, whatever the id."""
        from twisted.python import log

        class Nameless:
            def __repr__(self) -> str:
                raise RuntimeError("no name")

        lines: list[str] = []
        observer = lambda event: lines.append(event.get("why") or "")  # noqa: E731
        log.addObserver(observer)
        self.addCleanup(log.removeObserver, observer)
        self.board.subscribe(("mail", 7), "jobs", broken)
        self.board.subscribe(Nameless(), "jobs", broken)
        self.ring("jobs")
        self.flushLoggedErrors(IndexError)
        self.assertEqual(lines[0], "subscriber ('mail', 7) failed on channel 'jobs'")
        self.assertIn("Nameless", lines[1])

    def test_wrong_arguments(self) -> None:
        """A function with another signature is logged, and stops nobody."""
        self.board.subscribe("a", "jobs", lambda payload: None)  # type: ignore[misc,arg-type]
        self.board.subscribe("b", "jobs", self.hear)
        self.assertEqual(self.ring("jobs"), ["b"])
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_deferred_fails(self) -> None:
        """The error of a Deferred is logged as soon as it is known; nobody waits for it."""
        later: Deferred[None] = Deferred()
        self.board.subscribe("a", "jobs", lambda *call: later)
        self.board.subscribe("b", "jobs", lambda *call: fail(ValueError("at once")))
        self.board.subscribe("c", "jobs", lambda *call: succeed("fine"))
        self.board.subscribe("d", "jobs", self.hear)
        self.assertEqual(self.ring("jobs"), ["d"])
        self.assertEqual(self.logged(ValueError), ["at once"])
        later.errback(ValueError("later"))
        self.assertEqual(self.logged(ValueError), ["later"])

    def test_coroutine(self) -> None:
        """An ``async def`` function runs, and its error is logged."""
        gate: Deferred[None] = Deferred()

        async def function(*call: Any) -> None:
            self.hear(*call)
            await gate
            raise ValueError("in vain")

        def subscriber(*call: Any) -> Coroutine[Any, Any, None]:
            return function(*call)

        self.board.subscribe("a", "jobs", subscriber)
        self.assertEqual(self.ring("jobs"), ["a"])
        gate.callback(None)
        self.assertEqual(self.logged(ValueError), ["in vain"])

    def test_interrupt(self) -> None:
        """What is no ordinary error, like an interrupt from the keyboard, isn't swallowed."""

        def interrupted(*call: Any) -> None:
            raise KeyboardInterrupt

        self.board.subscribe("a", "jobs", interrupted)
        with self.assertRaises(KeyboardInterrupt):
            self.ring("jobs")


class ChangeDuringDispatchTests(Base):
    """Hearers may change the switchboard while it calls them."""

    def first(self, change: Callable[[], object]) -> None:
        """Subscribe one that makes a change when called, then ``b`` and ``c``."""

        def changing(*call: Any) -> None:
            self.hear(*call)
            change()

        self.board.subscribe("a", "jobs", changing)
        self.board.subscribe("b", "jobs", self.hear)
        self.board.subscribe("c", "jobs", self.hear)

    def test_unsubscribed(self) -> None:
        """One that is unsubscribed before its turn isn't called."""
        self.first(lambda: self.board.unsubscribe("b", "jobs"))
        self.assertEqual(self.ring("jobs"), ["a", "c"])

    def test_unsubscribes_itself(self) -> None:
        """One that unsubscribes itself is called no more; the others are all called."""
        self.first(lambda: self.board.unsubscribe("a", "jobs"))
        self.assertEqual((self.ring("jobs"), self.ring("jobs")), (["a", "b", "c"], ["b", "c"]))

    def test_muted(self) -> None:
        """One that is muted before its turn isn't called, until it is unmuted."""
        self.first(lambda: self.board.mute_subscriber("b"))
        self.assertEqual(self.ring("jobs"), ["a", "c"])
        self.board.unmute_subscriber("b")
        self.board.subscribe("a", "jobs", self.hear)
        self.assertEqual(self.ring("jobs"), ["a", "b", "c"])

    def test_channel_muted(self) -> None:
        """Muting the channel ends its dispatch."""
        self.first(self.board.mute_channels)
        self.assertEqual(self.ring("jobs"), ["a"])

    def test_channel_removed(self) -> None:
        """Removing the channel ends its dispatch, and a new one of that name is another."""

        def anew() -> None:
            self.board.remove_channels("jobs")
            self.board.subscribe("c", "jobs", self.hear)

        self.first(anew)
        self.assertEqual((self.ring("jobs"), self.ring("jobs")), (["a"], ["c"]))

    def test_subscribed(self) -> None:
        """One that is new hears from the next notification on."""
        self.first(lambda: self.board.subscribe("d", "jobs", self.hear))
        self.assertEqual((self.ring("jobs"), self.ring("jobs")), (["a", "b", "c"], list("abcd")))

    def test_subscribed_anew(self) -> None:
        """One that is unsubscribed and subscribed again is new."""

        def anew() -> None:
            self.board.unsubscribe("b", "jobs")
            self.board.subscribe("b", "jobs", self.hear)

        self.first(anew)
        self.assertEqual((self.ring("jobs"), self.ring("jobs")), (["a", "c"], ["a", "c"]))

    def test_replaced(self) -> None:
        """One whose function is replaced before its turn is called once, by the new function."""
        other = lambda *call: self.hear("new b", *call[1:])  # noqa: E731
        self.first(lambda: self.board.subscribe("b", "jobs", other))
        self.assertEqual(self.ring("jobs"), ["a", "new b", "c"])

    def test_other_change(self) -> None:
        """A change that is undone before their turn leaves each called once."""

        def there_and_back() -> None:
            self.board.mute_channels()
            self.board.unmute_channels()

        self.first(there_and_back)
        self.assertEqual(self.ring("jobs"), ["a", "b", "c"])

    def test_observer_gone(self) -> None:
        """An observer that is gone before its turn isn't called."""
        seen: list[object] = []
        self.first(lambda: self.board.unobserve(seen.append))
        self.board.observe(seen.append, "jobs")
        self.ring("jobs")
        self.assertEqual(seen, [])

    def test_nested(self) -> None:
        """A hearer may dispatch another notification; everyone hears both."""
        again = [Notification("jobs", "2")]

        def once_more() -> None:
            if again:
                self.board.dispatch(again.pop())

        self.first(once_more)
        self.assertEqual(self.ring("jobs", "1"), ["a", "a", "b", "c", "b", "c"])


class MuteTests(Base):
    """Muted channels and subscribers aren't called, and can be told from the others."""

    def setUp(self) -> None:
        """Subscribe ``a`` to two channels and ``b`` to one."""
        super().setUp()
        self.board.subscribe("a", "jobs", self.hear)
        self.board.subscribe("a", "mail", self.hear)
        self.board.subscribe("b", "jobs", self.hear)

    def test_mute_channel(self) -> None:
        """Nobody is called for a muted channel; unmuted, it is as before."""
        self.board.mute_channels("jobs")
        self.assertEqual((self.ring("jobs"), self.ring("mail")), ([], ["a"]))
        self.assertEqual(self.board.muted_channels(), {"jobs"})
        self.assertEqual(self.board.non_muted_channels(), {"mail"})
        self.board.unmute_channels(["jobs"])
        self.assertEqual(self.ring("jobs"), ["a", "b"])
        self.assertEqual(self.board.muted_channels(), frozenset())

    def test_mute_all_channels(self) -> None:
        """With no name given all channels there are now are muted; a later one isn't."""
        self.board.mute_channels()
        self.board.subscribe("a", "later", self.hear)
        self.assertEqual(self.board.muted_channels(), {"jobs", "mail"})
        self.assertEqual(self.board.active_channels, {"later"})
        self.board.unmute_channels()
        self.assertEqual(self.board.active_channels, {"jobs", "mail", "later"})

    def test_mute_subscriber(self) -> None:
        """A muted subscriber isn't called on that channel; the others are."""
        self.board.mute_subscriber("a", "jobs")
        self.assertEqual((self.ring("jobs"), self.ring("mail")), (["b"], ["a"]))
        self.assertEqual(self.board.muted_subscribers(), {"a": {"jobs"}})
        self.board.unmute_subscriber("a", "jobs")
        self.assertEqual(self.ring("jobs"), ["a", "b"])
        self.assertEqual(self.board.muted_subscribers(), {})

    def test_mute_subscriber_everywhere(self) -> None:
        """With no channel given a subscriber is muted on all its channels, and unmuted so."""
        self.board.mute_subscriber("a")
        self.assertEqual((self.ring("jobs"), self.ring("mail")), (["b"], []))
        self.assertEqual(self.board.muted_subscribers(), {"a": {"jobs", "mail"}})
        self.board.unmute_subscriber("a")
        self.assertEqual((self.ring("jobs"), self.ring("mail")), (["a", "b"], ["a"]))

    def test_observers_too(self) -> None:
        """A muted channel rings no observer either."""
        seen: list[object] = []
        self.board.observe(seen.append, "jobs")
        self.board.mute_channels("jobs")
        self.ring("jobs")
        self.assertEqual(seen, [])

    def test_resubscribed(self) -> None:
        """A subscriber that brings a new function stays muted, and keeps its place."""
        self.board.mute_subscriber("a", "jobs")
        self.board.subscribe("a", "jobs", lambda *call: self.hear("new", *call[1:]))
        self.assertEqual(self.ring("jobs"), ["b"])
        self.board.unmute_subscriber("a")
        self.assertEqual(self.ring("jobs"), ["new", "b"])

    def test_subscribed_to_muted(self) -> None:
        """Subscribing to a muted channel doesn't unmute it."""
        self.board.mute_channels("jobs")
        self.board.subscribe("c", "jobs", self.hear)
        self.assertEqual(self.ring("jobs"), [])


class RefusalTests(Base):
    """What is refused, with which words; and that nothing has changed then."""

    def setUp(self) -> None:
        """Subscribe ``a`` to ``jobs``; add ``mail``."""
        super().setUp()
        self.board.subscribe("a", "jobs", self.hear)
        self.board.add_channels("mail")

    def test_unknown_channel(self) -> None:
        """A channel that isn't there can't be removed or muted, nor others named with it."""
        board = self.board
        for call in (board.remove_channels, board.mute_channels, board.unmute_channels):
            self.assert_refused(KeyError, "no channel 'jbos'", call, "jbos")
            self.assert_refused(KeyError, "no channel 'jbos'", call, ["jobs", "jbos"])

    def test_unknown_subscriber(self) -> None:
        """An id that isn't subscribed, at all or there, can't be unsubscribed or muted."""
        board = self.board
        self.assert_refused(KeyError, "'b'.*'jobs'", board.unsubscribe, "b", "jobs")
        self.assert_refused(KeyError, "'a'.*'mail'", board.unsubscribe, "a", "mail")
        for call in (board.mute_subscriber, board.unmute_subscriber):
            self.assert_refused(KeyError, "'b'.*any channel", call, "b")
            self.assert_refused(KeyError, "'a'.*'mail'", call, "a", ["jobs", "mail"])

    def test_unknown_observer(self) -> None:
        """An observer can't be taken from a channel that it doesn't observe; from all it can."""
        self.assert_refused(
            KeyError, "broken.*doesn't observe.*'jobs'", self.board.unobserve, broken, "jobs"
        )
        self.board.unobserve(broken)

    def test_wrong_names(self) -> None:
        """A name that PostgreSQL would not take whole is refused, and all that came with it."""
        wrong: list[tuple[type[Exception], str, object]] = [
            (TypeError, "b'x' must be a str", b"x"),
            (TypeError, "b'x' must be a str", ["ok", b"x"]),
            (TypeError, "7 must be a str", [7]),
            (TypeError, "not iterable", 7),
            (ValueError, "empty", ""),
            (ValueError, "64 bytes.*63", ["ok", "x" * 64]),
        ]
        for error, text, names in wrong:
            self.assert_refused(error, text, self.board.add_channels, names)
            self.assert_refused(error, text, self.board.mute_channels, names)
            self.assert_refused(error, text, self.board.observe, broken, names)
        for name in (b"x", 7, None, ["jobs"]):
            self.assert_refused(
                TypeError, "must be a str", self.board.subscribe, "a", name, self.hear
            )

    def test_wrong_subscriber(self) -> None:
        """An id must be hashable and a function callable; the error names them."""
        board, text = self.board, r"subscriber id \['a'\] isn't hashable"
        self.assert_refused(TypeError, text, board.subscribe, ["a"], "jobs", self.hear)
        self.assert_refused(TypeError, text, board.unsubscribe, ["a"], "jobs")
        self.assert_refused(TypeError, text, board.mute_subscriber, ["a"])
        text = r"\['a'\] can't be called"
        self.assert_refused(TypeError, text, board.subscribe, "a", "jobs", ["a"])
        self.assert_refused(TypeError, text, board.observe, ["a"], "jobs")

    def test_failing_names(self) -> None:
        """Names that can't all be had change nothing."""

        def names() -> Any:
            yield "ok"
            raise OSError("no more names")

        self.assert_refused(OSError, "no more", self.board.add_channels, names())


class ActiveTests(Base):
    """Which channels need a LISTEN, and when the listener is told."""

    def test_needs_a_hearer(self) -> None:
        """A channel that nobody hears needs no LISTEN."""
        self.board.add_channels(["jobs", "mail"])
        self.assertEqual((self.board.active_channels, self.changes), (frozenset(), []))
        self.board.subscribe("a", "jobs", self.hear)
        self.board.observe(broken, "mail")
        self.assertEqual(self.board.active_channels, {"jobs", "mail"})
        self.board.unsubscribe("a", "jobs")
        self.board.unobserve(broken)
        self.assertEqual(self.board.active_channels, frozenset())
        self.assertEqual(self.changes, [{"jobs"}, {"jobs", "mail"}, {"mail"}, frozenset()])

    def test_last_hearer(self) -> None:
        """A channel needs its LISTEN until the last of its hearers is gone or muted."""
        for name in "abc":
            self.board.subscribe(name, "jobs", self.hear)
        self.board.mute_subscriber("a")
        self.board.unsubscribe("b", "jobs")
        self.assertEqual(self.changes, [{"jobs"}])
        self.board.mute_subscriber("c")
        self.assertEqual(self.changes[1:], [frozenset()])
        self.board.unmute_subscriber("a")
        self.assertEqual(self.changes[2:], [{"jobs"}])

    def test_observer_keeps_it(self) -> None:
        """A channel whose subscribers are all muted is listened to for its observer."""
        self.board.subscribe("a", "jobs", self.hear)
        self.board.observe(broken, "jobs")
        self.board.mute_subscriber("a")
        self.assertEqual(self.changes, [{"jobs"}])

    def test_muted_channel(self) -> None:
        """A muted channel needs no LISTEN; one call that mutes many tells the listener once."""
        self.board.observe(broken, ["jobs", "mail", "news"])
        self.board.mute_channels(["jobs", "mail"])
        self.board.mute_channels("jobs")
        self.board.unmute_channels()
        everything = {"jobs", "mail", "news"}
        self.assertEqual(self.changes, [everything, {"news"}, everything])

    def test_removed(self) -> None:
        """A removed channel is forgotten with its subscriptions; added again it is new."""
        self.board.subscribe("a", "jobs", self.hear)
        self.board.subscribe("a", "mail", self.hear)
        self.board.mute_channels("jobs")
        self.board.remove_channels(["jobs", "mail"])
        self.assertEqual((self.board.channels(), self.board.subscribers()), ({}, {}))
        self.assertEqual(self.changes[-1], frozenset())
        self.board.add_channels("jobs")
        self.assertEqual((self.ring("jobs"), self.board.muted_channels()), ([], frozenset()))

    def test_added_twice(self) -> None:
        """Adding a channel that is there changes nothing, not even its mute."""
        self.board.subscribe("a", "jobs", self.hear)
        self.board.mute_channels("jobs")
        self.board.add_channels(["jobs", "jobs"])
        self.assertEqual(self.board.muted_channels(), {"jobs"})

    def test_told_after_the_change(self) -> None:
        """The listener finds the switchboard as it is after the whole change."""
        seen: list[object] = []
        self.board.on_change = lambda active: seen.append((active, self.board.active_channels))
        self.board.observe(broken, ["jobs", "mail"])
        self.assertEqual(seen, [({"jobs", "mail"}, {"jobs", "mail"})])

    def test_nobody_told(self) -> None:
        """A switchboard alone, with no listener, works too."""
        self.board.on_change = None
        self.board.subscribe("a", "jobs", self.hear)
        self.assertEqual(self.ring("jobs"), ["a"])


class SnapshotTests(Base):
    """What there is can be asked for, and what is returned is the caller's."""

    def setUp(self) -> None:
        """Set up a channel of each kind."""
        super().setUp()
        self.board.subscribe("a", "jobs", self.hear)
        self.board.subscribe("b", "jobs", self.hear)
        self.board.subscribe("a", "mail", self.hear)
        self.board.observe(broken, "loop")
        self.board.add_channels("idle")
        self.board.mute_channels("mail")
        self.board.mute_subscriber("b")

    def test_channels(self) -> None:
        """Each channel says whether it is muted and active, and who subscribes to it."""
        self.assertEqual(
            self.board.channels(),
            {
                "jobs": {
                    "muted": False,
                    "active": True,
                    "subscribers": {"a": {"muted": False}, "b": {"muted": True}},
                },
                "mail": {"muted": True, "active": False, "subscribers": {"a": {"muted": False}}},
                "loop": {"muted": False, "active": True, "subscribers": {}},
                "idle": {"muted": False, "active": False, "subscribers": {}},
            },
        )

    def test_subscribers(self) -> None:
        """Each subscriber says on which channels it is muted, and on which it would be called."""
        self.assertEqual(
            self.board.subscribers(),
            {
                "a": {
                    "jobs": {"muted": False, "active": True},
                    "mail": {"muted": False, "active": False},
                },
                "b": {"jobs": {"muted": True, "active": False}},
            },
        )

    def test_independent(self) -> None:
        """Whoever changes a snapshot changes nothing else."""
        channels, subscribers = self.board.channels(), self.board.subscribers()
        channels["jobs"]["subscribers"].clear()
        channels.clear()
        subscribers["a"].clear()
        self.board.muted_subscribers().clear()
        self.assertEqual(sorted(self.board.channels()), ["idle", "jobs", "loop", "mail"])
        self.assertEqual(sorted(self.board.channels()["jobs"]["subscribers"]), ["a", "b"])
        self.assertEqual(sorted(self.board.subscribers()["a"]), ["jobs", "mail"])
        self.assertEqual(self.board.muted_subscribers(), {"b": {"jobs"}})
