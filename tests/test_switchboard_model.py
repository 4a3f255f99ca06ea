"""The switchboard against a plain model of it, driven by any sequence of calls."""

from collections.abc import Callable, Hashable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from txdoorbell.notification import Hearable, Notification
from txdoorbell.switchboard import Switchboard


class Model(RuleBasedStateMachine):
    """A switchboard beside a plain model of it, driven by any sequence of calls."""

    ids = st.sampled_from([1, "a", ("b", 2)])
    names = st.sampled_from(["jobs", "mail", "news"])

    def __init__(self) -> None:
        super().__init__()
        self.board = Switchboard()
        self.board.on_change = self.told
        self.active: frozenset[str] = frozenset()
        self.muted: dict[str, bool] = {}
        self.subscriptions: dict[tuple[Hashable, str], bool] = {}
        self.observed: set[str] = set()
        self.heard: list[Hashable] = []

    def told(self, active: frozenset[str]) -> None:
        """Take what the listener would be told: always a change."""
        assert active != self.active
        self.active = active

    def hear(self, *call: Any) -> None:
        """Record an id."""
        self.heard.append(call[0])

    def watch(self, notification: Hearable) -> None:
        """Record a notification."""
        self.heard.append(notification.channel)

    def attempt(self, allowed: bool, call: Callable[[], None]) -> bool:
        """Make a call that must raise unless it is allowed."""
        try:
            call()
        except KeyError:
            assert not allowed
            return False
        assert allowed
        return True

    @rule(id_=ids, name=names)
    def subscribe(self, id_: Hashable, name: str) -> None:
        """Subscribe; keep a mute."""
        self.board.subscribe(id_, name, self.hear)
        self.muted.setdefault(name, False)
        self.subscriptions.setdefault((id_, name), False)

    @rule(id_=ids, name=names)
    def unsubscribe(self, id_: Hashable, name: str) -> None:
        """Unsubscribe, where subscribed."""
        key = (id_, name)
        if self.attempt(key in self.subscriptions, lambda: self.board.unsubscribe(*key)):
            del self.subscriptions[key]

    @rule(name=names)
    def observe(self, name: str) -> None:
        """Observe."""
        self.board.observe(self.watch, name)
        self.muted.setdefault(name, False)
        self.observed.add(name)

    @rule()
    def unobserve(self) -> None:
        """Observe no more."""
        self.board.unobserve(self.watch)
        self.observed.clear()

    @rule(name=names)
    def add(self, name: str) -> None:
        """Add a channel."""
        self.board.add_channels(name)
        self.muted.setdefault(name, False)

    @rule(wanted=st.lists(names, max_size=2))
    def remove(self, wanted: list[str]) -> None:
        """Remove channels, all or none."""
        allowed = all(name in self.muted for name in wanted)
        if self.attempt(allowed, lambda: self.board.remove_channels(wanted)):
            for name in set(wanted):
                del self.muted[name]
                self.observed.discard(name)
                for key in [key for key in self.subscriptions if key[1] == name]:
                    del self.subscriptions[key]

    @rule(wanted=st.lists(names, max_size=2), mute=st.booleans())
    def mute_channels(self, wanted: list[str], mute: bool) -> None:
        """Mute or unmute channels, all or none; nothing given is all."""
        call = self.board.mute_channels if mute else self.board.unmute_channels
        if self.attempt(all(name in self.muted for name in wanted), lambda: call(wanted)):
            self.muted.update(dict.fromkeys(wanted or self.muted, mute))

    @rule(id_=ids, wanted=st.lists(names, max_size=2), mute=st.booleans())
    def mute_subscriber(self, id_: Hashable, wanted: list[str], mute: bool) -> None:
        """Mute or unmute a subscriber, on all or some of its channels."""
        call = self.board.mute_subscriber if mute else self.board.unmute_subscriber
        own = [name for other, name in self.subscriptions if other == id_]
        allowed = bool(own) and set(wanted) <= set(own)
        if self.attempt(allowed, lambda: call(id_, wanted)):
            for name in wanted or own:
                self.subscriptions[id_, name] = mute

    @rule(name=names)
    def dispatch(self, name: str) -> None:
        """Dispatch: those hear it that the model says, each once."""
        self.heard.clear()
        self.board.dispatch(Notification(name))
        expected: list[Hashable] = []
        if self.muted.get(name) is False:
            expected = [
                i for (i, n), muted in self.subscriptions.items() if n == name and not muted
            ]
            expected += [name] * (name in self.observed)
        assert sorted(map(repr, self.heard)) == sorted(map(repr, expected))

    @invariant()
    def agrees(self) -> None:
        """The active channels and the snapshots are those of the model."""
        audible = {name for (_, name), muted in self.subscriptions.items() if not muted}
        unmuted = {name for name, muted in self.muted.items() if not muted}
        expected = unmuted & (audible | self.observed)
        assert self.board.active_channels == self.active == expected
        assert self.board.non_muted_channels() == unmuted
        assert {
            (id_, name): state["muted"]
            for id_, channels in self.board.subscribers().items()
            for name, state in channels.items()
        } == self.subscriptions
        channels = self.board.channels()
        assert {name: view["muted"] for name, view in channels.items()} == self.muted
        assert {name for name, view in channels.items() if view["active"]} == expected


class ModelTests(SynchronousTestCase):
    """The switchboard against a plain model of it."""

    def test_any_sequence(self) -> None:
        """After any sequence of calls, who hears what and what needs a LISTEN is as promised."""
        run_state_machine_as_test(Model, settings=settings(deadline=None, max_examples=100))
