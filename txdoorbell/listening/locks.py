"""The locks on one listening session: tried for in batches, watched, and given back."""

import os
from collections.abc import Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python import log
from twisted.python.failure import Failure

from txdoorbell.clocks import monotonic_of
from txdoorbell.fleet.keys import lock_key
from txdoorbell.fleet.lease_table import (
    LOST_SQL,
    SCHEMA,
    TABLE,
    TRY_SQL,
    UNLOCK_SQL,
    holders_sql,
    take_sql,
)
from txdoorbell.fleet.locking import (
    RELEASE_CHANNEL,
    Answer,
    Denied,
    Granted,
    Holder,
    Lease,
    LockFailed,
)
from txdoorbell.listening.connector import Connector
from txdoorbell.listening.leasewatch import LeaseWatch
from txdoorbell.listening.lockdesk import LockDesk
from txdoorbell.listening.locktiming import LockTiming
from txdoorbell.listening.oneline import one_line
from txdoorbell.listening.session import DatabaseError, Row, Session, SessionEnded

__all__ = ["SessionLocks"]

_POOLED = (
    "a pooler is in between (another backend answers than the one announced): "
    "a lock needs a session of its own, so the DSN must lead to PostgreSQL itself"
)
_NO_SWITCH = (
    "this server has no idle_session_timeout (PostgreSQL 14 has): a frozen process keeps its locks "
    "for as long as it is frozen"
)
_NO_TABLE = (
    "leases of locks have no numbers: {error}; txdoorbell sql --fleet --apply creates the table "
    f"{SCHEMA}.{TABLE}"
)
_ABSENT = ("3F000", "25006", "42501", "42703", "42P01")
"""SQLSTATEs of a table that isn't there, is another one, or may not be written."""

_MARK = "select pg_catalog.set_config('txdoorbell.locks', 'kept', false)"
_BEAT = "select pg_catalog.current_setting('txdoorbell.locks', true)"
"""A setting of our own, which DISCARD ALL undoes as it frees the locks: costs next to nothing."""

_HOLDERS_AGE = 5
"""How many heartbeats old may be what is known of holders."""


class SessionLocks:
    """
    A :class:`txdoorbell.fleet.locking.LockSession`.

    Advisory locks of a session can be taken several times, so each is tried for only while it isn't
    held. What is asked in one turn of the reactor is asked in one query.

    :param pooled: whether a pooler is in between: then no lock can be held.
    :param timing: of the heartbeat.
    :param within: seconds in which the server must answer.
    :param desk: told of locks that were lost, and given warnings to log.
    :param host: what leases call this host.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        session: Session,
        pooled: bool,
        timing: LockTiming,
        within: float,
        desk: LockDesk,
        host: str,
    ) -> None:
        self.refusal = _POOLED if pooled else None
        self.timing = timing
        self._reactor = reactor
        self._now = monotonic_of(reactor)
        self._session = session
        self._within = within
        self._desk = desk
        self._host = host
        self._held: set[str] = set()
        self._tries: dict[str, Deferred[Answer]] = {}
        self._asking: set[str] = set()
        self._returns: dict[str, Deferred[None]] = {}
        self._flush: IDelayedCall | None = None
        self._watch = LeaseWatch(reactor, session, timing, lambda: bool(self._held))
        self._table: str | None = SCHEMA
        self._holders: dict[str, Holder] = {}
        self._holders_asked = -float("inf")

    # -- before, and all the time

    async def prepare(self, connector: Connector) -> None:
        """Have the server free the locks should the session fall silent, or refuse to have any."""
        if self.refusal is not None:
            return
        try:
            known = await connector.apply(self._session, self.timing.settings())
            await self._query(_MARK)
        except DatabaseError as error:
            self.refusal = f"its session can't be made safe for locks: {one_line(error)}"
            return
        if "idle_session_timeout" not in known:
            self._desk.warn_once(_NO_SWITCH)
        try:
            await connector.apply(self._session, self.timing.check_interval())
        except DatabaseError as error:
            self._desk.warn_once(f"a busy server won't notice a lost client: {one_line(error)}")

    def beat(self, within: float) -> Deferred[None]:
        """
        Ask the server a question, and look whether the locks may have been undone.

        :param within: seconds in which it must answer.
        """
        return Deferred.fromCoroutine(self._beat(within))

    async def _beat(self, within: float) -> None:
        [(mark,)] = await self._session.query(_BEAT, within=within)
        if mark != "kept":
            await self.verify()

    async def verify(self) -> bool:
        """Look whether all is held that should be, and tell of what isn't; say whether all was."""
        names = sorted(self._held)
        lost = [name for (name,) in await self._query(LOST_SQL, _keys(names))] if names else []
        for name in self._held.intersection(lost):
            self._held.discard(name)
            self._desk.undone(name)
        return not lost

    def end(self) -> None:
        """Learn that the session has ended."""
        self._held.clear()
        self._watch.stop()
        if self._flush is not None and self._flush.active():
            self._flush.cancel()
        self._flush = None
        unanswered: list[Deferred[Any]] = [*self._tries.values(), *self._returns.values()]
        self._tries, self._returns = {}, {}
        for answer in unanswered:
            answer.errback(SessionEnded("the session has ended"))

    def holds(self, name: str) -> bool:
        """Say whether a lock is held, for certain; end the session when its lease has run out."""
        return name in self._held and self._watch.is_safe()

    # -- trying

    def try_for(self, name: str) -> Deferred[Answer]:
        """Try for a lock, with all others that are tried for in this turn of the reactor."""
        answer = self._tries[name] = Deferred()
        self._soon()
        return answer

    def give_back(self, name: str) -> Deferred[None]:
        """Free a lock after this turn of the reactor, and say so; nothing when it isn't held."""
        if name not in self._held and name not in self._tries and name not in self._asking:
            return succeed(None)
        answer = self._returns[name] = Deferred()
        self._soon()
        return answer

    def _soon(self) -> None:
        if self._flush is None:
            self._flush = self._reactor.callLater(0, self._ask_all)

    def _ask_all(self) -> None:
        self._flush = None
        tries, self._tries = self._tries, {}
        returns, self._returns = self._returns, {}
        if tries:
            self._asking.update(tries)
            asked: Deferred[dict[str, Answer]] = Deferred.fromCoroutine(self._try_all(list(tries)))
            asked.addCallbacks(_give, _fail, callbackArgs=(tries,), errbackArgs=(tries.values(),))
        if returns:
            freed = Deferred.fromCoroutine(self._free(list(returns)))
            freed.addCallbacks(
                _let_go, _fail, callbackArgs=(returns,), errbackArgs=(returns.values(),)
            )

    async def _try_all(self, names: Sequence[str]) -> dict[str, Answer]:
        try:
            tried = await self._query(TRY_SQL, _keys(names))
        finally:
            self._asking.difference_update(names)
        got = [name for name, held in tried if held]
        missed = [name for name, held in tried if not held]
        self._held.update(got)
        if got:
            self._watch.start()
        answers: dict[str, Answer] = {}
        if got:
            leases = await self._take(got)
            answers.update((lease.name, Granted(lease)) for lease in leases)
        if missed:
            await self._find_holders(missed)
            answers.update((name, Denied(self._holders.get(name))) for name in missed)
        return answers

    async def _take(self, names: Sequence[str]) -> Iterable[Lease]:
        """Take a lease for each lock that was got; or give it up, when that fails for now."""
        pid = os.getpid()
        try:
            rows = await self._query(take_sql(), (self._host, pid, list(names)))
        except DatabaseError as error:
            if error.pgcode not in _ABSENT:
                await self._free(names)
                raise
            self._desk.warn_once(_NO_TABLE.format(error=one_line(error)))
            rows = [(name, None, self._reactor.seconds()) for name in names]
        else:
            self._table = SCHEMA
        return [Lease(name, number, since, self._host, pid) for name, number, since in rows]

    async def _find_holders(self, names: Sequence[str]) -> None:
        fresh = self._now() - self._holders_asked < _HOLDERS_AGE * self.timing.beat
        if fresh and self._holders.keys() >= set(names):
            return
        self._holders_asked = self._now()
        try:
            rows = await self._query(holders_sql(self._table), _keys(names))
        except DatabaseError as error:
            if self._table is None or error.pgcode not in _ABSENT:
                raise
            self._table = None
            rows = await self._query(holders_sql(None), _keys(names))
        self._holders.update((name, Holder(*known)) for name, *known in rows)

    async def _free(self, names: Sequence[str]) -> None:
        await self._query(UNLOCK_SQL, (RELEASE_CHANNEL, *_keys(names)))
        self._held.difference_update(names)

    def _query(self, sql: str, values: Sequence[object] | None = None) -> Deferred[list[Row]]:
        return self._session.query(sql, values, within=self._within)


def _keys(names: Sequence[str]) -> tuple[list[str], list[int]]:
    return list(names), [lock_key(name)[1] for name in names]


def _give(answers: dict[str, Answer], asked: dict[str, Deferred[Answer]]) -> None:
    for name, deferred in asked.items():
        deferred.callback(answers[name])


def _let_go(_: None, asked: dict[str, Deferred[None]]) -> None:
    for deferred in asked.values():
        deferred.callback(None)


def _fail(failure: Failure, asked: Iterable[Deferred[Any]]) -> None:
    if failure.check(DatabaseError):
        failure = Failure(LockFailed(one_line(failure.value)))
    elif not failure.check(SessionEnded):
        log.err(failure, "locks could not be asked for")
    for deferred in asked:
        deferred.errback(failure)
