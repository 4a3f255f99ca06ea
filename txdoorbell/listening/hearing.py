"""One session that listens: set up, kept in step with the wanted channels, and watched."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from txdoorbell.listening.announcer import Announcer
from txdoorbell.listening.connector import Connector, Timing
from txdoorbell.listening.heartbeat import Heartbeat
from txdoorbell.listening.lockdesk import LockDesk
from txdoorbell.listening.oneline import one_line
from txdoorbell.listening.probe import Prober
from txdoorbell.listening.queuewatch import QueueWatch
from txdoorbell.listening.resolver import LookupFailed
from txdoorbell.listening.session import DatabaseError, SessionEnded
from txdoorbell.listening.soletask import SoleTask
from txdoorbell.notification import Hearable, quote_identifier

if TYPE_CHECKING:
    from txdoorbell.listening.locks import SessionLocks

__all__ = ["HearingSession", "SessionReport"]

_ROLL_CALL = "select pg_catalog.pg_listening_channels()"
_FORESEEN = (SessionEnded, DatabaseError, LookupFailed, UnicodeError)


class SessionReport(Protocol):
    """
    Whom a session tells how it fares. After its end, or its ``close()``, it tells nothing more.

    Each text is one line, with no password in it.
    """

    def established(self, session: "HearingSession", text: str) -> None:
        """Learn that LISTEN has been committed."""

    def changed(self, channels: frozenset[str]) -> None:
        """Learn that a change was committed: LISTEN for these, perhaps none, and UNLISTEN."""

    def restored(self, channels: frozenset[str]) -> None:
        """Learn that LISTEN for these, perhaps none, was undone by others, and committed again."""

    def heard(self, session: "HearingSession", text: str) -> None:
        """Learn that a probe was heard."""

    def silent(self, session: "HearingSession", text: str) -> None:
        """Learn that a probe was sent and wasn't heard."""

    def unsent(self, session: "HearingSession", text: str) -> None:
        """Learn that a probe could not be sent."""

    def lost(self, session: "HearingSession", text: str) -> None:
        """Learn that the session has ended."""


class HearingSession:
    """
    Connects, commits LISTEN, and from then on hears until it is lost or closed.

    LISTEN and UNLISTEN follow what is wanted, one batch at a time; what is wanted meanwhile makes
    one further batch. Nothing else is ever asked of the session, but the heartbeat, and before each
    probe what it listens to: a function that got hold of it, or a pooler, may have undone that; and
    locks, where they are wanted.

    :param retry: from the number of probes that could not be sent to seconds until the next.
    :param announcer: calls those who wait for a probe.
    :param watch: told how full the server's notification queue is.
    :param notified: given each notification, in order of commit and at once; those on the private
        channel of the probes aside.
    :param report: told the rest.
    :param desk: says whether locks are wanted, and is told that they can be tried for.
    :param host: what leases call this host.
    """

    log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        connector: Connector,
        timing: Timing,
        retry: Callable[[int], float],
        announcer: Announcer,
        watch: QueueWatch,
        notified: Callable[[Hearable], object],
        channels: frozenset[str],
        report: SessionReport,
        desk: LockDesk,
        host: str,
    ) -> None:
        self._reactor = reactor
        self._desk = desk
        self._host = host
        self._locks: SessionLocks | None = None
        self._connector = connector
        self._timing = timing
        self._report = report
        self._wanted = channels
        self._committed: frozenset[str] | None = None
        self._pooled = False
        self._probed = False
        self._session = connector.session(self._lost)
        self._task = SoleTask(self._session, _FORESEEN)
        self._prober = Prober(reactor, connector, timing, retry, self, announcer, watch)
        self._heartbeat = Heartbeat(
            reactor,
            self._session,
            timing.heartbeat,
            timing.heartbeat_timeout,
            lambda: self._prober.has_session,
        )
        self._session.addNotifyObserver(notified)
        self._session.inbox.reserve(self._prober.channel, self._prober.hear)

    @property
    def committed(self) -> frozenset[str] | None:
        """The channels for which LISTEN is committed; None before the first commit."""
        return self._committed

    @property
    def latency(self) -> float | None:
        """Seconds that the last probe took to be heard; None before."""
        return self._prober.latency

    @property
    def last_read(self) -> float:
        """When something was read from it, on the reactor's monotonic clock."""
        return self._session.last_read

    @property
    def queue_usage(self) -> float | None:
        """How full the server's notification queue was at the last probe, 0 to 1; None before."""
        return self._prober.queue_usage

    def start(self) -> None:
        """Connect, and go on."""
        self._task.begin(self._establish())

    def update(self, channels: frozenset[str]) -> None:
        """Want these channels and no others."""
        self._wanted = channels
        if self._committed is not None and not self._task.busy:
            self._task.begin(self._keep_step())

    def probe(self) -> Deferred[float]:
        """Probe now; see :meth:`txdoorbell.listening.probe.Prober.probe`."""
        return self._prober.probe()

    def close(self) -> None:
        """End, and tell nothing more."""
        self._stop("the listener has closed its session")
        self._session.close()

    async def _establish(self) -> None:
        await self._connector.connect(self._session)
        self._pooled = await self._connector.set_up(self._session)
        channels = self._wanted
        await self._run(listen=channels | {self._prober.channel})
        self._committed = channels
        self._heartbeat.start()
        pid = self._session.backend_pid
        self._report.established(self, f"LISTEN committed by {self._session.peer}, backend {pid}")
        self._prober.start()
        self._desk.on_serve = self._serve
        await self._keep_step()

    def _serve(self) -> None:
        if not self._task.busy:
            self._task.begin(self._keep_step())

    async def _keep_step(self) -> None:
        while self._committed is not None:
            if self._committed != self._wanted:
                await self._follow(self._committed, self._wanted)
            elif self._locks is None and self._desk.interval is not None:
                await self._make_fit_for_locks(self._desk.interval)
            else:
                return

    async def _follow(self, committed: frozenset[str], wanted: frozenset[str]) -> None:
        await self._run(listen=wanted - committed, unlisten=committed - wanted)
        self._committed = wanted
        self._report.changed(wanted - committed)

    async def _make_fit_for_locks(self, interval: float) -> None:
        from txdoorbell.listening.locks import SessionLocks
        from txdoorbell.listening.locktiming import LockTiming

        beat = min(self._timing.heartbeat or interval, interval)
        locks = self._locks = SessionLocks(
            self._reactor,
            self._session,
            self._pooled,
            LockTiming(beat),
            self._timing.query_timeout,
            self._desk,
            self._host,
        )
        await locks.prepare(self._connector)
        if locks.refusal is None:
            self._heartbeat.insist(beat, locks.beat)
        self._desk.opened(locks)

    def when_ready(self) -> Deferred[None]:
        """
        See to it that LISTEN is in force, before a probe; that is taken for granted for the first.

        :returns: a fresh Deferred that fires then; never, when the session ends over it.
        """
        if not self._probed:
            self._probed = True
            return succeed(None)
        ready: Deferred[None] = Deferred()
        Deferred.fromCoroutine(self._call_the_roll()).addCallbacks(
            ready.callback, self._task.failed
        )
        return ready

    async def _call_the_roll(self) -> None:
        try:
            listed = await self._session.query(_ROLL_CALL, within=self._timing.heartbeat_timeout)
        except DatabaseError as error:
            self.log.warn("{sql}: {error}", sql=_ROLL_CALL, error=one_line(error))
            return
        # By now an UNLISTEN may be under way for what isn't wanted any more.
        expected = (self._committed or frozenset()) & self._wanted | {self._prober.channel}
        undone = expected - {name for (name,) in listed}
        if undone:
            await self._run(listen=undone)
            self._report.restored(undone - {self._prober.channel})
            await self._connector.set_up(self._session)
        await self._look_after_locks(undone=bool(undone))

    async def _look_after_locks(self, undone: bool) -> None:
        locks = self._locks
        if locks is not None and locks.refusal is None:
            await locks.restore(undone)

    async def _run(self, listen: Iterable[str], unlisten: Iterable[str] = ()) -> None:
        statements = [f"listen {quote_identifier(name)}" for name in sorted(listen)]
        statements += [f"unlisten {quote_identifier(name)}" for name in sorted(unlisten)]
        await self._session.execute("; ".join(statements), within=self._timing.query_timeout)

    def _lost(self, reason: str) -> None:
        self._stop(reason)
        self._report.lost(self, reason)

    def _stop(self, reason: str) -> None:
        self._heartbeat.stop()
        self._prober.stop()
        self._desk.on_serve = None
        locks, self._locks = self._locks, None
        if locks is not None:
            locks.end()
            self._desk.closed(reason)

    def heard(self) -> None:
        """Pass on that a probe was heard."""
        self._report.heard(self, "a probe was heard")

    def silent(self, reason: str) -> None:
        """Pass on that a probe was not heard, and the likely cause."""
        cause = (
            "a pooler in transaction mode? another backend answers than the one announced"
            if self._pooled
            else "LISTEN was undone, or new connections reach another server"
        )
        self._report.silent(self, f"{reason}: {cause}")

    def unsent(self, reason: str) -> None:
        """Pass on that a probe could not be sent."""
        self._report.unsent(self, reason)
