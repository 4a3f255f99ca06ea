"""Blocking functions on a clock that has no threads; in real ones see test_loop_threads."""

from collections.abc import Callable, Iterator
from functools import partial

from twisted.internet.defer import Deferred

from tests.loops import Boom, Held, LoopCase
from txdoorbell.loop import Loop


class BlockingTests(LoopCase):
    """Blocking functions on a clock, which has no threads: they are called in place."""

    def run_blocking(self, function: Callable[[], object]) -> Loop:
        """Return a loop that has called a blocking function."""
        loop = Loop(self.clock)
        loop.add(function, blocking=True)
        return self.started(loop)

    def test_in_place(self) -> None:
        """It is called like any other, and its result and its errors mean the same."""
        function = self.scripted(Boom(), 0, None)
        loop = self.run_blocking(function)
        self.assertEqual(len(self.flush(Boom)), 1)
        self.clock.pump([5, 5])
        self.assertEqual(function.calls, 3)
        self.assertQuiet(loop)

    def test_returns_what_is_waited_for(self) -> None:
        """A Deferred, a coroutine or a generator that it returns is waited for."""

        async def coroutine(held: Held) -> None:
            await held()

        def generator(held: Held) -> Iterator[Deferred[None]]:
            yield held()

        kinds: list[Callable[[Held], object]] = [lambda held: held(), coroutine, generator]
        for kind in kinds:
            held = Held()
            loop = self.run_blocking(partial(kind, held))
            self.assertFalse(loop.is_quiet())
            held.fire()
            self.clock.advance(0)
            self.assertQuiet(loop)

    def test_leaves(self) -> None:
        """One that would end the program has failed, and no more."""
        loop = self.run_blocking(self.scripted(SystemExit(), None))
        self.assertEqual(len(self.flush(SystemExit)), 1)
        self.assertTrue(loop.is_quiet())
