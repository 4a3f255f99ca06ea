"""Iterators, stepped cooperatively until they have really ended."""

from __future__ import annotations

import inspect
import time
import traceback
from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python import log
from twisted.python.failure import Failure

from txdoorbell.loops.policy import SLICE
from txdoorbell.loops.waiting import Finished, ForDeferred


class ForIterator:
    """
    Step an iterator to its end, giving the reactor its turns, and wait for that.

    A Deferred that it yields is waited for; when that fails, the iterator has failed. Its result is
    the generator's return value, None for another iterator.
    """

    def __init__(self, iterator: Iterator[Any], reactor: IReactorTime) -> None:
        self._iterator = iterator
        self._reactor = reactor
        self._timer: IDelayedCall | None = None
        self._yielded: ForDeferred | None = None
        self._cancelled = False

    def start(self, finished: Finished) -> None:
        """Take the first steps in the next turn of the reactor."""
        self._finished = finished
        if self._cancelled:
            self._end(Failure(CancelledError()))
        else:
            self._step_later()

    def cancel(self) -> None:
        """Cancel the Deferred that is waited for, then close the generator."""
        self._cancelled = True
        if self._yielded is not None:
            self._yielded.cancel()
        elif self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._end(Failure(CancelledError()))

    def where(self) -> str:
        """Show the stack of the generator; name any other iterator."""
        frame = getattr(self._iterator, "gi_frame", None)
        if frame is None:
            return f"  stepping {self._iterator!r}"
        return "".join(traceback.format_stack(frame, 1))

    def _step_later(self) -> None:
        self._timer = self._reactor.callLater(0, self._steps)

    def _steps(self) -> None:
        self._timer = None
        end = time.monotonic() + SLICE
        try:
            yielded = next(self._iterator)
            while not (self._cancelled or isinstance(yielded, Deferred) or time.monotonic() >= end):
                yielded = next(self._iterator)
        except StopIteration as stop:
            self._finished(stop.value)
        except BaseException:  # noqa: BLE001 - whatever it raises is its result
            self._finished(Failure())
        else:
            self._after(yielded)

    def _after(self, yielded: object) -> None:
        if isinstance(yielded, Deferred):
            self._yielded = ForDeferred(yielded)
            if self._cancelled:
                self._yielded.cancel()
            self._yielded.start(self._came)
        elif self._cancelled:
            self._end(Failure(CancelledError()))
        else:
            self._step_later()

    def _came(self, result: object) -> None:
        self._yielded = None
        if isinstance(result, Failure):
            self._end(result)
        elif self._cancelled:
            self._end(Failure(CancelledError()))
        else:
            self._step_later()

    def _end(self, failure: Failure) -> None:
        try:
            if inspect.isgenerator(self._iterator):
                self._iterator.close()
        except BaseException:  # noqa: BLE001 - the user's code
            log.err(None, "a generator failed while it was closed")
        self._finished(failure)
