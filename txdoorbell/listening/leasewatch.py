"""The end of a lease: a session with locks is ended before its server may free them."""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from txdoorbell.clocks import EARLY
from txdoorbell.listening.locktiming import LockTiming
from txdoorbell.listening.session import Session

__all__ = ["LeaseWatch"]


class LeaseWatch:
    """
    Ends a session when no question was answered for so long that its locks aren't safe any more.

    :param needed: says whether there is any lock to lose.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        session: Session,
        timing: LockTiming,
        needed: Callable[[], bool],
    ) -> None:
        self._reactor = reactor
        self._now = session.dialogue.now
        self._session = session
        self._timing = timing
        self._needed = needed
        self._timer: IDelayedCall | None = None

    @property
    def safe_until(self) -> float:
        """Until when the server can't have freed a lock, on the clock of the dialogue."""
        return self._session.dialogue.last_answered + self._timing.lease

    def is_safe(self) -> bool:
        """Say whether what is held is held for certain; when not, the session has been ended."""
        if self._now() < self.safe_until:
            return True
        self._expire()
        return False

    def start(self) -> None:
        """Begin to watch; nothing when that has begun."""
        if self._timer is None:
            self._wait()

    def stop(self) -> None:
        """Watch no more."""
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _wait(self) -> None:
        left = max(0.0, self.safe_until - self._now())
        self._timer = self._reactor.callLater(left, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._needed():
            return
        if self._now() >= self.safe_until - EARLY:
            self._expire()
        else:
            self._wait()

    def _expire(self) -> None:
        self._session.end(
            f"the lease on its locks has run out: no question to the server was answered for "
            f"{self._timing.lease:g} s, and it may free them in {self._timing.timeout:g} s"
        )
