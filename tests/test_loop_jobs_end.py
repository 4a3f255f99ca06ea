"""Submitted work that is cancelled, or whose loop stops."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from tests.loops import Boom, Held, LoopCase, Stubborn
from txdoorbell.loop import Loop, LoopStopped


class CancelTests(LoopCase):
    """Cancelling the Deferred of submitted work."""

    def test_before_its_turn(self) -> None:
        """Withdrawn before its turn, it is never called; the other work is."""
        held, work, other = Held(), self.scripted(), self.scripted()
        loop = self.build(held)
        done, kept = loop.submit(work), loop.submit(other)
        done.cancel()
        self.failureResultOf(done, CancelledError)
        held.fire()
        self.clock.advance(0)
        self.assertEqual((work.calls, other.calls), (0, 1))
        self.successResultOf(kept)
        self.assertQuiet(loop)

    def test_the_only_one(self) -> None:
        """When all work is withdrawn, the loop is quiet in its next turn."""
        loop = self.build()
        for done in [loop.submit(self.scripted()) for _ in range(3)]:
            done.cancel()
            self.failureResultOf(done)
        self.clock.advance(0)
        self.assertQuiet(loop)

    def test_active(self) -> None:
        """Cancelled while it is active, what it waits for is cancelled, and the loop goes on."""
        held = Held()
        loop = self.build()
        done = loop.submit(held)
        self.clock.advance(0)
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.clock.advance(0)
        self.assertQuiet(loop)

    def test_stubborn(self) -> None:
        """When it catches its cancellation, it is waited for, though nobody asks for its result."""
        stubborn, other = Stubborn(), self.scripted()
        loop = self.build()
        done = loop.submit(stubborn)
        loop.submit(other)
        self.clock.advance(0)
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.assertEqual((stubborn.cancelled, other.calls), (1, 0))
        stubborn.fire("unheard")
        self.clock.advance(0)
        self.assertEqual(other.calls, 1)
        self.assertQuiet(loop)

    def test_fails_after_it(self) -> None:
        """When it fails otherwise by its cancellation, its Deferred has that error."""
        held = Held(lambda deferred: deferred.errback(Boom()))
        loop = self.build()
        done = loop.submit(held)
        self.clock.advance(0)
        done.cancel()
        self.failureResultOf(done, Boom)
        self.assertEqual(self.logged(), "")

    def test_stubborn_in_a_crash(self) -> None:
        """When its loop crashes after it was cancelled, there is nobody left to be told."""
        stubborn = Stubborn()
        loop = self.build()
        done = loop.submit(stubborn)
        self.clock.advance(0)
        done.cancel()
        self.failureResultOf(done, CancelledError)
        loop.crash()
        self.assertEqual(self.logged(), "")
        stubborn.fire()

    def test_fails_later(self) -> None:
        """When it fails some time after its cancellation, that is logged: nobody else hears."""
        stubborn = Stubborn()
        loop = self.build()
        done = loop.submit(stubborn)
        self.clock.advance(0)
        done.cancel()
        self.failureResultOf(done, CancelledError)
        stubborn.fire(Failure(KeyboardInterrupt()))
        self.assertEqual(len(self.flush(KeyboardInterrupt)), 1)
        self.assertIn("Stubborn failed after it had been cancelled", self.logged())

    def test_by_itself(self) -> None:
        """Cancelled by its own code, what it returns is cancelled."""
        loop, held = self.build(), Held()
        done: Deferred[Any] = loop.submit(lambda: self.cancelled(done) or held())
        self.clock.advance(0)
        self.failureResultOf(done, CancelledError)
        self.assertTrue(held.pending[0].called)
        self.assertQuiet(loop)

    def cancelled(self, done: Deferred[Any]) -> bool:
        """Cancel a Deferred, and return False."""
        done.cancel()
        return False

    def test_after_it(self) -> None:
        """Cancelled when it is done, it does not touch the work that is active then."""
        loop, held = self.build(), Held()
        done = loop.submit(self.scripted("done"))
        other = loop.submit(held)
        self.clock.advance(0)
        done.cancel()
        self.assertEqual(self.successResultOf(done), "done")
        self.assertNoResult(other)
        held.fire()
        self.successResultOf(other)


class StopTests(LoopCase):
    """Submitted work and the stop of its loop."""

    def test_not_begun(self) -> None:
        """Work that has not begun at a stop fails with ``LoopStopped``, and is not called."""
        held, work = Held(), self.scripted(name="work")
        loop = self.build(held)
        done = loop.submit(work)
        loop.stopService()
        failure = self.failureResultOf(done, LoopStopped)
        self.assertIn("work", str(failure.value))
        held.fire()
        self.clock.advance(0)
        self.assertEqual(work.calls, 0)

    def test_active(self) -> None:
        """Work that is active at a stop is waited for."""
        held = Held()
        loop = self.build()
        done = loop.submit(held)
        self.clock.advance(0)
        stopping = loop.stopService()
        self.assertNoResult(done)
        held.fire("in time")
        self.assertEqual(self.successResultOf(done), "in time")
        self.successResultOf(stopping)

    def test_deadline(self) -> None:
        """At the deadline it is cancelled; left behind, its Deferred fails with ``LoopStopped``."""
        loop = self.build(stop_timeout=7)
        done = loop.submit(Held())
        self.clock.advance(0)
        loop.stopService()
        self.clock.pump([7, 0.1])
        self.failureResultOf(done, CancelledError)
        stubborn = Stubborn()
        loop = self.build(stop_timeout=7)
        done = loop.submit(stubborn)
        self.clock.advance(0)
        loop.stopService()
        self.clock.pump([7, 0.1])
        self.failureResultOf(done, LoopStopped)
        stubborn.fire("unheard")

    def test_after_it(self) -> None:
        """Work submitted after a stop fails at once, and the log says so."""
        loop = self.build()
        loop.stopService()
        self.failureResultOf(loop.submit(self.scripted(name="work")), LoopStopped)
        self.assertIn("loop has stopped: submit(work) is ignored", self.logged())

    def test_while_stopping(self) -> None:
        """Nor does it begin while the loop stops."""
        held = Held()
        loop = self.build(held)
        loop.stopService()
        self.failureResultOf(loop.submit(self.scripted()), LoopStopped)
        held.fire()

    def test_while_restarting(self) -> None:
        """Submitted while the loop stops to begin anew, it is done then."""
        held = Held()
        loop = self.build(held)
        loop.stopService()
        loop.startService()
        done = loop.submit(self.scripted("done"))
        held.fire()
        self.clock.advance(0)
        self.assertEqual(self.successResultOf(done), "done")
        held.fire()

    def test_whoever_is_told_starts_it(self) -> None:
        """A loop may be started again by the errback of work that its stop has failed."""
        function = self.scripted()
        loop = self.build(function)
        loop.submit(self.scripted()).addErrback(lambda _: loop.startService())
        self.successResultOf(loop.stopService())
        self.clock.advance(0)
        self.assertEqual((function.calls, loop.running), (2, 1))

    def test_its_callback_stops_the_loop(self) -> None:
        """The Deferred's callback may stop the loop, or crash it: nothing more is called."""
        for end in (Loop.stopService, Loop.crash):
            for held in (None, Held()):
                function = self.scripted()
                loop = self.build(function)
                done = loop.submit(held or self.scripted())
                done.addCallback(self.ending, loop, end)
                loop.trigger()
                self.clock.advance(0)
                if held is not None:
                    held.fire()
                self.clock.advance(100)
                self.successResultOf(done)
                self.assertEqual((function.calls, loop.is_quiet()), (1, True))

    def ending(self, _: object, loop: Loop, end: Callable[[Loop], object]) -> None:
        """End a loop in a callback."""
        end(loop)
