"""
One line of the switchboard: a channel, those who hear it, and how they are rung.

Here a notification costs time, so whom to call is worked out once per change, not per notification.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable, Iterable, Iterator, Sequence
from typing import Any, Final, TypedDict

from twisted.internet.defer import Deferred
from twisted.python import log
from twisted.python.reflect import safe_repr

from txdoorbell.loops.bridge import from_coroutine
from txdoorbell.notification import Hearable, decode_payload

Subscriber = Callable[[Any, str, Any, int], object]
"""``function(id, channel, data, pid)``; ``data`` is one object for all who hear a notification."""

Observer = Callable[[Hearable], object]
"""``observer(notification)``, which gets the notification as it came."""

Several = Callable[[str, Sequence[Hearable]], object]
"""``several(channel, notifications)``, which gets those that came in a row, as they came."""

_UNREAD: Final = object()


class SubscriberView(TypedDict):
    """A subscriber as one channel sees it."""

    muted: bool


class ChannelView(TypedDict):
    """A channel as it stands; ``active`` is whether it needs a LISTEN."""

    muted: bool
    active: bool
    subscribers: dict[Hashable, SubscriberView]


class SubscriptionView(TypedDict):
    """A channel as one subscriber sees it; ``active`` is whether the function is called for it."""

    muted: bool
    active: bool


class Hearer:
    """
    A function on a line: a subscriber under an id of the user's, or an observer as its own id.

    :ivar key: what it is known by on its line.
    """

    __slots__ = ("function", "id", "key", "muted", "observes", "several")

    def __init__(
        self,
        name: Hashable,
        function: Callable[..., object],
        observes: bool,
        several: Several | None = None,
    ) -> None:
        self.id = name
        self.key = (observes, name)
        self.function = function
        self.observes = observes
        self.several = several
        self.muted = False


class Line:
    """
    A channel and its hearers.

    :ivar hearers: by key, in the order in which they came. Changed by the methods only.
    :ivar rung: how many notifications there were.
    """

    __slots__ = ("_plan", "hearers", "muted", "name", "rung")

    def __init__(self, name: str) -> None:
        self.name = name
        self.rung = 0
        self.muted = False
        self.hearers: dict[tuple[bool, Hashable], Hearer] = {}
        self._plan: tuple[Hearer, ...] | None = None

    @property
    def active(self) -> bool:
        """Whether anybody would be called."""
        return not self.muted and any(not hearer.muted for hearer in self.hearers.values())

    def hears(self, hearer: Hearer) -> bool:
        """Say whether this hearer would be called."""
        return not self.muted and not hearer.muted and self.hearers.get(hearer.key) is hearer

    def view(self) -> ChannelView:
        """Return how the channel stands, with its subscribers."""
        hearers = self.hearers.values()
        subscribers = {h.id: SubscriberView(muted=h.muted) for h in hearers if not h.observes}
        return {"muted": self.muted, "active": self.active, "subscribers": subscribers}

    def plug_in(self, hearer: Hearer) -> Hearer:
        """Add a hearer, or give its function to the one of that key; return the one in place."""
        present = self.hearers.setdefault(hearer.key, hearer)
        present.function = hearer.function
        self._plan = None
        return present

    def hang_up(self, hearer: Hearer) -> None:
        """Take a hearer away."""
        del self.hearers[hearer.key]
        self._plan = None

    def mute(self, muted: bool) -> None:
        """Call nobody, or again those who aren't muted themselves."""
        self.muted = muted
        self._plan = None

    def mute_hearer(self, hearer: Hearer, muted: bool) -> None:
        """Leave a hearer out, or call it again."""
        hearer.muted = muted
        self._plan = None

    def ring(self, notification: Hearable) -> None:
        """Call each hearer once, as :meth:`txdoorbell.switchboard.Switchboard.dispatch` says."""
        self.rung += 1
        plan = self._make_plan() if self._plan is None else self._plan
        data: object = _UNREAD
        for hearer in plan:
            # Another plan: a hearer has changed the line, perhaps hung this one up.
            if self._plan is not plan and not self.hears(hearer):
                continue
            try:
                if hearer.observes:
                    result = hearer.function(notification)
                else:
                    if data is _UNREAD:
                        data = decode_payload(notification.payload)
                    result = hearer.function(hearer.id, self.name, data, notification.pid)
                if result is not None:
                    self._look_after(result, hearer)
            except Exception:  # noqa: BLE001 - one hearer's error is logged and stops no other
                log.err(None, self._complaint(hearer))

    def _make_plan(self) -> tuple[Hearer, ...]:
        self._plan = tuple(filter(self.hears, self.hearers.values()))
        return self._plan

    def ring_all(self, notifications: Iterable[Hearable]) -> None:
        """Do as :meth:`ring` for each of several, sooner where there is but one to call."""
        plan = self._make_plan() if self._plan is None else self._plan
        rest = iter(notifications)
        if len(plan) == 1:
            [hearer] = plan
            if hearer.several is not None:
                row = list(rest)
                self.rung += len(row)
                try:
                    hearer.several(self.name, row)
                except Exception:  # noqa: BLE001 - as above
                    log.err(None, self._complaint(hearer))
            elif not hearer.observes:
                self._tell(hearer, rest)
        for notification in rest:
            self.ring(notification)

    def _tell(self, hearer: Hearer, rest: Iterator[Hearable]) -> None:
        """Call the one subscriber of this line for each, until the line is changed."""
        plan, name, id_, function = self._plan, self.name, hearer.id, hearer.function
        while self._plan is plan:
            try:
                for notification in rest:
                    self.rung += 1
                    data = decode_payload(notification.payload)
                    result = function(id_, name, data, notification.pid)
                    if result is not None:
                        self._look_after(result, hearer)
                    if self._plan is not plan:
                        return
                return
            except Exception:  # noqa: BLE001 - as above
                log.err(None, self._complaint(hearer))

    def _look_after(self, result: object, hearer: Hearer) -> None:
        if isinstance(result, Coroutine):
            result = from_coroutine(result)
        if isinstance(result, Deferred):
            complaint = self._complaint(hearer)
            result.addErrback(lambda failure: log.err(failure, complaint))

    def _complaint(self, hearer: Hearer) -> str:
        kind = "observer" if hearer.observes else "subscriber"
        return f"{kind} {safe_repr(hearer.id)} failed on channel {self.name!r}"
