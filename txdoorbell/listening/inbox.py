"""What collects notifications while the socket is read, and hands them on at once."""

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import groupby
from operator import attrgetter

from twisted.python import log

from txdoorbell.notification import Hearable

__all__ = ["Inbox", "Observer", "Taking"]

Observer = Callable[[Hearable], object]

_Several = Callable[[str, Iterable[Hearable]], object]
_CHANNEL = attrgetter("channel")


class Taking:
    """
    An observer that can take several notifications at once.

    :param one: called with a notification.
    :param several: called with a channel and its notifications that came in a row, which can be
        gone through once.
    :param end: called when all that came at once has been handed on.
    """

    __slots__ = ("end", "one", "several")

    def __init__(self, one: Observer, several: _Several, end: Callable[[], object]) -> None:
        self.one = one
        self.several = several
        self.end = end

    def __call__(self, notification: Hearable) -> None:
        """Take one notification."""
        self.one(notification)


class Inbox:
    """
    A container that stands in the place of psycopg2's ``connection.notifies``.

    psycopg2 looks ``append`` up for each batch, and silently drops a notification for which it
    fails. So it is a list's own, which doesn't, and costs no call of Python code.
    """

    __slots__ = ("_arrived", "_batch", "_reserved", "append")

    def __init__(self) -> None:
        self._batch: list[Hearable] = []
        self._reserved: tuple[str, Observer] = "", log.msg
        self._renew()

    def _renew(self) -> None:
        self._arrived: list[Hearable] = []
        self.append = self._arrived.append

    def reserve(self, channel: str, observer: Observer) -> None:
        """Give what comes on one channel to an observer of its own, in place of all others."""
        self._reserved = channel, observer

    def deliver(self, observers: Collection[Observer]) -> None:
        """
        Hand what has arrived to each observer, in order of commit.

        An observer's error goes to ``log.err`` and stops nobody. Where a :class:`Taking` is the
        only observer, what one channel has in a row is handed to it in one call.
        """
        if not self._arrived:
            return
        batch = self._batch = self._arrived
        self._renew()
        several, end = _several(observers)
        reserved, aside = self._reserved
        rows = _rows(batch) if len(batch) > 1 else ((batch[0].channel, batch),)
        for channel, notifications in rows:
            try:
                if channel == reserved:
                    _one_by_one(aside)(channel, notifications)
                else:
                    several(channel, notifications)
            except Exception:  # noqa: BLE001 - whoever fails, the others are told
                log.err(None, "An observer of notifications failed")
        try:
            end()
        except Exception:  # noqa: BLE001 - the same
            log.err(None, "An observer of notifications failed")

    def drop(self) -> None:
        """Forget what has arrived and is not delivered yet, in the midst of a delivery too."""
        self._batch.clear()
        self._renew()


def _rows(batch: Sequence[Hearable]) -> Iterable[tuple[str, Iterable[Hearable]]]:
    """Return each channel with what it has in a row."""
    # All that is heard passes here, so it passes in C; most storms are of one channel.
    first = batch[0].channel
    if list(map(_CHANNEL, batch)).count(first) == len(batch):
        return ((first, batch),)
    return groupby(batch, _CHANNEL)


def _several(observers: Collection[Observer]) -> tuple[_Several, Callable[[], object]]:
    """Return what takes a group, and what to call after the last one."""
    if len(observers) == 1:
        [observer] = observers
        if isinstance(observer, Taking):
            return observer.several, observer.end
        return _one_by_one(observer), _nothing
    return _one_by_one(_to_each(tuple(observers))), _nothing


def _nothing() -> None:
    """Do nothing."""


def _one_by_one(observe: Observer) -> _Several:
    def observe_all(channel: str, notifications: Iterable[Hearable]) -> None:
        rest = iter(notifications)
        while True:
            try:
                for notification in rest:
                    observe(notification)
                return
            except Exception:  # noqa: BLE001 - the observer is anybody's
                log.err(None, "An observer of notifications failed")

    return observe_all


def _to_each(observers: Sequence[Observer]) -> Observer:
    def observe(notification: Hearable) -> None:
        for observer in observers:
            try:
                observer(notification)
            except Exception:  # noqa: BLE001 - as above
                log.err(None, "An observer of notifications failed")

    return observe
