"""
The silent-miss alarm: work found in a run of the safety net that no ring had announced.

That is the one true symptom of deafness. A ring that is on its way is waited for first; and while
the listener says itself that it does not hear, nobody need be told.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from txdoorbell.loops.causes import Cause
from txdoorbell.loops.loopbase import LoopBase
from txdoorbell.processor import Processor

GRACE = 5.0
"""Seconds in which a ring may still arrive for work that was found without one."""


class Alarm:
    """
    Listens to what loops find, and warns of what was not announced.

    The first miss of a function is a warning, and then each time that their number has doubled.

    :param hears: whether the session is reported healthy.
    :ivar misses: how many there were, of all functions.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, hears: Callable[[], bool]) -> None:
        self.misses = 0
        self._clock = clock
        self._hears = hears
        self._of: dict[str, int] = {}
        self._doubts: list[IDelayedCall] = []

    def watch(self, loop: LoopBase) -> None:
        """Listen to a loop."""
        loop.on_find = lambda processor: self._found(loop, processor)

    def _found(self, loop: LoopBase, processor: Processor) -> None:
        if processor.cause is Cause.INTERVAL and self._hears():
            announced = loop.announced_before_run
            self._doubts = [doubt for doubt in self._doubts if doubt.active()]
            judge = self._clock.callLater(GRACE, self._judge, loop, processor, announced)
            self._doubts.append(judge)

    def stop(self) -> None:
        """Let those in doubt be."""
        for doubt in self._doubts:
            if doubt.active():
                doubt.cancel()
        self._doubts = []

    def _judge(self, loop: LoopBase, processor: Processor, announced: int) -> None:
        if loop.announced != announced or not self._hears():
            return
        self.misses += 1
        number = self._of[processor.name] = self._of.get(processor.name, 0) + 1
        if number & (number - 1) == 0:
            self.log.warn(
                "{loop}: {name} found work that no ring announced, though the listener hears "
                "({number} so far): does somebody not ring, or on another channel?",
                loop=loop.name,
                name=processor.name,
                number=number,
            )
