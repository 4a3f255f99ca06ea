"""What ends a process that does not end by itself: a thread, and threads that aren't waited for."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

__all__ = ["LastResort", "leave_threads", "stack_of"]

_SLICE = 0.05
"""Seconds after which a wait looks whether it has become shorter."""


class LastResort:
    """
    A daemon thread that waits, and does not even that before it is asked to.

    :param leave: called once, in that thread, when the time is up.
    """

    def __init__(self, leave: Callable[[], object]) -> None:
        self._leave = leave
        # Of all queues this is the one that a signal handler may use.
        self._ends: SimpleQueue[float] = SimpleQueue()
        threading.Thread(target=self._wait, name="txdoorbell last resort", daemon=True).start()

    def ask(self, seconds: float) -> None:
        """Let the time be up in so many seconds, if it isn't sooner. May be called by anybody."""
        self._ends.put(time.monotonic() + seconds)

    def _wait(self) -> None:
        end = self._ends.get()
        while (left := end - time.monotonic()) > 0:
            with suppress(Empty):
                end = min(end, self._ends.get(timeout=left))
        self._leave()


class _LeftThread(threading.Thread):
    """A thread that is waited for as long as somebody says, and not by Python at its end."""

    def __init__(self, left: Callable[[], float], **options: Any) -> None:
        super().__init__(**options, daemon=True)
        self._left = left

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended, or until it isn't to be waited for any more."""
        if timeout is not None:
            super().join(timeout)
        while timeout is None and self.is_alive() and self._left() > 0:
            super().join(_SLICE)


def leave_threads(pool: Any, left: Callable[[], float]) -> None:
    """
    Have the threads that a pool will make waited for in bounded time.

    :param pool: Twisted's. It has no threads yet.
    :param left: returns for how many seconds they are still to be waited for. It is asked when the
        pool is stopped, and again and again.
    """
    pool.threadFactory = partial(_LeftThread, left)


def stack_of(thread: threading.Thread) -> str:
    """Return where a thread is, in lines."""
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - documented
    return "  (it has ended)\n" if frame is None else "".join(traceback.format_stack(frame))
