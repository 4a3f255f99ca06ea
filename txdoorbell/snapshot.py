"""Taking the snapshot that is a doorbell's status."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from txdoorbell.notification import State
from txdoorbell.status import (
    ChannelStatus,
    DoorbellStatus,
    FunctionStatus,
    ListenerStatus,
    LoopStatus,
)

if TYPE_CHECKING:
    from txdoorbell.doorbell import Doorbell
    from txdoorbell.ear import Ear
    from txdoorbell.processor import Processor
    from txdoorbell.runner import Runner


def loop_status(runner: Runner) -> LoopStatus:
    """Return how a loop is."""
    epoch = runner.wakeups.distance()
    active = runner.active_processor
    functions = tuple(
        _function_status(processor, processor is active, epoch)
        for processor in runner.agenda.processors.values()
    )
    return LoopStatus(
        name=runner.policy.name,
        state=runner.state.value,
        active=runner.active,
        active_since=None if active is None else _epoch(active.record.began, epoch),
        stuck=runner.stuck,
        rung=runner.agenda.rung,
        covered=runner.agenda.covered,
        submitted=len(runner.jobs),
        runs={cause.word: count for cause, count in runner.agenda.runs.items()},
        finds={cause.word: count for cause, count in runner.results.finds.items()},
        latencies=runner.response.latencies,
        functions=functions,
    )


def _function_status(processor: Processor, active: bool, epoch: float) -> FunctionStatus:
    record = processor.record
    channels = processor.channels
    return FunctionStatus(
        name=processor.name,
        channels=None if channels is None else tuple(sorted(channels)),
        active=active,
        muted=processor.muted,
        runs=record.runs,
        errors=record.errors,
        failures_in_a_row=processor.failures,
        finds=record.finds,
        cause=processor.cause.word,
        began=_epoch(record.began, epoch),
        took=record.took,
        succeeded=_epoch(record.succeeded, epoch),
        result=_result(record.result),
        error=record.error,
        wakes=None if processor.wake is None else processor.wake[0],
        durations=record.durations(active),
    )


def _result(result: object) -> str:
    return result.name if isinstance(result, Enum) else repr(result)


def _epoch(seconds: float | None, epoch: float) -> float | None:
    return None if seconds is None else seconds + epoch


def doorbell_status(bell: Doorbell, ear: Ear, misses: int, blocked_for: float) -> DoorbellStatus:
    """Return how a doorbell is."""
    loops = tuple(loop.status() for loop in bell.loops)
    listener = _listener_status(bell, ear)
    return DoorbellStatus(
        now=ear.now,
        name=bell.name or "doorbell",
        running=bool(bell.running),
        sick=_sick(loops, blocked_for),
        unready=_unready(bell, ear, listener),
        misses=misses,
        interval=bell.interval,
        listener=listener,
        loops=loops,
        channels=_channel_statuses(bell),
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


def _listener_status(bell: Doorbell, ear: Ear) -> ListenerStatus:
    listener = bell.listener
    return ListenerStatus(
        state=str(listener.state),
        reason=getattr(listener, "reason", ear.reason),
        since=ear.since,
        endpoint=getattr(listener, "description", ""),
        channels=tuple(sorted(ear.listened & bell.switchboard.active_channels)),
        probe_latency=getattr(listener, "probe_latency", None),
        queue_usage=getattr(listener, "queue_usage", None),
    )


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
