"""
The listener: a service that listens to PostgreSQL, and comes back after every loss.

This is its face. What it does is in :mod:`txdoorbell.listening.lifecycle` (its states) and
:mod:`txdoorbell.listening.hearing` (one session).
"""

import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from txdoorbell.listening.backoff import backoff_policy
from txdoorbell.listening.driver import DriverMissing
from txdoorbell.listening.dsn import check_dsn
from txdoorbell.listening.lockdesk import LockDesk
from txdoorbell.listening.queuewatch import QueueWatch
from txdoorbell.listening.source import SessionSource, several_channels
from txdoorbell.notification import (
    Audience,
    GroupAudience,
    Hearable,
)

if TYPE_CHECKING:
    import txdoorbell.fleet.locking
    from txdoorbell.listening.hearing import HearingSession
    from txdoorbell.listening.lifecycle import Life
    from txdoorbell.listening.ringer import Ringer

__all__ = ["DriverMissing", "Listener", "check_dsn"]

_BACKOFF = backoff_policy()


class Listener(SessionSource):
    """
    A :class:`txdoorbell.notification.Source` on one PostgreSQL session of its own.

    Started, it connects and commits LISTEN, for ever: a connection that is refused or lost is
    made anew after a growing delay. It is ``listening`` from the commit on. A second, short-lived
    connection then rings a private channel, at once and each ``probe_interval``. A ring that could
    not be sent makes the state ``deaf`` until one is heard. One that was sent and not heard makes
    it deaf too, and the session is made anew; the state stays deaf, whatever the new session's
    LISTEN says, until a ring is heard.

    Each change of state is one line in the log; attempts that fail alike are one line together. No
    password is in any line, failure or ``repr``.

    :param dsn: a libpq connection string or URI; what it leaves out comes from the environment.
    :param channels: the channels wanted at first, as for :meth:`set_channels`.
    :param connect_timeout: seconds for connecting, looking up names included.
    :param query_timeout: seconds for LISTEN, and for each other query.
    :param heartbeat: seconds of silence after which the server is asked a question; 0 for never.
    :param heartbeat_timeout: seconds in which it must answer, then and before each probe.
    :param probe_interval: seconds between two probes; 0 for only one per session.
    :param probe_timeout: seconds in which a probe must be sent, and again for it to be heard.
    :param backoff: from the number of failures in a row to the seconds until the next attempt;
        a LISTEN that is committed ends the row.
    :param name: what the log calls it, and its name as a service; None for "listener" and no name.
    :param host: what leases call this host; None for its own name.
    :ivar host: the same, never None.
    :raises TypeError: for a host that is no str.
    :raises ValueError: for a DSN that can't be parsed, a channel that can't be, a number of seconds
        that can't be, a host without a name or with a NUL in it.
    :raises DriverMissing: without psycopg2 or txpostgres.
    """

    def __init__(
        self,
        reactor: Any,
        dsn: str = "",
        *,
        channels: Iterable[str] = (),
        connect_timeout: float = 10.0,
        query_timeout: float = 5.0,
        heartbeat: float = 10.0,
        heartbeat_timeout: float = 5.0,
        probe_interval: float = 60.0,
        probe_timeout: float = 5.0,
        backoff: Callable[[int], float] = _BACKOFF,
        name: str | None = None,
        host: str | None = None,
    ) -> None:
        beats = heartbeat, heartbeat_timeout, probe_interval, probe_timeout
        seconds = connect_timeout, query_timeout, *beats
        super().__init__(reactor, dsn, seconds, backoff, name, "listener")
        self._watch = QueueWatch(query_timeout)
        self.host = _host_name(host)
        self._desk = LockDesk(self._announcer)
        self.set_channels(channels)

    @property
    def channels(self) -> frozenset[str]:
        """The channels that are wanted."""
        return self._core.wanted

    @property
    def queue_usage(self) -> float | None:
        """How full the server's notification queue was at the last probe, 0 to 1; None before."""
        return self._core.queue_usage

    def set_channels(self, channels: Iterable[str]) -> None:
        """
        Want these channels and no others; LISTEN and UNLISTEN follow on the live session.

        :raises TypeError: for a name that is no str, and for a str in place of several names.
        :raises ValueError: for a name that PostgreSQL would not take; then nothing is changed.
        """
        self._life.want(several_channels(channels))

    def serve_locks(
        self, audience: "txdoorbell.fleet.locking.LockAudience", interval: float
    ) -> None:
        """
        Make each session fit for locks, from now on.

        The server is then asked a question each so many seconds, or sooner, whatever is heard
        meanwhile; and it ends a session that asks nothing for three times as long.

        :param audience: told of each session on which locks can be tried for, and of its end.
        :param interval: seconds, above 0.
        """
        self._desk.serve(audience, interval)

    def _new_ringer(self) -> "Ringer":
        from txdoorbell.listening.ringer import Ringer

        return Ringer(self._reactor, self._connector, self._timing.query_timeout)

    def _open_session(self, life: "Life", channels: frozenset[str]) -> "HearingSession":
        from txdoorbell.listening.hearing import HearingSession

        return HearingSession(
            self._reactor,
            self._connector,
            self._timing,
            self._backoff,
            self._announcer,
            self._watch,
            _observer(self._core.audience),
            channels,
            life,
            self._desk,
            self.host,
        )


def _host_name(given: str | None) -> str:
    if given is None:
        return socket.gethostname() or "localhost"
    if not isinstance(given, str):
        raise TypeError(f"the name of a host must be a str, not {type(given).__name__}")
    if not given or "\0" in given:
        raise ValueError(f"host {given!r} is no name")
    return given


def _observer(audience: Audience | None) -> Callable[[Hearable], object]:
    from txdoorbell.listening.inbox import Taking

    if audience is None:
        return _nobody
    if not isinstance(audience, GroupAudience):
        return audience.notified
    return Taking(audience.notified, audience.notified_all, audience.heard_all)


def _nobody(notification: Hearable) -> None:
    """Hear a notification for nobody."""
