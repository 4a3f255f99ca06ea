"""What a listener knows of locks across its sessions, and whom it tells of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.logger import Logger

from txdoorbell.listening.announcer import Announcer

if TYPE_CHECKING:
    from txdoorbell.fleet.locking import LockAudience, LockSession

__all__ = ["LockDesk"]


class LockDesk:
    """
    Passes on, in a later turn of the reactor, which session there is for locks.

    :ivar interval: seconds between two questions to the server; None while nobody wants locks.
    :ivar on_serve: called when locks are wanted from now on, by the session that there is; None for
        nobody.
    """

    log = Logger()

    def __init__(self, announcer: Announcer) -> None:
        self.interval: float | None = None
        self.on_serve: Callable[[], None] | None = None
        self._announcer = announcer
        self._audience: LockAudience | None = None
        self._warned: set[str] = set()

    def serve(self, audience: LockAudience, interval: float) -> None:
        """Want locks from now on."""
        self._audience = audience
        self.interval = interval
        if self.on_serve is not None:
            self.on_serve()

    def room(self) -> int | None:
        """Ask how many more locks may be got; None for any number."""
        return None if self._audience is None else self._audience.room()

    def opened(self, session: LockSession) -> None:
        """Pass on that there is a session for locks."""
        audience = self._audience
        if audience is not None:
            self._announcer.later(lambda: audience.opened(session))

    def closed(self, reason: str) -> None:
        """Pass on that there is none any more."""
        audience = self._audience
        if audience is not None:
            self._announcer.later(lambda: audience.closed(reason))

    def undone(self, name: str) -> None:
        """Pass on that a lock was lost on a session that lives on."""
        audience = self._audience
        if audience is not None:
            self._announcer.later(lambda: audience.undone(name))

    def warn_once(self, text: str) -> None:
        """Log a warning, once for each text."""
        if text not in self._warned:
            self._warned.add(text)
            self.log.warn("{text}", text=text)
