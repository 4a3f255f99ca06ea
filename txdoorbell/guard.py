"""A thread that sees what a reactor can't see of itself: a block, and a step of its clock."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import cast

from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger

STEP = 0.25
"""Seconds by which the clocks must part between two looks; a slow correction is no step."""

TICK = 0.9
"""Seconds between two looks."""


class Guard:
    """
    Looks after a reactor, from a daemon thread, on the monotonic clock.

    The reactor is asked for a sign of life a few times in ``slow_after`` seconds, so that an idle
    process stays idle.

    :param stepped: called in the reactor's thread with the seconds by which the wall clock has been
        stepped; negative is back. A machine that slept looks like a step forward.
    :param slow_after: seconds without a sign of life after which the reactor counts as blocked; the
        stack of its thread is logged then, once for each time.
    """

    log = Logger()

    def __init__(
        self,
        reactor: IReactorFromThreads,
        stepped: Callable[[float], object],
        slow_after: float = 30.0,
        epoch: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reactor = reactor
        self._stepped = stepped
        self._slow_after = slow_after
        self._epoch = epoch
        self._monotonic = monotonic
        self._distance = 0.0
        self._asked: float | None = None
        self._answered = 0.0
        self._blocked_since: float | None = None
        self._watched = 0
        self._end: threading.Event | None = None

    @property
    def blocked_for(self) -> float:
        """Seconds for which the reactor has been blocked; 0 while it is not."""
        since = self._blocked_since
        return 0.0 if since is None else self._monotonic() - since

    def start(self) -> None:
        """Begin to look; from the reactor's thread."""
        self.begin()
        end = self._end = threading.Event()
        threading.Thread(
            target=self._watch, args=(end,), name="txdoorbell guard", daemon=True
        ).start()

    def stop(self) -> None:
        """Look no more; harmless when it was not started."""
        end, self._end = self._end, None
        if end is not None:
            end.set()

    def _watch(self, end: threading.Event) -> None:
        while not end.wait(TICK):
            self.look()

    def begin(self) -> None:
        """Take down what is normal: the thread to watch, and the clocks as they are."""
        self._watched = threading.get_ident()
        self._distance = self._epoch() - self._monotonic()
        self._asked = self._blocked_since = None
        self._answered = self._monotonic()

    def look(self) -> None:
        """Look once at the clocks and at the reactor."""
        distance = self._epoch() - self._monotonic()
        step, self._distance = distance - self._distance, distance
        if abs(step) > STEP:
            self.log.warn("the wall clock has been stepped by {step:+.2f} s", step=step)
            self._reactor.callFromThread(self._stepped, step)
        self._look_at_reactor(self._monotonic())

    def _look_at_reactor(self, now: float) -> None:
        asked = self._asked
        if asked is None:
            if now - self._answered >= self._slow_after / 3:
                self._asked = now
                self._reactor.callFromThread(self._answer)
        elif self._blocked_since is None and now - asked >= self._slow_after:
            self._blocked_since = asked
            self._report(now - asked)

    def _report(self, seconds: float) -> None:
        frame = sys._current_frames().get(self._watched)  # noqa: SLF001 - documented
        stack = "".join(traceback.format_stack(frame)) if frame is not None else "(no stack)"
        self.log.error(
            "the reactor has been blocked for {seconds:.1f} s:\n{stack}",
            seconds=seconds,
            stack=stack,
        )

    def _answer(self) -> None:
        self._answered = self._monotonic()
        self._asked = None
        if self._blocked_since is not None:
            self.log.warn(
                "the reactor runs again, after {seconds:.1f} s",
                seconds=self._answered - self._blocked_since,
            )
            self._blocked_since = None


class NoGuard(Guard):
    """Looks after nothing: for a test's clock, which is neither stepped nor blocked."""

    def start(self) -> None:
        """Do nothing."""


def guard_of(
    reactor: object, stepped: Callable[[float], object], slow_after: float = 30.0
) -> Guard:
    """Return a guard for a reactor; for a clock without threads, one that does nothing."""
    kind = Guard if hasattr(reactor, "callFromThread") else NoGuard
    return kind(cast(IReactorFromThreads, reactor), stepped, slow_after)
