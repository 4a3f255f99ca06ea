"""
Who sleeps until when: a heap of wake-up times that survives a wall clock which jumps.

A wake-up has two conditions: the wall clock has reached the time asked for, and the minimum delay
has passed on the monotonic clock. The heap is ordered by the wall-clock time at which both will be
true while the two clocks keep their distance; when the distance changes, the heap is built anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from heapq import heappop, heappush
from types import MappingProxyType

from txdoorbell.processor import Processor

STEP = 0.25
"""Seconds by which the two clocks may drift apart before the heap is built anew."""

LONGEST_SLEEP = 3600.0
"""Seconds after which a sleeping loop looks at its clocks again, whatever it waits for."""


class Wakeups:
    """
    The pending wake-ups of one loop; at most one for each processor.

    Setting, cancelling and taking one costs O(log n), however many sleep.

    :param epoch: the wall clock, in epoch seconds.
    :param monotonic: a clock that never jumps.
    """

    def __init__(self, epoch: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._epoch = epoch
        self.monotonic = monotonic
        self._distance = epoch() - monotonic()
        self._heap: list[tuple[float, int, Processor]] = []
        self._sequence = 0
        self._times: dict[Hashable, float] = {}
        self.times: Mapping[Hashable, float] = MappingProxyType(self._times)
        """What the user registered -> epoch seconds; live, read-only."""

    def distance(self) -> float:
        """Return the seconds from the monotonic clock to the wall clock, as they are now."""
        return self._epoch() - self.monotonic()

    def set(self, processor: Processor, requested: float, delay: float) -> None:
        """
        Have a processor woken, in place of whatever wake-up it had.

        :param requested: not before this wall-clock time, in epoch seconds. One that has passed
            has passed for good, also when the wall clock is set back.
        :param delay: and not before so many seconds have passed from now.
        """
        processor.requested = requested if requested > self._epoch() else -math.inf
        processor.not_before = self.monotonic() + delay
        self._push(processor)
        if len(self._heap) > 64 + 2 * len(self._times):
            self._rebuild()

    def cancel(self, processor: Processor) -> None:
        """Forget a processor's wake-up; harmless when it has none."""
        if processor.wake is not None:
            processor.wake = None
            self._times.pop(processor.key, None)

    def restore(self, processor: Processor) -> None:
        """Set the wake-up that was cancelled last, as it was."""
        self._push(processor)

    def take_due(self) -> Sequence[Processor]:
        """Take out every processor whose time has come, the earliest first."""
        if not self._heap:
            return ()
        taken = []
        now, monotonic = self._epoch(), self.monotonic()
        self._settle(now - monotonic)
        while self._heap and self._heap[0][0] <= now:
            entry = heappop(self._heap)
            processor = entry[2]
            if processor.wake is not entry:
                continue
            if processor.not_before > monotonic:
                left = processor.not_before - monotonic
                self._push(processor, max(now + left, math.nextafter(now, math.inf)))
                continue
            self.cancel(processor)
            taken.append(processor)
        return taken

    def delay(self) -> float | None:
        """Return the seconds until the next look is due, or None when nobody sleeps."""
        while self._heap and self._heap[0][2].wake is not self._heap[0]:
            heappop(self._heap)
        if not self._heap:
            return None
        now = self._epoch()
        self._settle(now - self.monotonic())
        return min(max(0.0, self._heap[0][0] - now), LONGEST_SLEEP)

    def resettle(self) -> None:
        """Order the heap anew when the wall clock has been stepped."""
        self._settle(self.distance())

    def _settle(self, distance: float) -> None:
        if abs(distance - self._distance) > STEP:
            self._distance = distance
            self._rebuild()

    def _push(self, processor: Processor, at: float | None = None) -> None:
        if at is None:
            at = max(processor.requested, processor.not_before + self._distance)
        self._sequence += 1
        processor.wake = (at, self._sequence, processor)
        if processor.listed:
            self._times[processor.key] = at
        heappush(self._heap, processor.wake)

    def _rebuild(self) -> None:
        sleeping = [entry[2] for entry in self._heap if entry[2].wake is entry]
        self._heap.clear()
        for processor in sleeping:
            self._push(processor)
