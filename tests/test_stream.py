"""``async for`` over notifications."""

from __future__ import annotations

import asyncio

from twisted.internet.defer import CancelledError, Deferred

from tests.asyncio_turns import EventLoopTestCase, turns
from tests.bells import BellTestCase
from txdoorbell.notification import Notification
from txdoorbell.ringing.stream import NotificationStream


class StreamTests(BellTestCase):
    """``Doorbell.notifications()``: a bounded asynchronous iterator."""

    def reading(self, stream: NotificationStream) -> Deferred[str]:
        """Read a stream to its end, in a coroutine."""

        async def read() -> str:
            async for notification in stream:
                self.ran.append(notification.payload)
            return "ended"

        return Deferred.fromCoroutine(read())

    def test_it_is_followed(self) -> None:
        """A coroutine gets each notification on its channels, as it comes."""
        bell = self.running()
        self.reading(bell.notifications(["a", "b"]))
        self.turn()
        for channel, payload in (("a", "1"), ("b", "2"), ("doorbell", "3")):
            self.listener.deliver(channel, payload)
        self.assertEqual(self.ran, ["1", "2"])

    def test_it_ends_with_the_service(self) -> None:
        """The loop of the coroutine ends when the service stops."""
        bell = self.running()
        reading = self.reading(bell.notifications("a"))
        self.assertNoResult(reading)
        bell.stopService()
        self.assertEqual(self.successResultOf(reading), "ended")

    def test_what_came_before_is_read(self) -> None:
        """Notifications that came while nobody read are kept, also past the end."""
        bell = self.running()
        stream = bell.notifications("a")
        self.turn()
        self.listener.deliver("a", "1")
        stream.close()
        self.assertEqual(self.successResultOf(self.reading(stream)), "ended")
        self.assertEqual(self.ran, ["1"])

    def test_closing_it_stops_listening(self) -> None:
        """After ``close()`` nobody listens for it; closing it twice is closing it once."""
        bell = self.running()
        stream = bell.notifications("a")
        self.turn()
        stream.close()
        stream.close()
        self.turn()
        self.assertEqual(self.listener.listened, {"doorbell"})

    def test_slow_reader(self) -> None:
        """The oldest are dropped when a reader is too slow; one warning says so."""
        bell = self.running()
        stream = bell.notifications("a", limit=2)
        self.turn()
        for payload in "1234":
            self.listener.deliver("a", payload)
        stream.close()
        self.reading(stream)
        self.assertEqual(self.ran, ["3", "4"])
        self.assertEqual(stream.dropped, 2)

    def test_a_reader_that_is_cancelled(self) -> None:
        """A reader that gives up takes no notification with it."""
        bell = self.running()
        stream = bell.notifications("a")
        self.turn()
        reading = self.reading(stream)
        reading.cancel()
        self.failureResultOf(reading, CancelledError)
        self.listener.deliver("a", "1")
        self.reading(stream)
        self.assertEqual(self.ran, ["1"])

    def test_two_readers(self) -> None:
        """Two coroutines can't read one stream; the second is told."""
        bell = self.running()
        stream = bell.notifications("a")
        self.reading(stream)
        self.failureResultOf(self.reading(stream), RuntimeError)


class TaskTests(EventLoopTestCase):
    """The same in tasks of asyncio."""

    def test_in_a_task(self) -> None:
        """A plain asyncio task follows a stream to its end, what came before it included."""
        read: list[str] = []
        stream = NotificationStream(10, lambda closed: None)

        async def follow() -> None:
            read.extend([notification.payload async for notification in stream])

        async def main() -> None:
            stream.heard(Notification("a", "1"))
            task = asyncio.create_task(follow())
            for payload in "23":
                await turns()
                stream.heard(Notification("a", payload))
            stream.close()
            await task

        self.run_in_loop(main())
        self.assertEqual(read, ["1", "2", "3"])

    def test_a_task_that_is_cancelled(self) -> None:
        """A task that is cancelled takes no notification with it."""
        stream = NotificationStream(10, lambda closed: None)

        async def read() -> str:
            async for notification in stream:
                return notification.payload
            return "ended"

        async def main() -> str:
            cancelled = asyncio.create_task(read())
            await turns()
            cancelled.cancel()
            await turns()
            stream.heard(Notification("a", "1"))
            return await read()

        self.assertEqual(self.run_in_loop(main()), "1")
