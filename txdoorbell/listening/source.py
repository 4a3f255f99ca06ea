"""What the sources have in common that live on sessions of their own with a server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail

from txdoorbell.listening.announcer import Announcer
from txdoorbell.listening.core import Core
from txdoorbell.listening.dsn import Dsn
from txdoorbell.listening.logbook import Logbook
from txdoorbell.notification import (
    Audience,
    ListenerStopped,
    State,
    check_channel,
    check_payload,
)

if TYPE_CHECKING:
    from txdoorbell.listening.lifecycle import Life, LiveSession
    from txdoorbell.listening.ringer import Ringer

__all__ = ["SessionSource", "several_channels"]


class SessionSource(Service):
    """
    The face of a :class:`txdoorbell.listening.lifecycle.Life`: a service that comes back.

    A subclass says what a session is, and what rings.

    :param seconds: those of a :class:`txdoorbell.listening.connector.Timing`, in its order.
    :param backoff: from the number of failures in a row to the seconds until the next attempt.
    :param name: what the log calls it, and its name as a service; None for none.
    :param otherwise: what the log calls it then.
    """

    def __init__(
        self,
        reactor: Any,
        dsn: str,
        seconds: Iterable[float],
        backoff: Callable[[int], float],
        name: str | None,
        otherwise: str,
    ) -> None:
        from txdoorbell.listening.connector import Connector, Timing
        from txdoorbell.listening.lifecycle import new_life
        from txdoorbell.listening.resolver import Resolver

        self._reactor = reactor
        self._timing = timing = Timing(*seconds)
        self._backoff = backoff
        self._dsn = Dsn(dsn)
        self._announcer = Announcer(reactor)
        self._connector = Connector(reactor, self._dsn, Resolver(reactor), timing)
        self._ringer: Ringer | None = None
        logbook = Logbook(name or otherwise, lambda: self._dsn.description)
        self._core = Core(reactor, self._open_session, backoff, self._announcer, logbook)
        self._life = new_life(self._core)
        if name is not None:
            self.setName(name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.description}, {self.state}>"

    @property
    def state(self) -> State:
        """What it is doing now."""
        return self._core.state

    @property
    def reason(self) -> str:
        """Why it is in that state, in one line: often an error's text, and what to run."""
        return self._core.reason

    @property
    def description(self) -> str:
        """Where it listens: ``host:port/database as user``."""
        return self._dsn.description

    @property
    def probe_latency(self) -> float | None:
        """Seconds that the last probe took to be heard; None before the first."""
        return self._core.probe_latency

    def report_to(self, audience: Audience) -> None:
        """Take the one audience, before the service is started."""
        self._core.audience = audience

    def when_listening(self) -> Deferred[None]:
        """
        Return a fresh Deferred that fires once all that is wanted is heard.

        Before the first start it waits for that. It fails with
        :exc:`~txdoorbell.notification.ListenerStopped` when the service is stopped first, and at
        once when it has been stopped.
        """
        return self._life.when_listening()

    def notify(self, channel: str, payload: str = "") -> Deferred[None]:
        """
        Ring a channel, from a connection that is opened on demand and kept for a few seconds.

        :returns: a fresh Deferred that fires once the ring is committed. It fails when that isn't
            known to have happened, with :exc:`~txdoorbell.notification.ListenerStopped` unless the
            service runs.
        :raises TypeError: for a channel or payload that is no str.
        :raises ValueError: for a channel or payload that PostgreSQL would not take.
        """
        check_channel(channel)
        check_payload(payload)
        if self._ringer is None:
            return fail(ListenerStopped("the listener is stopped"))
        return self._ringer.notify(channel, payload)

    def probe(self) -> Deferred[float]:
        """
        Ring the private channel now, or share in a probe that is under way.

        :returns: a fresh Deferred with the seconds from sending to hearing. It fails with
            :exc:`~txdoorbell.listening.probe.ProbeFailed`, and with
            :exc:`~txdoorbell.notification.ListenerStopped` unless the service runs. Either way
            conclusions are drawn, as from any other probe.
        """
        return self._life.probe()

    def startService(self) -> None:
        """Begin to listen, and go on for ever."""
        super().startService()
        if self._ringer is None:
            self._ringer = self._new_ringer()
        self._life.start()

    def stopService(self) -> Deferred[None]:
        """
        Stop at once, whatever is going on.

        :returns: fires when no descriptor, delayed call or reader is left, and the audience has
            been told.
        """
        super().stopService()
        self._life.stop()
        ringer, self._ringer = self._ringer, None
        if ringer is not None:
            ringer.close()
        settled = self._connector.when_settled()
        return settled.addCallback(lambda _: self._announcer.when_quiet())

    def _new_ringer(self) -> Ringer:
        raise NotImplementedError

    def _open_session(self, life: Life, wanted: frozenset[str]) -> LiveSession:
        raise NotImplementedError


def several_channels(channels: Iterable[str]) -> frozenset[str]:
    """
    Return channels that PostgreSQL would take.

    :raises TypeError: for a name that is no str, and for a str in place of several names.
    :raises ValueError: for a name that PostgreSQL would not take.
    """
    if isinstance(channels, str):
        raise TypeError(f"channels must be several names, not the str {channels!r}")
    return frozenset(map(check_channel, channels))
