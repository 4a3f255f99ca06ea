"""A doorbell, put together by settings: the one way, wherever they came from."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from twisted.internet.error import ReactorNotRunning

from txdoorbell.listening.backoff import backoff_policy
from txdoorbell.loop import Loop
from txdoorbell.process.exitstatus import exit_when_resigned
from txdoorbell.ringing.watched import WatchedDoorbell
from txdoorbell.settling.functions import Changes, Plan, Roster
from txdoorbell.settling.settings import LoopOptions, Settings

__all__ = ["Assembly", "listener_options", "loop_arguments", "wal_options"]


class Assembly:
    """
    A doorbell with its loops and functions, which can be changed while it runs.

    :param plan: what is wanted.
    :param dsn: where; the settings' own is not looked at.
    :ivar bell: the service.
    """

    def __init__(self, reactor: Any, plan: Plan, dsn: str) -> None:
        self._reactor = reactor
        self._settings = settings = plan.settings
        first = _loops(settings)[0]
        self.bell = WatchedDoorbell(reactor, dsn, **self._options(plan), loop=self._loop(first))
        self._loops = {first.name: self.bell.loop}
        self._add_loops(_loops(settings))
        self._roster = Roster(self._loops)
        self._roster.settle(plan.functions)
        exit_when_resigned(reactor, self.bell)
        if settings.stop_channel is not None:
            self.bell.when_stopped().addCallback(lambda _: _stop(reactor))

    def settle(self, plan: Plan) -> Changes:
        """
        Change what can be changed without a new session.

        That is functions, channels, tables, further loops and the interval. Functions that are the
        same in both are left alone, with their wake-ups.
        """
        before, after = self._settings, plan.settings
        self._settings = after
        self.bell.interval = after.interval
        self._add_loops(_loops(after))
        self.bell.add_channels(set(after.channels) - set(before.channels))
        self.bell.add_tables(set(after.tables) - set(before.tables))
        changes = self._roster.settle(plan.functions)
        self.bell.remove_channels(set(before.channels) - set(after.channels))
        self.bell.remove_tables(set(before.tables) - set(after.tables))
        return changes

    def _options(self, plan: Plan) -> dict[str, Any]:
        settings = plan.settings
        return {
            "channels": settings.channels,
            "interval": settings.interval,
            "idle_timeout": settings.idle_timeout,
            "on_idle": plan.on_idle,
            "stop_channel": settings.stop_channel,
            "give_up_after": settings.retry.give_up_after,
            "slow_after": settings.slow_after,
            "tables": settings.tables,
            "wal_options": asdict(settings.wal),
            "lock": _loops(settings)[0].lock,
            "lock_interval": settings.lock_interval,
            "max_loops": settings.max_loops,
            "hosts": settings.hosts,
            **({} if settings.host is None else {"host": settings.host}),
            **listener_options(settings),
        }

    def _add_loops(self, wanted: Iterable[LoopOptions]) -> None:
        for options in wanted:
            if options.name not in self._loops:
                loop = self._loops[options.name] = self._loop(options)
                self.bell.add_loop(loop, lock=options.lock)

    def _loop(self, options: LoopOptions) -> Loop:
        return Loop(self._reactor, **loop_arguments(options))


def listener_options(settings: Settings) -> dict[str, Any]:
    """Return what a listener is told beside the DSN and the channels."""
    timeouts = asdict(settings.database)
    for key in ("dsn", "password", "embedded"):
        del timeouts[key]
    retry = settings.retry
    return {
        **timeouts,
        "probe_interval": settings.probe.interval,
        "probe_timeout": settings.probe.timeout,
        "backoff": backoff_policy(retry.initial, retry.maximum, retry.factor),
    }


def loop_arguments(options: LoopOptions) -> dict[str, Any]:
    """Return what a loop is told."""
    given = asdict(options)
    del given["lock"]
    return given


def wal_options(settings: Settings) -> dict[str, Any]:
    """Return what a reader of the write-ahead log is told beside the DSN and the tables."""
    return {**listener_options(settings), **asdict(settings.wal)}


def _loops(settings: Settings) -> tuple[LoopOptions, ...]:
    return settings.loop or (LoopOptions(),)


def _stop(reactor: Any) -> None:
    with suppress(ReactorNotRunning):  # it is being stopped already
        reactor.stop()
