"""The names of a fleet: keys that never change, and leases as fencing tokens."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txdoorbell.doorbell import Doorbell
from txdoorbell.leadership import LOCK_CLASS, Lease, lock_key
from txdoorbell.listener import Listener


class KeyTests(SynchronousTestCase):
    """From a lock's name to PostgreSQL's two integers."""

    def test_for_ever(self) -> None:
        """The keys are those of every release: hosts of two releases agree on who holds what."""
        self.assertEqual(LOCK_CLASS, KEYS["txdoorbell"])
        for name, key in KEYS.items():
            self.assertEqual(lock_key(name), (LOCK_CLASS, key), name)

    def test_names(self) -> None:
        """A name that could not be sent, or says nothing, is refused with the reason."""
        for name, says in ((("",), "0 bytes"), (("x" * 1001,), "1001 bytes"), (("a\0b",), "NUL")):
            with self.assertRaisesRegex(ValueError, says):
                lock_key(*name)
        with self.assertRaisesRegex(ValueError, "can't be encoded"):
            lock_key("\ud800")
        wrong: list[Any] = [b"billing", None, 7]
        for name in wrong:
            with self.assertRaisesRegex(TypeError, "must be a str"):
                lock_key(name)


class LeaseTests(SynchronousTestCase):
    """What a function is given to fence its writes with."""

    def test_number(self) -> None:
        """A lease is its number, in SQL parameters too."""
        self.assertEqual(int(Lease("billing", 7, 1.0, "a", 1)), 7)

    def test_no_number(self) -> None:
        """Without the table of leases there is no number; the error says how to have one."""
        with self.assertRaisesRegex(TypeError, r"txdoorbell sql --fleet --apply"):
            int(Lease("billing", None, 1.0, "a", 1))


class HostTests(SynchronousTestCase):
    """What leases call this host."""

    def test_own_name(self) -> None:
        """Not told otherwise it is the name that it has."""
        self.assertEqual(Listener(Clock()).host, socket.gethostname())

    def test_told(self) -> None:
        """``Doorbell(host="anna")`` calls it anna."""
        listener = Doorbell(Clock(), host="anna").listener
        assert isinstance(listener, Listener)
        self.assertEqual(listener.host, "anna")

    def test_wrong(self) -> None:
        """What can't be a name is refused when it is said."""
        for name in ("", "a\0b"):
            with self.assertRaisesRegex(ValueError, "is no name"):
                Listener(Clock(), host=name)
        wrong: Any = b"anna"
        with self.assertRaisesRegex(TypeError, "must be a str, not bytes"):
            Listener(Clock(), host=wrong)


KEYS = {
    "txdoorbell": -1149846983,
    "billing": 211142636,
    "reports": 2133200975,
    "Zürich": 1112631390,
    "x": 762385986,
}
