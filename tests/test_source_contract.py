"""The fake listener and the real one keep the same promises."""

from collections.abc import Callable

from twisted.internet.task import Clock

from tests import source_contract
from txdoorbell.notification import Source
from txdoorbell.testing import FakeListener


class FakeListenerTests(source_contract.SourceContract):
    """The fake listener, on a Clock on which nothing is left in the end."""

    def setUp(self) -> None:
        """Make the clock."""
        self.clock = Clock()
        self.listeners: list[FakeListener] = []
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))

    def make_source(self) -> Source:
        """Return a fake listener."""
        self.listeners.append(FakeListener(self.clock))
        return self.listeners[-1]

    def send(self, channel: str, payload: str = "") -> int:
        """Deliver to every listener, as the server would."""
        for listener in self.listeners:
            listener.deliver(channel, payload, pid=42)
        return 42

    def lose(self, *sources: Source) -> None:
        """Lose the session of each that has one, and refuse others."""
        for source in sources:
            assert isinstance(source, FakeListener)
            if source.listened:
                source.lose()
            else:
                source.refuse()

    def regain(self, *sources: Source) -> None:
        """Let connecting succeed again."""
        for source in sources:
            assert isinstance(source, FakeListener)
            source.regain()

    async def eventually(self, what: str, predicate: Callable[[], object]) -> None:
        """Give the clock its turn; no time need pass."""
        self.clock.advance(0)
        self.assertTrue(predicate(), f"waited in vain for {what}")
