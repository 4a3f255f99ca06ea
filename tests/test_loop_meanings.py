"""What results mean that come late, and what is no result at all."""

import enum
import math
from collections.abc import AsyncIterator, Callable, Generator
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial

from twisted.internet.defer import Deferred, succeed

from tests.loops import LoopCase
from txdoorbell import WORK_REMAINING


class Foreign(enum.Enum):
    """An enum of somebody else."""

    SOMETHING_ELSE = "something_else"


async def none() -> None:
    """Do nothing, as a coroutine."""


class NestedTests(LoopCase):
    """The result of what is waited for, by the same table."""

    def test_every_kind_by_every_way(self) -> None:
        """Each meaning is the same by a Deferred, a coroutine, a generator or several of them."""
        for wrap in WRAPS:
            with self.subTest(repr(wrap)):
                at = self.clock.seconds() + 60
                function = self.scripted(
                    *[partial(wrap, result) for result in (WORK_REMAINING, at, None)]
                )
                loop = self.build(function)
                self.clock.advance(0)
                self.assertEqual((function.calls, loop.wakeups.get(function)), (2, at))
                self.clock.advance(60)
                self.clock.advance(0)
                self.assertEqual((function.calls, dict(loop.wakeups)), (3, {}))
                self.assertQuiet(loop)

    def test_a_bad_result_of_a_deferred(self) -> None:
        """A result that means nothing is an error also when it comes late."""
        for wrap in WRAPS:
            self.build(self.scripted(partial(wrap, "text"), None))
            self.clock.advance(0)
            self.assertEqual(len(self.flush(TypeError)), 1)


class BadResultTests(LoopCase):
    """Anything else: an error, which names the function."""

    def assertRefused(self, result: object, error: type[Exception]) -> None:
        """Such a result is logged as an error of the function, and it is tried again in 5 s."""
        function = self.scripted(result, None, name="sloppy")
        other = self.scripted()
        loop = self.build(function, other)
        self.assertEqual(other.calls, 1)
        (failure,) = self.flush(error)
        self.assertIn("sloppy returned", str(failure.value))
        self.assertIn("loop: sloppy failed; it is tried again in 5 s", self.logged())
        self.assertEqual(loop.wakeups[function], self.clock.seconds() + 5)
        self.clock.advance(5)
        self.assertEqual((function.calls, dict(loop.wakeups)), (2, {}))

    def test_wrong_type(self) -> None:
        """bool, str and the like are no result; True is not one second after the epoch."""

        async def items() -> AsyncIterator[int]:
            yield 1

        results = [True, False, "later", b"", [], (), {}, object(), 1j, Decimal(9), Fraction(1, 2)]
        results += [Foreign.SOMETHING_ELSE, timedelta(1), datetime, ValueError, none, items()]
        for result in results:
            with self.subTest(repr(result)):
                self.assertRefused(lambda result=result: result, TypeError)

    def test_no_moment(self) -> None:
        """NaN, infinity, numbers beyond a float, and a datetime without a zone are no moments."""
        naive = datetime(2026, 1, 1)  # noqa: DTZ001 - it is the point
        for result in (math.nan, math.inf, -math.inf, 10**400, -(10**400), naive):
            with self.subTest(repr(result)[:20]):
                self.assertRefused(result, ValueError)

    def test_beyond_words(self) -> None:
        """A number too long to be written down is refused like any other."""
        function = self.scripted(10**5000, None, name="sloppy")
        self.build(function)
        self.assertEqual(len(self.flush(ValueError)), 1)
        self.assertIn("loop: sloppy failed", self.logged())

    def test_hostile(self) -> None:
        """A result whose every method raises is refused, and stops nobody."""

        class Hostile:
            def __getattribute__(self, name: str) -> object:
                raise RuntimeError(name)

            def __repr__(self) -> str:
                raise RuntimeError("repr")

        other = self.scripted()
        self.build(self.scripted(Hostile, None), other)
        self.assertEqual(other.calls, 1)
        self.assertEqual(len(self.flush(RuntimeError, TypeError)), 1)


def deferred(result: object) -> Deferred[object]:
    """Return it by a Deferred that has fired."""
    return succeed(result)


async def coroutine(result: object) -> object:
    """Return it by a coroutine."""
    return await succeed(result)


def generator(result: object) -> Generator[object, None, object]:
    """Return it by a generator."""
    yield succeed("not the result")
    return result


async def deferred_in_coroutine(result: object) -> object:
    """Return a Deferred as the result of a coroutine."""
    return deferred(result)


def coroutine_in_deferred(result: object) -> object:
    """Return a coroutine as the result of a Deferred."""
    return deferred(coroutine(result))


async def generator_in_coroutine(result: object) -> object:
    """Return a generator as the result of a coroutine."""
    return generator(result)


def deferred_in_generator(result: object) -> Generator[object, None, object]:
    """Return a Deferred as the return value of a generator."""
    yield 1
    return deferred(result)


def all_in_all(result: object) -> Generator[object, None, object]:
    """Return a coroutine, of which comes a Deferred, of which comes a generator."""
    yield 1
    return coroutine_in_deferred(generator_in_coroutine(deferred_in_generator(result)))


class Awaitable:
    """An object that can be awaited, and is nothing else."""

    def __init__(self, result: object) -> None:
        self._result = result

    def __await__(self):  # type: ignore[no-untyped-def]
        """Return what it was made of, after a Deferred."""
        yield from succeed(1).__await__()
        return self._result


WRAPS: list[Callable[[object], object]] = [
    deferred,
    coroutine,
    generator,
    deferred_in_coroutine,
    coroutine_in_deferred,
    generator_in_coroutine,
    deferred_in_generator,
    all_in_all,
    Awaitable,
]
