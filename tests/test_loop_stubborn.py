"""Functions that do not end when they are cancelled: one at a time holds all the same."""

import contextlib  # not its suppress alone: trial reads a module's "suppress"
from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import LogLevel

from tests.loops import Boom, Held, LoopCase, Stubborn
from txdoorbell.loop import Loop
from txdoorbell.loops.call import FunctionTimeout


class QueryCanceled(Exception):
    """What a query of txpostgres fails with, some time after it has been cancelled."""


class CancelInProgress(Exception):
    """What the canceller of txpostgres raises."""


def txpostgres_canceller(deferred: Deferred[Any]) -> None:
    """Raise, as the canceller of txpostgres does; the Deferred fails later."""
    raise CancelInProgress()


class StubbornTests(LoopCase):
    """Functions that do not end when they are cancelled: one at a time holds all the same."""

    def test_catches_and_goes_on(self) -> None:
        """A function that goes on is logged as a timeout, and waited for."""
        stubborn, other = Stubborn(), self.scripted()
        loop = self.build(timeout=3)
        loop.add(stubborn, name="mule")
        loop.add(other)
        self.clock.pump([0, 3, 100])
        self.assertEqual((stubborn.cancelled, loop.active, other.calls), (1, "mule", 0))
        self.assertIn("mule timed out: it took more than 3.0 s", self.logged(LogLevel.warn))
        self.assertIn("is still active", self.logged(LogLevel.warn))
        stubborn.fire()
        self.clock.advance(0)
        self.assertEqual(other.calls, 1)
        self.assertQuiet(loop)

    def test_catches_and_returns(self) -> None:
        """A function that takes its cancellation for its end has its result heard."""

        async def function() -> float:
            with contextlib.suppress(CancelledError):
                await Deferred()
            return self.clock.seconds() + 60

        loop = self.build(timeout=3)
        loop.add(function, name="polite")
        self.clock.pump([0, 3])
        self.assertIn("polite timed out", self.logged(LogLevel.warn))
        self.assertEqual(dict(loop.wakeups), {function: self.clock.seconds() + 60})

    def test_other_error(self) -> None:
        """A function that fails otherwise when it is cancelled has that logged, and the timeout."""
        held = Held(lambda deferred: deferred.errback(Boom("undone")))
        loop = self.build(timeout=3)
        loop.add(held, name="clumsy")
        self.clock.pump([0, 3])
        self.assertEqual(len(self.flush(Boom)), 1)
        self.assertIn("clumsy timed out", self.logged(LogLevel.warn))

    def test_canceller_raises(self) -> None:
        """A Deferred whose canceller raises, as txpostgres' do, is waited for."""
        held, other = Held(txpostgres_canceller), self.scripted()
        loop = self.build(held, other, timeout=3)
        self.clock.advance(3)
        self.assertEqual((loop.active, other.calls), ("Held", 0))
        held.pending.pop().errback(QueryCanceled())
        self.clock.advance(0)
        self.assertEqual((len(self.flush(QueryCanceled)), other.calls), (1, 1))
        self.assertIn("Held timed out", self.logged(LogLevel.warn))

    def test_canceller_raises_under_a_coroutine(self) -> None:
        """So is a coroutine that awaits such a Deferred; it sees the error that comes later."""
        held, other, caught = Held(txpostgres_canceller), self.scripted(), []

        async def function() -> None:
            try:
                await held()
            except QueryCanceled as error:
                caught.append(error)

        loop = self.build(function, other, timeout=3)
        self.clock.advance(3)
        self.assertEqual(other.calls, 0)
        held.pending.pop().errback(QueryCanceled())
        self.clock.advance(0)
        self.assertEqual((len(caught), other.calls), (1, 1))
        self.assertQuiet(loop)

    def test_canceller_raises_under_a_generator(self) -> None:
        """So is a generator that has yielded such a Deferred; it is closed when that has fired."""
        held, other, closed = Held(txpostgres_canceller), self.scripted(), []

        def function() -> Iterator[Deferred[Any]]:
            try:
                yield held()
                self.fail("it was cancelled")
            finally:
                closed.append(True)

        loop = self.build(function, other, timeout=3)
        self.clock.advance(3)
        self.assertEqual((other.calls, closed), (0, []))
        held.fire()
        self.clock.advance(0)
        self.assertEqual((other.calls, closed), (1, [True]))
        self.assertEqual(len(self.flush(FunctionTimeout)), 1)
        self.assertTrue(loop.is_quiet())

    def test_generator_that_fails_when_closed(self) -> None:
        """A generator that will not be closed has that logged, and the loop goes on."""

        def function() -> Iterator[Deferred[None]]:
            try:
                yield Deferred()
            finally:
                raise Boom()

        other = self.scripted()
        self.build(function, other, timeout=3)
        self.clock.advance(3)
        self.assertEqual(other.calls, 1)
        self.flush(Boom, FunctionTimeout)

    def test_timeouts_go_on(self) -> None:
        """A function that always times out is tried again and again, at growing intervals."""
        held = Held()
        loop = Loop(self.clock, timeout=1)
        loop.add(held)
        self.started(loop)
        self.clock.pump([1, 5, 1, 10, 1, 20, 1])
        self.assertEqual(held.calls, 4)
        self.assertEqual(len(self.flush(FunctionTimeout)), 4)
