"""What the tests of loops share: one builder, functions that do as told, and what was logged."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.python.log import textFromEventDict
from twisted.trial.unittest import SynchronousTestCase

from txdoorbell.loop import Loop
from txdoorbell.loops.loopbase import LoopBase
from txdoorbell.notification import Notification

AnyLoop = TypeVar("AnyLoop", bound=LoopBase)


class Scripted:
    """
    A function that does as told, and notes when.

    :param results: one for each call, the last one for all further calls; none at all is None. An
        exception is raised, a callable is called for its result.
    """

    def __init__(self, clock: Clock, *results: object, name: str = "scripted") -> None:
        self.times: list[float] = []
        self.__qualname__ = name
        self._clock = clock
        self._results = list(results) or [None]

    def __repr__(self) -> str:
        return self.__qualname__

    def __call__(self) -> object:
        """Note the time, and do what comes next."""
        self.times.append(self._clock.seconds())
        result = self._results[0] if len(self._results) == 1 else self._results.pop(0)
        if isinstance(result, BaseException):
            raise result
        return result() if callable(result) else result

    @property
    def calls(self) -> int:
        """How often it was called."""
        return len(self.times)


def noting(
    notes: list[Any], note: object, function: Callable[..., object] | None = None
) -> Callable[..., object]:
    """
    Return a function that takes a note when it is called.

    :param function: called then for the result, which is None without.
    """

    def noted(*args: object) -> object:
        notes.append(note)
        return None if function is None else function(*args)

    return noted


class Held:
    """
    A function that returns a Deferred each time, which the test fires.

    :param canceller: given to each Deferred.
    """

    def __init__(self, canceller: Callable[[Deferred[Any]], Any] | None = None) -> None:
        self.pending: list[Deferred[Any]] = []
        self.calls = 0
        self._canceller = canceller

    def __call__(self) -> Deferred[Any]:
        """Begin something that takes as long as the test likes."""
        self.calls += 1
        self.pending.append(Deferred(self._canceller))
        return self.pending[-1]

    def fire(self, result: object = None) -> None:
        """End the oldest."""
        self.pending.pop(0).callback(result)


class Stubborn(Held):
    """A coroutine function that catches its cancellation, and goes on until the test fires it."""

    def __init__(self, result: object = None) -> None:
        super().__init__()
        self.cancelled = 0
        self._result = result

    async def _go_on(self) -> object:
        while True:
            try:
                return await super().__call__()
            except Exception:  # noqa: BLE001 - this is what it is for
                self.cancelled += 1

    def __call__(self) -> Any:
        """Begin something that does not end when it is cancelled."""
        return self._go_on()

    def fire(self, result: object = None) -> None:
        """End the last thing it waits for."""
        self.pending.pop().callback(result)


class LoopCase(SynchronousTestCase):
    """Tests of a loop on a Clock, on which nothing may be left at the end."""

    def setUp(self) -> None:
        """Make the clock, late enough for every moment to be one, and gather what is logged."""
        self.clock = Clock()
        self.clock.advance(1_000_000.0)
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))
        self.events: list[LogEvent] = []
        observe = cast(ILogObserver, self.events.append)
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def scripted(self, *results: object, name: str = "scripted") -> Scripted:
        """Return a function that does as told."""
        return Scripted(self.clock, *results, name=name)

    def build(self, *functions: Callable[..., object], **options: Any) -> Loop:
        """Return a loop that has been started and has these functions; it is stopped at the end."""
        loop = Loop(self.clock, **options)
        for function in functions:
            loop.add(function)
        return self.started(loop)

    def started(self, loop: AnyLoop) -> AnyLoop:
        """Start a loop, let it do what is due, and see to it that it is stopped at the end."""
        self.addCleanup(self.stopped, loop)
        loop.startService()
        self.clock.advance(0)
        return loop

    def stopped(self, loop: LoopBase) -> None:
        """Stop a loop, past its deadline if need be."""
        stopping = loop.stopService()
        self.clock.advance(0)
        if not stopping.called:
            self.clock.advance(1_000_000.0)
        self.successResultOf(stopping)

    def ring(self, loop: LoopBase, channel: str = "doorbell", payload: str = "") -> None:
        """Ring as a NOTIFY would, and let the loop do what is due."""
        loop.notified(Notification(channel, payload, 1))
        self.clock.advance(0)

    def trigger(self, loop: LoopBase) -> None:
        """Ring for everyone, and let the loop do what is due."""
        loop.trigger()
        self.clock.advance(0)

    def logged(self, level: LogLevel | None = None) -> str:
        """Return what has been logged, of one level or of all; tracebacks included."""
        chosen = [e for e in self.events if level is None or e.get("log_level") is level]
        return "\n".join(textFromEventDict(e) or formatEvent(e) for e in chosen)

    def flush(self, *types: type[BaseException]) -> list[Failure]:
        """Return the errors of these types that went to ``log.err``, and take them as expected."""
        return list(self.flushLoggedErrors(*types))

    def assertQuiet(self, loop: LoopBase) -> None:
        """The loop is quiet, by all that it says."""
        self.assertTrue(loop.is_quiet())
        self.assertEqual(loop.rung, loop.covered)
        self.assertIsNone(self.successResultOf(loop.when_quiet()))

    def assertBusy(self, loop: LoopBase) -> None:
        """The loop is not quiet, by all that it says."""
        self.assertFalse(loop.is_quiet())
        waiter = loop.when_quiet()
        self.assertNoResult(waiter)
        waiter.cancel()
        self.failureResultOf(waiter)


class Boom(Exception):
    """The error of a user's function."""
