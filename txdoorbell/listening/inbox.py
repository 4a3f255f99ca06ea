"""What collects notifications while the socket is read, and hands them on at once."""

from collections.abc import Callable, Sequence

from twisted.python import log

from txdoorbell.notification import Hearable

__all__ = ["Inbox"]

Observer = Callable[[Hearable], object]


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

    def deliver(self, observers: Sequence[Observer]) -> None:
        """
        Hand what has arrived to each observer, in order of commit.

        An observer's error goes to ``log.err`` and stops nobody.
        """
        if not self._arrived:
            return
        batch = self._batch = self._arrived
        self._renew()
        observe = observers[0] if len(observers) == 1 else _to_each(observers)
        reserved, aside = self._reserved
        arriving = iter(batch)
        while batch:
            try:
                # All that is heard passes here: one call for each.
                for notification in arriving:
                    (aside if notification.channel == reserved else observe)(notification)
                return
            except Exception:  # noqa: BLE001 - the observer is anybody's
                log.err(None, "An observer of notifications failed")

    def drop(self) -> None:
        """Forget what has arrived and is not delivered yet, in the midst of a delivery too."""
        self._batch.clear()
        self._renew()


def _to_each(observers: Sequence[Observer]) -> Observer:
    def observe(notification: Hearable) -> None:
        for observer in observers:
            try:
                observer(notification)
            except Exception:  # noqa: BLE001 - as above
                log.err(None, "An observer of notifications failed")

    return observe
