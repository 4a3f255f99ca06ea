"""What a listener knows across its sessions, and whom it tells."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from txdoorbell.listening.announcer import Announcer
from txdoorbell.listening.logbook import Logbook
from txdoorbell.notification import Audience, ListenerStopped, State

if TYPE_CHECKING:
    from txdoorbell.listening.lifecycle import Life, LiveSession

__all__ = ["Core"]


@dataclass
class Core:
    """
    The data of the machine in :mod:`txdoorbell.listening.lifecycle`.

    Everybody is told in a later turn of the reactor: never inside a transition.

    :param open_session: makes a session that reports to the machine; it isn't started yet.
    :param backoff: from the number of failures in a row to seconds until the next attempt.
    """

    reactor: IReactorTime
    open_session: "Callable[[Life, frozenset[str]], LiveSession]"
    backoff: Callable[[int], float]
    announcer: Announcer
    logbook: Logbook

    audience: Audience | None = None
    wanted: frozenset[str] = frozenset()
    state: State = State.STOPPED
    reason: str = "not started"
    failures: int = 0
    probe_latency: float | None = None
    queue_usage: float | None = None
    waiters: list[Deferred[None]] = field(default_factory=list)

    def enter(self, state: State, reason: str) -> None:
        """Be in a state, for a reason; the audience is told when it is another one."""
        previous, self.state, self.reason = self.state, state, reason
        self.logbook.note(state, reason, self.wanted)
        audience = self.audience
        if state is not previous and audience is not None:
            self.announcer.later(lambda: audience.state_changed(state, reason))

    def tell_listening(self, channels: frozenset[str], *, fresh: bool) -> None:
        """Tell the audience that LISTEN has been committed."""
        audience = self.audience
        if audience is not None:
            self.announcer.later(lambda: audience.listening(channels, fresh))

    def measure(self, session: "LiveSession") -> None:
        """Keep what the last probe found, and of what it did not find what was known before."""
        if session.latency is not None:
            self.probe_latency = session.latency
        if session.queue_usage is not None:
            self.queue_usage = session.queue_usage

    def when_in_step(self, session: "LiveSession | None" = None) -> Deferred[None]:
        """Return a fresh Deferred that fires once a session listens to what is wanted."""
        if session is not None and session.committed == self.wanted:
            return succeed(None)
        self.waiters.append(Deferred())
        return self.waiters[-1]

    def settle(self, session: "LiveSession") -> None:
        """Tell those who wait, if the session listens to what is wanted."""
        if session.committed == self.wanted:
            self._release(lambda waiter: waiter.callback(None))

    def stop(self) -> None:
        """Forget the past, and fail those who wait."""
        self.failures = 0
        self._release(lambda waiter: waiter.errback(ListenerStopped("the listener was stopped")))
        self.enter(State.STOPPED, "stopped")

    def _release(self, fire: Callable[[Deferred[None]], None]) -> None:
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            self.announcer.later(partial(fire, waiter))
