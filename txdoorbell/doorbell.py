"""
The service that joins an ear, a switchboard and loops.

Data flows one way: the source tells the ear, the ear the switchboard, the switchboard the loops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from txdoorbell.clocks import SteadyClock
from txdoorbell.guard import guard_of
from txdoorbell.loop import Loop, LoopBase
from txdoorbell.notification import Source, check_channel, check_payload
from txdoorbell.processor import check_seconds
from txdoorbell.ringing.alarm import Alarm
from txdoorbell.ringing.ear import Ear
from txdoorbell.ringing.leaving import Leaving, stop_in_time
from txdoorbell.ringing.lent import Lent
from txdoorbell.ringing.locked import Locks
from txdoorbell.ringing.makers import log_maker, make_listener
from txdoorbell.ringing.polling import poll
from txdoorbell.ringing.snapshot import doorbell_status
from txdoorbell.ringing.sources import Sources
from txdoorbell.ringing.stopchannel import StopChannel
from txdoorbell.ringing.stream import NotificationStream, Streams
from txdoorbell.ringing.wired import Wired
from txdoorbell.ringing.wiring import Wiring, name_apart
from txdoorbell.status import DoorbellStatus
from txdoorbell.switchboard import Switchboard
from txdoorbell.walreading.changes import TableSource


class Doorbell(Wired, Lent, MultiService):
    """
    Run functions when PostgreSQL rings.

    :param dsn: a libpq connection string or URI; what it leaves out comes from the environment.
    :param channels: one or several that ring the loops.
    :param tables: one or several whose changes ring the loops, by the write-ahead log; functions
        may name further ones in ``add``.
    :param interval: the safety net: everything runs each so many seconds, 0 for never; a fifth of
        it while not everything is heard.
    :param listener: where notifications come from, in place of a listener made of ``dsn`` and
        ``listener_options``.
    :param wal: where changes of tables come from, in place of a :class:`~txdoorbell.wal.WalSource`
        made of ``dsn``, ``listener_options`` and ``wal_options`` once there is a table.
    :param idle_timeout: seconds without a notification after which ``on_idle`` is called, each
        time; None for never.
    :param on_idle: called without arguments; an error goes to ``log.err``.
    :param stop_channel: a NOTIFY there stops the service; None for no such channel. Any user of the
        database can send one.
    :param give_up_after: seconds without hearing after which the service resigns; None for never.
    :param slow_after: seconds for which the reactor must be blocked to be reported, with its stack.
    :param loop: the first loop; None makes one.
    :param lock: the name of a lock without which the first loop does not run: see :meth:`add_loop`.
    :param lock_interval: seconds between two tries for a lock whose holder may have died; also
        between two questions to the server that prove that this process is alive. After three times
        as long without one the server takes its locks away.
    :param max_loops: how many locks this process holds at the most; None for any number.
    :param hosts: how many hosts share the locks, roughly; None for not many. In a fleet of more
        than 16 that are told so, each host tries for some of the loops only.
    :param listener_options: see :class:`txdoorbell.listener.Listener`.
    :raises TypeError: for a number that is none.
    :raises ValueError: for a channel, DSN or number that can't be.
    """

    log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        dsn: str = "",
        *,
        channels: str | Iterable[str] = ("doorbell",),
        tables: str | Iterable[str] = (),
        interval: float = 60.0,
        listener: Source | None = None,
        wal: TableSource | None = None,
        wal_options: Mapping[str, Any] | None = None,
        idle_timeout: float | None = None,
        on_idle: Callable[[], object] | None = None,
        stop_channel: str | None = None,
        give_up_after: float | None = None,
        slow_after: float = 30.0,
        loop: Loop | None = None,
        lock: str | None = None,
        lock_interval: float = 2.0,
        max_loops: int | None = None,
        hosts: int | None = None,
        **listener_options: Any,
    ) -> None:
        super().__init__()
        self._clock = SteadyClock(reactor)
        check_seconds("slow_after", slow_after)
        self._guard, self._leaving = guard_of(reactor, self._clock_stepped, slow_after), Leaving()
        self.switchboard = Switchboard()
        self._streams = Streams(self.switchboard)
        self._wiring = Wiring(self.switchboard, channels)
        self._ear = Ear(self._clock, self.switchboard, self._wiring, interval)
        self._ear.when_idle(idle_timeout, on_idle or _nothing)
        too_long = f"it has not been listening for {give_up_after} s"
        self._ear.when_deaf(give_up_after, partial(self._resign, too_long))
        self.listener = listener or make_listener(self._clock, dsn, listener_options)
        make = log_maker(wal, self._clock, dsn, listener_options, wal_options)
        self._sources = Sources(self.listener, make, self._adopt, self._ear, self._wiring)
        self.switchboard.on_change = self._sources.set_channels
        self._alarm = Alarm(self._clock, self._sources.hear)
        if stop_channel is not None:
            told = StopChannel(reactor, self.stopService)
            self.switchboard.observe(told.notified, stop_channel)
        self._locks = Locks(
            self._clock, self.listener, self.switchboard, lock_interval, max_loops, hosts
        )
        self.loop = loop or Loop(reactor)
        self.add_loop(self.loop, lock=lock)
        self.add_tables(tables)

    def _adopt(self, source: Source) -> None:
        IService(source).setServiceParent(self)

    # -- sources and loops

    @property
    def wal(self) -> TableSource | None:
        """The source that hears of tables, None while there are none."""
        return self._sources.second

    def add_loop(self, loop: LoopBase, *, lock: str | None = None) -> None:
        """
        Ring a further loop by the same session; loops run beside each other.

        It becomes a child service of this one. It hears the channels of this service and those
        that its own functions name. A name that another child service has gets a number.

        :param lock: the loop runs only while this process holds the advisory lock of this name: in
            one process of all that name it, on as many hosts as there are. Elsewhere it is
            suspended, and stands by. Its :attr:`~txdoorbell.loop.LoopBase.lease` says by which
            lease it runs. None: it always runs.
        :raises TypeError: for a lock that is no str, or a listener that can't hold one.
        :raises ValueError: for a lock that can't be, or whose key is that of another one.
        """
        if lock is not None:
            self._locks.add(loop, lock)
        name_apart(loop, self.namedServices)
        IService(loop).setServiceParent(self)
        self._wiring.add_loop(loop)
        self._alarm.watch(loop)
        loop.on_stuck = self._resign

    # -- rings

    @property
    def interval(self) -> float:
        """Seconds between two rings of the safety net; 0 for never. May be set at any time."""
        return self._ear.interval

    @interval.setter
    def interval(self, seconds: float) -> None:
        self._ear.interval = seconds

    def ring(self, channel: str, payload: str = "") -> Deferred[None]:
        """
        Send a NOTIFY, on another session than the listening one.

        :returns: fires once it is committed; fails when that could not be done in time.
        :raises ValueError: for a channel over 63 bytes or empty, or a payload over 7999 bytes.
        """
        return self.listener.notify(check_channel(channel), check_payload(payload))

    def when_listening(self) -> Deferred[None]:
        """
        Wait until LISTEN is committed for every active channel, and every table is heard of.

        :returns: a fresh Deferred; it fails with
            :class:`~txdoorbell.notification.ListenerStopped` when the service is stopped first.
        """
        return self._sources.when_listening()

    def notifications(
        self, channels: str | Iterable[str], *, limit: int = 1000
    ) -> NotificationStream:
        """
        Follow channels with ``async for``.

        :param limit: how many notifications are kept for a slow reader; past that the oldest is
            dropped, with a warning.
        :returns: an async iterator; it ends when the service stops or its ``close()`` is called.
        """
        return self._streams.open(channels, limit)

    def poll(self) -> Deferred[None]:
        """
        Run everything once, now.

        On a service that isn't running, only its loops are started for it, and stopped again:
        nothing is listened to, and what needs a lock does not run.

        :returns: fires when all loops are quiet. One that stands by for its lock is quiet: it runs
            elsewhere.
        """
        return poll(self._wiring, None if self.running else self._stop_loops)

    def status(self) -> DoorbellStatus:
        """Return a snapshot of all of it, immutable; it holds no password."""
        parts = self._ear, self._sources, self._locks
        return doorbell_status(self, *parts, self._alarm.misses, self._guard.blocked_for)

    def watch(self, function: Callable[[], None] | None) -> None:
        """Have :meth:`status` looked at, by one, each time it has changed; None for nobody."""
        self._ear.on_change = function
        for loop in self.loops:
            loop.on_change = function

    # -- the service

    def startService(self) -> None:
        """Start the listener and the loops; each loop runs everything once."""
        if self.running:
            return
        self._leaving.started()
        super().startService()
        self._locks.start()
        self._ear.start()
        self._guard.start()

    def stopService(self) -> Deferred[None]:
        """
        Stop the loops, then the listener, so that a function may ring to the last.

        The lock of a loop is given back as soon as the loop has stopped, for another host to go on.

        :returns: fires when nothing of it is active any more: what is after ``stop_timeout``, and
            a further child after as long again, is left behind. A dead database delays nothing.
        """
        Service.stopService(self)
        self._guard.stop()
        self._alarm.stop()
        self._ear.stop()
        self._streams.close_all()
        self._locks.stop()
        stopping = self._stop_loops().addCallback(lambda _: self._stop_others())
        return stopping.addCallback(self._stopped)

    def restart(self) -> Deferred[None]:
        """
        Stop, then start again, with a new session.

        :returns: fires when it has been started again; wait for :meth:`when_listening` then.
        """
        return self.stopService().addCallback(lambda _: self.startService())

    def _stopped(self, _: object) -> None:
        if not self.running:
            self._leaving.stopped()

    def _stop_loops(self) -> Deferred[list[None]]:
        return self._wiring.stop(self._locks.give_back)

    def _stop_others(self) -> Deferred[None]:
        if self.running:
            return succeed(None)
        others = [child for child in self if child not in self.loops]
        seconds = max(loop.stop_timeout for loop in self.loops)
        return stop_in_time(self._clock, seconds, reversed(others))

    def _resign(self, reason: str) -> None:
        self.log.error("{name} resigns: {reason}", name=self.name or "doorbell", reason=reason)
        self.stopService().addCallback(lambda _: self._leaving.resigned())

    def _clock_stepped(self, step: float) -> None:
        self._clock.resettle()
        self._locks.look()
        for loop in self.loops:
            loop.rearm()


def _nothing(*_: object) -> None:
    """Do nothing."""
