"""
A drill: how soon a listener comes back, tried on a live installation.

All that is broken is the drill's own: it listens by itself, as a doorbell does, on private channels
and by a detour through this process. Nobody else's session or channel is touched.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred

from txdoorbell.clocks import monotonic_of
from txdoorbell.listener import Listener
from txdoorbell.listening.connector import Connector, Timing
from txdoorbell.listening.detour import Detour
from txdoorbell.listening.dsn import Dsn
from txdoorbell.listening.oneline import one_line
from txdoorbell.listening.probe import ProbeFailed
from txdoorbell.listening.resolver import LookupFailed, Resolver
from txdoorbell.listening.session import DatabaseError, SessionEnded, make_dsn
from txdoorbell.notification import Hearable, State

__all__ = ["HEADING", "Drill", "NotDrilled", "Outcome"]

NAME = "txdoorbell drill"
"""The ``application_name`` of its sessions, with a token after it."""

HEADING = f"{'fault':<24}{'noticed after':>15}{'recovered after':>17}   ring heard"

_TERMINATE = (
    "select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity"
    " where application_name = %s and usename = current_user and pid <> pg_catalog.pg_backend_pid()"
)
_RING = "select pg_catalog.pg_notify(%s, %s)"
_NOT_HEARD = (DatabaseError, ProbeFailed, SessionEnded, defer.TimeoutError)
_TIMING = Timing()


class NotDrilled(Exception):
    """The drill could not begin; the text, one line without a password, says why."""


@dataclass
class Outcome:
    """
    What came of one fault. Its text is a line of the table under :data:`HEADING`.

    :ivar noticed: seconds from the fault until the listener called itself healthy no more.
    :ivar recovered: seconds from the fault until LISTEN was committed on a new session.
    :ivar heard: seconds from a ring after that until it was heard.
    :ivar failure: why one of them is None, in words.
    """

    fault: str
    noticed: float | None = None
    recovered: float | None = None
    heard: float | None = None
    failure: str = ""

    def __str__(self) -> str:
        heard = self.failure if self.heard is None else f"in {self.heard * 1000:.1f} ms"
        return f"{self.fault:<24}{_cell(self.noticed, 15)}{_cell(self.recovered, 17)}   {heard}"


def _cell(seconds: float | None, width: int) -> str:
    return ("-" if seconds is None else f"{seconds:.3f} s").rjust(width)


class _Witness:
    """The drill's audience: sees when a fault is noticed, when it is mended, when a ring comes."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.attend()

    def attend(self, payload: str = "") -> None:
        """Wait for all three anew; each fires with its time."""
        self.payload = payload
        self.noticed: Deferred[float] = Deferred()
        self.recovered: Deferred[float] = Deferred()
        self.heard: Deferred[float] = Deferred()

    def notified(self, notification: Hearable) -> None:
        """See a ring."""
        if notification.payload == self.payload:
            self._fire(self.heard)

    def listening(self, channels: frozenset[str], fresh: bool) -> None:
        """See that LISTEN has been committed."""
        if fresh and self.noticed.called:
            self._fire(self.recovered)

    def state_changed(self, state: State, reason: str) -> None:
        """See that the listener doesn't call itself healthy."""
        if state is not State.LISTENING:
            self._fire(self.noticed)

    def _fire(self, waiter: Deferred[float]) -> None:
        if not waiter.called:
            waiter.callback(self._now())


class Drill:
    """
    Breaks the session of a listener of its own in several ways, one after the other.

    :param dsn: where the daemon listens, as it is told.
    :param patience: seconds in which the listener must hear at first, and again after each fault.
    :param timing: the other seconds, those of the daemon's listener.
    """

    def __init__(
        self, reactor: Any, dsn: str, patience: float = 60.0, timing: Timing = _TIMING
    ) -> None:
        self._reactor = reactor
        self._now = monotonic_of(reactor)
        self._dsn = Dsn(dsn)
        self._patience = patience
        self._timing = timing
        token = token_hex(8)
        self._name = f"{NAME} {token}"
        self._channel = f"txdoorbell_drill_{token}"
        self._connector = Connector(reactor, self._dsn, Resolver(reactor), timing)
        self._control = self._connector.session(lambda reason: None)
        self._witness = _Witness(self._now)

    async def run(self, tell: Callable[[Outcome], object]) -> bool:
        """
        Do it.

        :param tell: called with what came of each fault, as soon as that is known.
        :returns: whether it has recovered from each, and heard a ring after it.
        :raises NotDrilled: when it could not begin.
        """
        try:
            await self._connector.connect(self._control)
            detour = Detour(self._reactor, self._control.address)
        except (SessionEnded, LookupFailed) as error:
            raise NotDrilled(f"{self._dsn.description}: {one_line(error)}") from None
        listener = self._listener(detour.open())
        try:
            await self._begin(listener)
            faults = {
                "backend terminated": self._terminate,
                "connection reset": detour.reset,
                "connection black-holed": detour.black_hole,
            }
            outcomes = [await self._try(*fault, listener, tell) for fault in faults.items()]
            return all(outcome.heard is not None for outcome in outcomes)
        finally:
            await listener.stopService()
            await detour.close()
            self._control.close()
            await self._connector.when_settled()

    def _listener(self, port: int) -> Listener:
        """Return a listener like the daemon's, but for the way that it takes."""
        given = {**self._dsn.parameters(), **self._control.way(), "application_name": self._name}
        given |= {"hostaddr": "127.0.0.1", "port": str(port)}
        if isinstance(self._control.address, str):
            # What libpq doesn't do on a socket, the server there doesn't either.
            given |= {"sslmode": "disable", "gssencmode": "disable"}
        dsn = make_dsn(**{key: value for key, value in given.items() if value})
        timing = {**vars(self._timing), "probe_interval": 0.0}
        listener = Listener(self._reactor, dsn, channels=[self._channel], name="drill", **timing)
        listener.report_to(self._witness)
        return listener

    async def _begin(self, listener: Listener) -> None:
        listener.startService()
        try:
            await self._hears(listener)
        except _NOT_HEARD as error:
            where, why = self._dsn.description, listener.reason or one_line(error)
            raise NotDrilled(f"{where}: nothing is heard there as it is: {why}") from None

    async def _hears(self, listener: Listener) -> None:
        await listener.when_listening().addTimeout(self._patience, self._reactor)
        await listener.probe()

    async def _try(
        self,
        name: str,
        inject: Callable[[], Awaitable[None] | None],
        listener: Listener,
        tell: Callable[[Outcome], object],
    ) -> Outcome:
        outcome = Outcome(name)
        try:
            await self._hears(listener)
            await self._follow(outcome, inject)
        except defer.TimeoutError:
            outcome.failure = f"not in {self._patience:g} s"
        except _NOT_HEARD as error:
            outcome.failure = f"not tried: {one_line(error)}"
        tell(outcome)
        return outcome

    async def _follow(self, outcome: Outcome, inject: Callable[[], Awaitable[None] | None]) -> None:
        witness, began = self._witness, self._now()
        witness.attend(token_hex(8))
        injecting = inject()
        if injecting is not None:
            await injecting
        outcome.noticed = await self._in_time(witness.noticed) - began
        outcome.recovered = await self._in_time(witness.recovered) - began
        rung = self._now()
        ring, within = (self._channel, witness.payload), self._timing.query_timeout
        await self._control.query(_RING, ring, within=within)
        outcome.heard = await self._in_time(witness.heard) - rung

    def _in_time(self, awaited: Deferred[float]) -> Deferred[float]:
        return awaited.addTimeout(self._patience, self._reactor)

    async def _terminate(self) -> None:
        within = self._timing.query_timeout
        rows = await self._control.query(_TERMINATE, (self._name,), within=within)
        if (True,) not in rows:
            raise ProbeFailed("its backend isn't shown to this role")
