"""What ``twistd doorbell`` runs when it is given no function: it prints what rang."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from txdoorbell.notification import Hearable

__all__ = ["Sample"]


class Sample:
    """
    A processing function that prints the notifications that rang it.

    As every function it runs once for all that came before the run. It says so for those that it
    does not print one by one.

    :param write: takes a line.
    :param limit: how many are printed one by one, the last ones.
    """

    def __init__(self, write: Callable[[str], object] = print, limit: int = 10) -> None:
        self._write = write
        self._count = 0
        self._last: deque[Hearable] = deque(maxlen=limit)

    def hint(self, notification: Hearable) -> None:
        """Take note of what rings, before the run."""
        self._count += 1
        self._last.append(notification)

    def __call__(self) -> None:
        """Print what has rung since the last run; nothing when nothing has."""
        unprinted = self._count - len(self._last)
        if unprinted:
            self._write(f"{unprinted} more rings, and then:")
        for heard in self._last:
            payload = f"payload {heard.payload!r}" if heard.payload else "no payload"
            self._write(f"{heard.channel!r} rang: {payload}, sent by pid {heard.pid}")
        self._count = 0
        self._last.clear()
