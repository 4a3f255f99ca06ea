"""Taking the snapshot that is a loop's status."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from txdoorbell.status import (
    FunctionStatus,
    LoopStatus,
)

if TYPE_CHECKING:
    from txdoorbell.loops.runner import Runner
    from txdoorbell.processor import Processor


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
