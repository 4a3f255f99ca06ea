"""An asyncio event loop for one test, without Twisted's reactor."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.trial.unittest import SynchronousTestCase

_Result = TypeVar("_Result")


class EventLoopTestCase(SynchronousTestCase):
    """Tests that run coroutines in an event loop of their own; nothing may be left in it."""

    def run_in_loop(self, main: Coroutine[Any, Any, _Result], deadline: float = 10.0) -> _Result:
        """
        Run a coroutine, and return its result.

        :param deadline: seconds.
        """
        complaints: list[dict[str, Any]] = []
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda _, complaint: complaints.append(complaint))
        try:
            return loop.run_until_complete(self._alone(main, deadline))
        finally:
            loop.close()
            self.assertEqual(complaints, [])

    async def _alone(self, main: Coroutine[Any, Any, _Result], deadline: float) -> _Result:
        async with asyncio.timeout(deadline):
            result = await main
        self.assertEqual(asyncio.all_tasks(), {asyncio.current_task()})
        return result


async def turns(number: int = 5) -> None:
    """Let the event loop have so many turns."""
    for _ in range(number):
        await asyncio.sleep(0)
