"""One session that reads the write-ahead log: kept in step with what is wanted, and watched."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from txdoorbell.listening.announcer import Announcer
from txdoorbell.listening.connector import Connector, Timing
from txdoorbell.listening.lifecycle import Life
from txdoorbell.listening.queuewatch import QueueWatch
from txdoorbell.listening.resolver import LookupFailed
from txdoorbell.listening.session import DatabaseError, SessionEnded
from txdoorbell.listening.soletask import SoleTask
from txdoorbell.notification import Hearable
from txdoorbell.walreading.changes import Table, tables_in
from txdoorbell.walreading.directory import Directory
from txdoorbell.walreading.pair import Gauge, Pair
from txdoorbell.walreading.pgoutput import MalformedMessage
from txdoorbell.walreading.plan import Trouble
from txdoorbell.walreading.prober import LogProber
from txdoorbell.walreading.publisher import Publisher
from txdoorbell.walreading.telling import Hearers, Teller

__all__ = ["LogSession"]

_USUAL = SessionEnded, DatabaseError, LookupFailed, UnicodeError
_FORESEEN = (*_USUAL, MalformedMessage, Trouble)


class LogSession:
    """
    Reads the log from a slot of its own, until it is lost or closed.

    :param retry: from the number of failures in a row to seconds until the next attempt, of probes
        and of what is wanted later.
    :param publisher: sees to it that tables are published.
    :param gauge: given what is measured.
    :param notified: given each change and message that is wanted, in order of commit.
    :param wanted: channels and tables.
    :param report: told the rest.
    :param streaming: whether large transactions are to be sent while they are open.
    """

    log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        connector: Connector,
        timing: Timing,
        retry: Callable[[int], float],
        announcer: Announcer,
        publisher: Publisher,
        gauge: Gauge,
        notified: Callable[[Hearable], object],
        wanted: frozenset[str],
        report: Life,
        *,
        streaming: bool = False,
    ) -> None:
        self._reactor = reactor
        self._retry = retry
        self._announcer = announcer
        self._report = report
        self._committed: frozenset[str] | None = None
        self._over = self._probed = False
        self._refusals, self._refused = 0, set[str]()
        self._again: IDelayedCall | None = None
        self._directory = Directory(wanted)
        watch = QueueWatch(timing.query_timeout)
        probing = reactor, connector, timing, retry, self, announcer, watch
        self._prober = LogProber(*probing, beat=self._beat)
        hold = lambda: self._prober.has_session  # noqa: E731 - two lines more would say no more
        self._directory.private = self._prober.channel
        parts = reactor, connector, timing, publisher, gauge
        self._pair = Pair(*parts, self._lost, hold, streaming=streaming)
        self._task = SoleTask(self._pair, _FORESEEN)
        hearers = Hearers(notified, report.changed, self._prober.hear)
        self._teller = Teller(reactor, self._directory, hearers, self._pair.look, self._task.failed)

    # -- what the machine needs

    @property
    def committed(self) -> frozenset[str] | None:
        """The channels and tables that are heard of; None before the log is read."""
        return self._committed

    @property
    def latency(self) -> float | None:
        """Seconds that the last probe took to be heard; None before."""
        return self._prober.latency

    @property
    def queue_usage(self) -> float | None:
        """Always None: there is no queue here."""
        return None

    @property
    def last_read(self) -> float:
        """When something was read of the log, on the reactor's monotonic clock."""
        return self._pair.reader.last_read

    def start(self) -> None:
        """Connect, and go on."""
        self._task.begin(self._establish())

    def update(self, wanted: frozenset[str]) -> None:
        """Want these channels and tables, and no others."""
        self._directory.wanted = wanted
        self._refusals = 0
        if self._committed is not None and not self._task.busy:
            self._task.begin(self._keep_step())

    def probe(self) -> Deferred[float]:
        """Probe now; see :meth:`txdoorbell.listening.probe.Prober.probe`."""
        return self._prober.probe()

    def close(self) -> None:
        """End, and tell nothing more."""
        self._over = True
        self._prober.stop()
        self._teller.close()
        self._cancel_again()
        self._pair.close()

    def _lost(self, reason: str) -> None:
        self.close()
        self._report.lost(self, reason)

    # -- setting up, and keeping in step with what is wanted

    async def _establish(self) -> None:
        wanted = self._directory.wanted
        prepared = await self._pair.open(tables_in(wanted))
        self._directory.list_tables(prepared.trees)
        self._directory.codec = self._pair.reader.server_codec
        open_now = await self._pair.open_transactions()
        await self._pair.stream(prepared, self._teller.feed)
        self._committed = wanted
        self._report.established(self, f"the log is read by {self._pair}")
        self._catch_up_later(wanted, open_now)
        self._prober.start()
        await self._keep_step()

    async def _keep_step(self) -> None:
        self._cancel_again()
        while self._committed is not None and self._committed != self._directory.wanted:
            # Who changes what is wanted isn't told of it from inside that call.
            await self._later()
            wanted = self._directory.wanted
            others = await self._follow(wanted)
            if others is None:
                return
            added, self._committed = (wanted - self._committed) | others, wanted
            await self._announce(added)

    def _is_following(self) -> bool:
        """Say whether other tables are being looked for, by somebody else than a probe."""
        return self._task.busy or self._again is not None

    def _tables(self) -> frozenset[Table]:
        return tables_in(self._committed or ())

    def _later(self) -> Deferred[None]:
        later: Deferred[None] = Deferred()
        self._announcer.later(lambda: None if self._over else later.callback(None))
        return later

    async def _announce(self, added: frozenset[str]) -> None:
        """
        Have it caught up on what is read of from now on; once more at each open transaction's end.

        What that did before a table was published is not in what is read of the log.
        """
        tables = tables_in(added)
        open_now = await self._pair.open_transactions() if tables else frozenset[int]()
        self._report.changed(added)
        self._catch_up_later(tables, open_now)

    def _catch_up_later(self, what: frozenset[str], numbers: frozenset[int]) -> None:
        """Have it caught up on again, as each of these transactions comes to be seen."""
        for number in numbers:
            self._teller.catch_up(what, number)

    async def _follow(self, wanted: frozenset[str]) -> frozenset[Table] | None:
        """
        Read of other tables, if others are wanted, and return those not read of before.

        Where that can't be, return None: go on as before, and try again later.
        """
        if tables_in(wanted) == self._tables():
            return frozenset()
        try:
            prepared = await self._pair.prepare(tables_in(wanted))
        except Trouble as trouble:
            self._refusals += 1
            self._warn_once(str(trouble))
            self._again = self._reactor.callLater(self._retry(self._refusals), self._try_again)
            return None
        self._refused.clear()
        return self._directory.list_tables(prepared.trees)

    def _warn_once(self, refused: str) -> None:
        """Say why not all that is wanted is read of, but not at each attempt."""
        if refused not in self._refused:
            self._refused.add(refused)
            self.log.warn("further tables are not read of: {refused}", refused=refused)

    def _try_again(self) -> None:
        self._again = None
        if not self._task.busy:
            self._task.begin(self._keep_step())

    def _cancel_again(self) -> None:
        call, self._again = self._again, None
        if call is not None:
            call.cancel()

    # -- being probed

    def when_ready(self) -> Deferred[None]:
        """
        See to it that the tables are still those that were asked for, and still published.

        :returns: a fresh Deferred that fires then; never, when the session ends over it.
        """
        if not self._probed:
            self._probed = True
            return succeed(None)
        ready: Deferred[None] = Deferred()
        Deferred.fromCoroutine(self._check()).addCallbacks(ready.callback, self._task.failed)
        return ready

    async def _check(self) -> None:
        await self._pair.measure()
        if self._is_following():
            return
        tables = self._tables()
        prepared = await self._pair.prepare(tables)
        if self._is_following() or tables != self._tables():
            return
        others = self._directory.list_tables(prepared.trees)
        if prepared.changed or others:
            mended = others or tables
            self.log.warn(
                "what is read of the log was changed by somebody, and is mended: {tables}",
                tables=", ".join(sorted(mended)),
            )
            await self._announce(mended)

    def _beat(self) -> Deferred[float] | None:
        return None if self._pair.has_messages else self._pair.beat()

    def heard(self) -> None:
        """Pass on that a probe was heard."""
        self._report.heard(self, "a probe was heard")

    def silent(self, reason: str) -> None:
        """Pass on that a probe was not heard, and the likely cause."""
        self._report.silent(self, f"{reason}: do new connections reach another server?")

    def unsent(self, reason: str) -> None:
        """Pass on that a probe could not be sent."""
        self._report.unsent(self, reason)
