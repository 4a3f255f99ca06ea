"""
Who hears what: channels, their hearers, and which channels need a LISTEN.

Pure data and dispatch: no I/O, no reactor. As usual, it is used from the reactor's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any

from twisted.python.reflect import safe_repr

from txdoorbell.notification import Hearable, check_channel, check_channels
from txdoorbell.ringing.line import (
    ChannelView,
    Hearer,
    Line,
    Observer,
    Several,
    Subscriber,
    SubscriptionView,
)

__all__ = ["ChannelView", "Observer", "Subscriber", "SubscriptionView", "Switchboard"]


class Switchboard:
    """
    Channels, and who hears them: any number of subscribers and observers on each.

    A *subscriber* is a function under an id of the user's; it gets the payload decoded, and can be
    muted. An *observer* gets the notification as it came: that is how loops are rung. Both hear.
    Each call here does all that it says, or raises and changes nothing.

    :ivar on_change: called with :attr:`active_channels`, once after each call that has changed
        them; None for nobody.
    """

    def __init__(self) -> None:
        self.on_change: Callable[[frozenset[str]], None] | None = None
        self._lines: dict[str, Line] = {}
        self._subscriptions: dict[Hashable, dict[str, Hearer]] = {}
        self._active: frozenset[str] = frozenset()

    @property
    def active_channels(self) -> frozenset[str]:
        """The channels that need a LISTEN: not muted, and heard by somebody not muted."""
        return self._active

    def add_channels(self, names: str | Iterable[str]) -> None:
        """
        Add channels; one that is there already stays as it is.

        :param names: one str, or several.
        :raises TypeError: for a name that is no str.
        :raises ValueError: for a name that PostgreSQL would not take whole.
        """
        for name in check_channels(names):
            self._lines.setdefault(name, Line(name))

    def remove_channels(self, names: str | Iterable[str]) -> None:
        """
        Remove channels, and all that subscribe to them or observe them.

        :param names: one str, or several.
        :raises KeyError: for a channel that isn't there.
        """
        lines = self._known(names)
        for line in lines:
            for hearer in tuple(line.hearers.values()):
                self._hang_up(line, hearer)
            del self._lines[line.name]
        self._settle(lines)

    def subscribe(
        self,
        id: Hashable,  # noqa: A002 - the public name
        channel: str,
        function: Subscriber,
    ) -> None:
        """
        Call a function for each notification on a channel; the channel is added when it is new.

        Whoever is subscribed under this id already gets the new function, and keeps its place and
        its mute. An error of the function goes to ``log.err``, as does one of the Deferred or the
        coroutine that it returns, which nobody waits for.

        :param function: called with the id, the channel, the decoded payload and the sender's pid.
        :raises TypeError: for an id that isn't hashable, or a function that can't be called.
        :raises ValueError: for a channel that PostgreSQL would not take whole.
        """
        hearer = Hearer(_hashable("subscriber id", id), _callable(function), observes=False)
        line = self._lines.setdefault(check_channel(channel), Line(channel))
        self._subscriptions.setdefault(id, {})[channel] = line.plug_in(hearer)
        self._settle([line])

    def unsubscribe(self, id: Hashable, channel: str) -> None:  # noqa: A002 - the public name
        """
        Stop calling a subscriber for a channel: not once more, even in a dispatch under way.

        :raises KeyError: when this id isn't subscribed to this channel.
        """
        ((line, hearer),) = self._subscribed(id, check_channel(channel))
        self._hang_up(line, hearer)
        self._settle([line])

    def observe(
        self, observer: Observer, channels: str | Iterable[str], several: Several | None = None
    ) -> None:
        """
        Call an observer for each notification on these channels too; new ones are added.

        :param observer: an error of it goes to ``log.err``.
        :param channels: one str, or several. One that it observes already stays as it is.
        :param several: called in its place with a row of a channel that nobody else hears.
        :raises TypeError: for an observer that can't be called or isn't hashable.
        """
        _hashable("observer", _callable(observer))
        lines = [self._lines.setdefault(name, Line(name)) for name in check_channels(channels)]
        for line in lines:
            line.plug_in(Hearer(observer, observer, True, several))
        self._settle(lines)

    def unobserve(self, observer: Observer, channels: str | Iterable[str] = ()) -> None:
        """
        Stop calling an observer for channels.

        :param channels: one str, or several. Nothing given: all that it observes, perhaps none.
        :raises KeyError: when it doesn't observe one of the channels given.
        """
        key = (True, observer)
        lines = self._known(channels) or [
            line for line in self._lines.values() if key in line.hearers
        ]
        for line in lines:
            if key not in line.hearers:
                raise KeyError(f"{safe_repr(observer)} doesn't observe channel {line.name!r}")
        for line in lines:
            self._hang_up(line, line.hearers[key])
        self._settle(lines)

    def mute_channels(self, names: str | Iterable[str] = ()) -> None:
        """
        Call nobody for these channels until they are unmuted.

        :param names: one str, or several. Nothing given: all that there are now.
        :raises KeyError: for a channel that isn't there.
        """
        self._mute_channels(names, True)

    def unmute_channels(self, names: str | Iterable[str] = ()) -> None:
        """
        Undo :meth:`mute_channels`; what was rung meanwhile is not made good.

        :param names: one str, or several. Nothing given: all.
        :raises KeyError: for a channel that isn't there.
        """
        self._mute_channels(names, False)

    def mute_subscriber(
        self,
        id: Hashable,  # noqa: A002 - the public name
        channels: str | Iterable[str] = (),
    ) -> None:
        """
        Don't call a subscriber for these channels until it is unmuted.

        :param channels: one str, or several. Nothing given: all that it is subscribed to now.
        :raises KeyError: for an id that isn't subscribed, to one of the channels or at all.
        """
        self._mute_subscriber(id, channels, True)

    def unmute_subscriber(
        self,
        id: Hashable,  # noqa: A002 - the public name
        channels: str | Iterable[str] = (),
    ) -> None:
        """
        Undo :meth:`mute_subscriber`; what was rung meanwhile is not made good.

        :param channels: one str, or several. Nothing given: all that it is subscribed to.
        :raises KeyError: for an id that isn't subscribed, to one of the channels or at all.
        """
        self._mute_subscriber(id, channels, False)

    def channels(self) -> dict[str, ChannelView]:
        """Return all channels by name, with their subscribers; the caller's to keep."""
        return {name: line.view() for name, line in self._lines.items()}

    def counts(self) -> dict[str, int]:
        """Return how many notifications there were on each channel since it was added."""
        return {name: line.rung for name, line in self._lines.items()}

    def subscribers(self) -> dict[Hashable, dict[str, SubscriptionView]]:
        """Return all subscribers by id, with their channels; the caller's to keep."""
        return {
            id_: {
                name: SubscriptionView(muted=hearer.muted, active=self._lines[name].hears(hearer))
                for name, hearer in channels.items()
            }
            for id_, channels in self._subscriptions.items()
        }

    def muted_channels(self) -> frozenset[str]:
        """Return the names of the channels that are muted."""
        return frozenset(name for name, line in self._lines.items() if line.muted)

    def non_muted_channels(self) -> frozenset[str]:
        """Return the names of the channels that aren't muted, heard by somebody or not."""
        return frozenset(name for name, line in self._lines.items() if not line.muted)

    def muted_subscribers(self) -> dict[Hashable, frozenset[str]]:
        """Return the channels on which a subscriber is muted, for each that is muted somewhere."""
        muted = {
            id_: frozenset(name for name, hearer in channels.items() if hearer.muted)
            for id_, channels in self._subscriptions.items()
        }
        return {id_: names for id_, names in muted.items() if names}

    def dispatch(self, notification: Hearable) -> None:
        """
        Give a notification to each hearer of its channel once, in the order in which they came.

        An error in one goes to ``log.err`` and stops no other. Hearers may change the switchboard
        meanwhile: one that is gone or muted before its turn isn't called, and one that is new hears
        from the next notification on. Nobody hears a channel that isn't there.
        """
        if (line := self._lines.get(notification.channel)) is not None:
            line.ring(notification)

    def dispatch_all(self, channel: str, notifications: Iterable[Hearable]) -> None:
        """Dispatch a row of one channel, gone through once: what comes of it is the same."""
        if channel in self._lines:
            self._lines[channel].ring_all(notifications)

    def _known(self, names: str | Iterable[str]) -> list[Line]:
        """Return the lines of these names, or raise for the first that isn't there."""
        checked = check_channels(names)
        for name in checked:
            if name not in self._lines:
                raise KeyError(f"there is no channel {name!r}")
        return [self._lines[name] for name in checked]

    def _subscribed(
        self, name: Hashable, channels: str | Iterable[str]
    ) -> list[tuple[Line, Hearer]]:
        """Return where a subscriber hears: these channels, or all of its own."""
        own = self._subscriptions.get(_hashable("subscriber id", name), {})
        wanted = check_channels(channels)
        for channel in wanted:
            if channel not in own:
                raise KeyError(f"{safe_repr(name)} isn't subscribed to channel {channel!r}")
        if not own:
            raise KeyError(f"{safe_repr(name)} isn't subscribed to any channel")
        return [(self._lines[channel], own[channel]) for channel in wanted or own]

    def _hang_up(self, line: Line, hearer: Hearer) -> None:
        line.hang_up(hearer)
        if hearer.observes:
            return
        own = self._subscriptions[hearer.id]
        del own[line.name]
        if not own:
            del self._subscriptions[hearer.id]

    def _mute_channels(self, names: str | Iterable[str], muted: bool) -> None:
        lines = self._known(names) or list(self._lines.values())
        for line in lines:
            line.mute(muted)
        self._settle(lines)

    def _mute_subscriber(self, name: Hashable, channels: str | Iterable[str], muted: bool) -> None:
        found = self._subscribed(name, channels)
        for line, hearer in found:
            line.mute_hearer(hearer, muted)
        self._settle([line for line, _ in found])

    def _settle(self, lines: list[Line]) -> None:
        """Bring the active channels up to date after a change of these lines, and tell of it."""
        changed = {line.name for line in lines}
        active = self._active - changed | {line.name for line in lines if line.active}
        if active != self._active:
            self._active = active
            if self.on_change is not None:
                self.on_change(active)


def _hashable(what: str, value: Hashable) -> Hashable:
    try:
        hash(value)
    except TypeError as error:
        raise TypeError(f"{what} {safe_repr(value)} isn't hashable: {error}") from None
    return value


def _callable(function: Any) -> Any:
    if not callable(function):
        raise TypeError(f"{safe_repr(function)} can't be called")
    return function
