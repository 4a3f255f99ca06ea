"""The locks on one listening session: tried for in batches, watched, and given back."""

import os
from collections.abc import Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python import log
from twisted.python.failure import Failure

from txdoorbell.clocks import monotonic_of
from txdoorbell.fleet.lease_table import LOST_SQL, SCHEMA, TABLE, TRY_SQL, UNLOCK_SQL, take_sql
from txdoorbell.fleet.locking import (
    RELEASE_CHANNEL,
    Answer,
    Denied,
    Granted,
    Lease,
    LockFailed,
    Passed,
)
from txdoorbell.listening.connector import Connector
from txdoorbell.listening.holders import ABSENT, Holders, keyed
from txdoorbell.listening.leasewatch import LeaseWatch
from txdoorbell.listening.lockdesk import LockDesk
from txdoorbell.listening.locktiming import LockTiming
from txdoorbell.listening.oneline import one_line
from txdoorbell.listening.session import DatabaseError, Row, Session, SessionEnded
from txdoorbell.listening.standing import Standing

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
_MARK = "select pg_catalog.set_config('txdoorbell.locks', 'kept', false)"
_BEAT = "select pg_catalog.current_setting('txdoorbell.locks', true)"
"""A setting of our own, which DISCARD ALL undoes as it frees the locks: costs next to nothing."""


class SessionLocks:
    """
    A :class:`txdoorbell.fleet.locking.LockSession`.

    Advisory locks of a session can be taken several times, so each is tried for only while it isn't
    held. What is asked in one turn of the reactor is asked in one query; while that is under way
    what is asked next waits, so that the next one knows how much room there is.

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
        self._trying = False
        self._asking: set[str] = set()
        self._returns: dict[str, Deferred[None]] = {}
        self._flush: IDelayedCall | None = None
        self._watch = LeaseWatch(reactor, session, timing, lambda: bool(self._held))
        self._holders = Holders(self._query, self._now, timing.beat, desk.warn_once)
        self._standing = Standing(self._query, desk.warn_once)
        self._connector: Connector | None = None

    # -- before, and all the time

    async def prepare(self, connector: Connector) -> None:
        """Have the server free the locks should the session fall silent, or refuse to have any."""
        if self.refusal is not None:
            return
        self._connector = connector
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
            await self.restore(undone=True)
        if self._held and self._standing.counts:
            await self._holders.look(self._standing.wanted | self._held)

    async def restore(self, undone: bool) -> None:
        """
        Look whether all is held that should be, tell of what isn't, and make the session fit again.

        :param undone: whether its settings were undone; they are set anew also where a lock is
            lost.
        """
        names = sorted(self._held)
        lost = [name for (name,) in await self._query(LOST_SQL, keyed(names))] if names else []
        for name in self._held.intersection(lost):
            self._held.discard(name)
            self._desk.undone(name)
        if (undone or lost) and self._connector is not None:
            await self.prepare(self._connector)
            if self.refusal is not None:
                self._session.end(self.refusal)
            self._standing.undone()
            await self._standing.follow()

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

    # -- what is wanted, and who has it

    def stand_for(self, names: Iterable[str]) -> None:
        """Want these locks and no others; where they are few, others can see that."""
        self._standing.want(names)
        Deferred.fromCoroutine(self._standing.follow()).addErrback(_unless_ended)

    def outdated(self, name: str) -> None:
        """Know no more who holds a lock."""
        self._holders.forget([name])

    def standbys(self, name: str) -> int | None:
        """Return how many others stood by for a lock when that was asked; None: not known."""
        holder = self._holders.of(name)
        return None if holder is None or not self._standing.counts else holder.standbys

    # -- trying

    def try_for(self, name: str) -> Deferred[Answer]:
        """Try for a lock, with all others that are tried for in this turn of the reactor."""
        answer = self._tries[name] = Deferred()
        self._soon()
        return answer

    def give_back(self, name: str) -> Deferred[None]:
        """Free a lock after this turn of the reactor, and say so; nothing when it isn't held."""
        untried = self._tries.pop(name, None)
        if untried is not None:
            untried.callback(Passed())
        if name not in self._held and name not in self._asking:
            return succeed(None)
        answer = self._returns[name] = Deferred()
        self._soon()
        return answer

    def _soon(self) -> None:
        if self._flush is None:
            self._flush = self._reactor.callLater(0, self._ask_all)

    def _ask_all(self) -> None:
        self._flush = None
        if self._tries and not self._trying:
            tries, self._tries = self._tries, {}
            self._trying = True
            asked: Deferred[dict[str, Answer]] = Deferred.fromCoroutine(self._try_all(list(tries)))
            asked.addCallbacks(_give, _fail, callbackArgs=(tries,), errbackArgs=(tries.values(),))
            asked.addBoth(self._tried)
        if self._returns:
            returns, self._returns = self._returns, {}
            freed = Deferred.fromCoroutine(self._free(list(returns)))
            freed.addCallbacks(
                _let_go, _fail, callbackArgs=(returns,), errbackArgs=(returns.values(),)
            )

    def _tried(self, _: object) -> None:
        self._trying = False
        if self._tries:
            self._soon()

    async def _try_all(self, names: Sequence[str]) -> dict[str, Answer]:
        got, missed = await self._try(names, self._desk.room())
        answers: dict[str, Answer] = {name: Passed() for name in names}
        if got:
            self._watch.start()
            leases = await self._take(got)
            answers.update((lease.name, Granted(lease)) for lease in leases)
        # Where one has changed hands, others may have, too.
        self._holders.forget([*got, *(name for name in missed if self._holders.of(name) is None)])
        if missed:
            await self._holders.look(self._standing.wanted.union(missed))
        answers.update((name, Denied(self._holders.of(name))) for name in missed)
        return answers

    async def _try(
        self, names: Sequence[str], room: int | None
    ) -> tuple[Sequence[str], Sequence[str]]:
        """Return which locks were got, and which others have; the rest was left alone."""
        if room is not None and room < 1:
            return [], []
        self._asking.update(names)
        _, keys = keyed(names)
        try:
            rows = await self._query(TRY_SQL, (keys, room))
        finally:
            self._asking.difference_update(names)
        taken = {key for (key,) in rows}
        got = [name for name, key in zip(names, keys, strict=True) if key in taken]
        self._held.update(got)
        tried = names if room is None or len(got) < room else names[: names.index(got[-1]) + 1]
        return got, [name for name in tried if name not in self._held]

    async def _take(self, names: Sequence[str]) -> Iterable[Lease]:
        """Take a lease for each lock that was got; or give it up, when that fails for now."""
        pid = os.getpid()
        try:
            rows = await self._query(take_sql(), (self._host, pid, list(names)))
        except DatabaseError as error:
            if error.pgcode not in ABSENT:
                await self._free(names)
                raise
            self._desk.warn_once(_NO_TABLE.format(error=one_line(error)))
            rows = [(name, None, self._reactor.seconds()) for name in names]
        else:
            self._holders.table_is_there()
        return [Lease(name, number, since, self._host, pid) for name, number, since in rows]

    async def _free(self, names: Sequence[str]) -> None:
        await self._query(UNLOCK_SQL, (RELEASE_CHANNEL, *keyed(names)))
        self._held.difference_update(names)

    def _query(self, sql: str, values: Sequence[object] | None = None) -> Deferred[list[Row]]:
        return self._session.query(sql, values, within=self._within)


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


def _unless_ended(failure: Failure) -> None:
    failure.trap(SessionEnded)
