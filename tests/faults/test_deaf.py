"""Sessions that are alive and hear nothing: only a ring from outside finds them."""

from __future__ import annotations

from tests.faults.case import FaultTestCase, address, ring, through
from tests.proxy import Proxy, Target
from tests.servers import private_server, shared_server
from tests.waiting import wait_for
from txdoorbell.listening.probe import ProbeFailed
from txdoorbell.notification import State


class DeafTests(FaultTestCase):
    """Two servers behind one address: whoever connects anew reaches another one."""

    def setUp(self) -> None:
        """Have the servers."""
        self.dsn = shared_server().dsn
        self.other = private_server(self).dsn
        super().setUp()

    async def test_failover(self) -> None:
        """
        After a failover the old primary lives on, and so does the session on it.

        The probe goes where strangers go now, and the listener follows.
        """
        switched = False

        def target(_: int) -> Target:
            return address(self.other if switched else self.dsn)

        proxy = Proxy(self, target)
        listener, audience = await self.listening(through(self.dsn, proxy.port))
        switched = True
        await wait_for("the deafness", lambda: listener.state is State.DEAF)
        await self.healthy(listener)
        await self.hears(listener, audience, self.other)
        self.assertIn("a ring on its private channel wasn't heard in 0.5 s", self.text_of_deaf())
        self.assertEqual(len(audience.listens), 2)

    async def test_never_heard(self) -> None:
        """
        Where no probe is ever heard, as behind a pooler in transaction mode, it never is healthy.

        It is made anew ever more slowly, which is one line in the log; each time everything runs.
        """
        proxy = Proxy(self, lambda n: address(self.dsn if n % 2 else self.other))
        options = {"probe_timeout": 0.1, "backoff": lambda failures: 0.05 * failures}
        listener, audience = self.started(through(self.dsn, proxy.port), **options)
        await wait_for("the deafness", lambda: State.DEAF in audience.states)
        told = len(audience.states)
        await wait_for("four sessions", lambda: len(audience.listens) == 4)
        self.assertLess(proxy.accepted, 10)
        self.assertEqual(listener.state, State.DEAF)
        self.assertEqual(audience.states[told:], [])
        self.assertEqual(len([text for text in self.logged_texts() if "is deaf" in text]), 1)
        ring(self.dsn, "jobs", "to no avail")

    async def test_probe_by_hand(self) -> None:
        """Whoever asks for a probe is told that it wasn't heard."""
        proxy = Proxy(self, lambda n: address(self.dsn if n == 1 else self.other))
        options = {"probe_interval": 0, "probe_timeout": 0.2}
        listener, _ = self.started(through(self.dsn, proxy.port), **options)
        await listener.when_listening()
        try:
            await listener.probe()
        except ProbeFailed as error:
            self.assertIn("wasn't heard in 0.2 s", str(error))
        else:
            self.fail("it was heard")

    def text_of_deaf(self) -> str:
        """Return the first line in the log that says deaf."""
        return next(text for text in self.logged_texts() if "is deaf" in text)
