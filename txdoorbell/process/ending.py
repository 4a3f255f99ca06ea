"""
The end of a process: in bounded time, whatever its functions do.

Twisted waits for ever, for each service and for each thread of its pool. Here no wait is without
end, a second signal ends all of them, and when the reactor can't see to it a thread does.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from twisted.application.service import Service
from twisted.logger import Logger

from txdoorbell.doorbell import Doorbell
from txdoorbell.process.exitstatus import exit_with, wanted_status
from txdoorbell.process.lastresort import LastResort, leave_threads, stack_of

__all__ = ["Ending"]

GRACE = 30.0
"""Seconds that the end may take beyond ``stop_timeout``: PostgreSQL's own, for one."""

THREADS = 2.0
"""Seconds for which the pool's threads are waited for when all else has ended."""

HURRY = 1.0
"""Seconds for which anything is still waited for after a second signal."""

NOT_ENDED = 1
"""The exit status of a process that has not ended by itself, where no signal says another."""


class Ending(Service):
    """
    Sees to it that a process ends when it is to end.

    It is a child service of the process's doorbell. After the first signal, or ``reactor.stop()``,
    the loops have their ``stop_timeout``; threads that don't end by then are left behind. After a
    second one, SIGTERM or SIGINT, whatever is active or due is left undone. Each of these is told
    in the log, and twistd ends as usual. When it doesn't, in ``stop_timeout`` and the grace or soon
    after the second signal, the process is ended by force; its exit status is then that of
    :func:`~txdoorbell.process.exitstatus.exit_with`, else 128 and the signal's number.

    :param reactor: the process's; its thread pool has not been used yet.
    :param grace: seconds.
    :param pidfile: is removed when the process is ended by force.
    """

    log = Logger()

    def __init__(
        self, reactor: Any, bell: Doorbell, grace: float = GRACE, pidfile: str | None = None
    ) -> None:
        self._reactor = reactor
        self._bell = bell
        self._grace = grace
        self._pidfile = pidfile
        self._last_resort: LastResort | None = None
        self._handlers: dict[int, Any] = {}
        self._signal = 0
        self._is_ending = self._is_hurried = False
        self._threads_since = 0.0

    def startService(self) -> None:
        """Begin to look after the end."""
        super().startService()
        if self._last_resort is None:
            self._last_resort = LastResort(self._leave)
            self._pool = self._reactor.getThreadPool()
            leave_threads(self._pool, self._time_for_threads)
            self._reactor.callWhenRunning(self._watch_signals)
            self._reactor.addSystemEventTrigger("before", "shutdown", self._begin)
            self._reactor.addSystemEventTrigger("after", "shutdown", self._report_threads)

    # -- the first time

    def _watch_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            if callable(handler := signal.getsignal(number)):
                self._handlers[number] = handler
                signal.signal(number, self._signalled)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        if self._is_ending:
            self._is_hurried = True
            self._ask(3 * HURRY)
            self._reactor.callFromThread(self._hurry)
        else:
            self._signal = number
            self._begin()
            self._handlers[number](number, frame)

    def _begin(self) -> None:
        if not self._is_ending:
            self._is_ending = True
            self._ask(max(loop.stop_timeout for loop in self._bell.loops) + self._grace)

    def _ask(self, seconds: float) -> None:
        if self._last_resort is not None:
            self._last_resort.ask(seconds)

    # -- the second time

    def _hurry(self) -> None:
        self.log.warn("told to stop again: nothing is waited for any more")
        for loop in self._bell.loops:
            for undone in loop.crash():
                name = loop.name_of(undone)
                self.log.warn("{loop}: {name} is left undone", loop=loop.name, name=name)
        self._reactor.callLater(HURRY, self._cut)

    def _cut(self) -> None:
        if self._reactor.running:  # until the pool's threads are waited for
            self.log.error("the services have not stopped; they are left as they are")
            self._reactor.crash()

    # -- threads

    def _time_for_threads(self) -> float:
        now = time.monotonic()
        self._threads_since = self._threads_since or now
        # Those without work take a moment, too.
        return (HURRY / 4 if self._is_hurried else THREADS) - (now - self._threads_since)

    def _report_threads(self) -> None:
        for thread in self._pool.threads:
            if thread.is_alive():
                exit_with(wanted_status() or NOT_ENDED)
                self.log.error(
                    "a thread of the pool has not ended, and is left behind:\n{stack}",
                    stack=stack_of(thread),
                )

    # -- by force

    def _leave(self) -> None:
        # The log may be what everything waits for.
        telling = threading.Thread(target=self._tell, daemon=True)
        telling.start()
        telling.join(HURRY)
        if self._pidfile:
            with suppress(OSError):
                Path(self._pidfile).unlink()
        os._exit(wanted_status() or (self._signal and 128 + self._signal) or NOT_ENDED)

    def _tell(self) -> None:
        self.log.critical(
            "the process has not ended, and is ended by force; active: {active}; the reactor is at:"
            "\n{stack}",
            active=", ".join(loop.active for loop in self._bell.loops if loop.active) or "nothing",
            stack=stack_of(threading.main_thread()),
        )
        sys.stdout.flush()
        sys.stderr.flush()
