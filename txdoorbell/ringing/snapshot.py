"""Taking the snapshot that is a doorbell's status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from txdoorbell.notification import Source, State
from txdoorbell.status import (
    ChannelStatus,
    DoorbellStatus,
    ListenerStatus,
    LoopStatus,
    WalStatus,
)

if TYPE_CHECKING:
    from txdoorbell.doorbell import Doorbell
    from txdoorbell.ringing.ear import Ear
    from txdoorbell.ringing.locked import Locks
    from txdoorbell.ringing.sources import Sources


def doorbell_status(
    bell: Doorbell,
    ear: Ear,
    sources: Sources,
    locks: Locks,
    misses: int,
    blocked_for: float,
) -> DoorbellStatus:
    """Return how a doorbell is."""
    loops = tuple(locks.status(loop) for loop in bell.loops)
    listener = _listener_status(bell, ear)
    return DoorbellStatus(
        now=ear.now,
        name=bell.name or "doorbell",
        running=bool(bell.running),
        sick=_sick(loops, blocked_for),
        unready=(*_unready(bell, ear, listener), *_unread(bell, sources), *locks.refusals()),
        misses=misses,
        interval=bell.interval,
        listener=listener,
        loops=loops,
        channels=_channel_statuses(bell),
        wal=_wal_status(bell, sources),
    )


def _sick(loops: tuple[LoopStatus, ...], blocked_for: float) -> tuple[str, ...]:
    stuck = [f"{loop.stuck} is stuck in {loop.name}" for loop in loops if loop.stuck is not None]
    blocked = [f"the reactor has been blocked for {blocked_for:.0f} s"] if blocked_for else []
    return (*stuck, *blocked)


def _unready(bell: Doorbell, ear: Ear, listener: ListenerStatus) -> tuple[str, ...]:
    if not bell.running:
        return ("the service is not running",)
    if listener.state != State.LISTENING:
        return (f"the listener is {listener.state}: {listener.reason}",)
    unheard = sorted(bell.switchboard.active_channels - ear.listened)
    return tuple(f"LISTEN is not committed for {channel!r}" for channel in unheard)


def _unread(bell: Doorbell, sources: Sources) -> tuple[str, ...]:
    log, told = sources.second, sources.audience
    if log is None or told is None or not bell.running:
        return ()
    if log.state is not State.LISTENING:
        return (f"the write-ahead log is not being read: {_reason(log, told.reason)}",)
    unheard = sorted(bell.tables - told.listened)
    return tuple(f"changes of {table} are not heard of yet" for table in unheard)


def _listener_status(bell: Doorbell, ear: Ear) -> ListenerStatus:
    listener = bell.listener
    return ListenerStatus(
        state=str(listener.state),
        reason=_reason(listener, ear.reason),
        since=ear.since,
        endpoint=getattr(listener, "description", ""),
        channels=tuple(sorted(ear.listened & bell.switchboard.active_channels)),
        probe_latency=getattr(listener, "probe_latency", None),
        queue_usage=getattr(listener, "queue_usage", None),
    )


def _wal_status(bell: Doorbell, sources: Sources) -> WalStatus | None:
    log, told = sources.second, sources.audience
    if log is None or told is None:
        return None
    return WalStatus(
        state=str(log.state),
        reason=_reason(log, told.reason),
        since=told.since,
        endpoint=getattr(log, "description", ""),
        tables=tuple(map(str, sorted(bell.tables & told.listened))),
        probe_latency=getattr(log, "probe_latency", None),
        retained_bytes=getattr(log, "retained_bytes", None),
        rung=dict(told.rung),
    )


def _reason(source: Source, otherwise: str) -> str:
    return str(getattr(source, "reason", otherwise))


def _channel_statuses(bell: Doorbell) -> tuple[ChannelStatus, ...]:
    ringing, counts = bell.channels, bell.switchboard.counts()
    return tuple(
        ChannelStatus(
            name=name,
            rung=counts[name],
            active=view["active"],
            muted=view["muted"],
            rings_loops=name in ringing,
            subscribers=len(view["subscribers"]),
        )
        for name, view in bell.switchboard.channels().items()
    )
