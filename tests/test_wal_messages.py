"""What is made of pgoutput's messages, and when others are believed to see what they tell."""

from __future__ import annotations

from struct import pack

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from txdoorbell.walreading.pgoutput import Changed, Decoder, Event, MalformedMessage, Message
from txdoorbell.walreading.visibility import Gate, Snapshot


def begin(number: int) -> bytes:
    """Return the begin of a transaction."""
    return b"B" + pack("!QQI", 1, 2, number)


COMMIT = b"C" + pack("!BQQQ", 0, 1, 2, 3)
RELATION = b"R" + pack("!I", 9) + b"public\0jobs\0d" + pack("!H", 0)


def row(kind: bytes, oid: int, part_of: int | None = None) -> bytes:
    """Return a row's message, with a tuple that nobody looks at."""
    prefix = b"" if part_of is None else pack("!I", part_of)
    return kind + prefix + pack("!I", oid) + b"N\0\1t\0\0\0\1x"


def message(prefix: str, content: bytes, flags: int = 1, part_of: int | None = None) -> bytes:
    """Return somebody's message."""
    head = b"M" + (b"" if part_of is None else pack("!I", part_of)) + pack("!BQ", flags, 7)
    return head + prefix.encode() + b"\0" + pack("!I", len(content)) + content


class DecoderTests(SynchronousTestCase):
    """A decoder that is interested in all but table 13."""

    def setUp(self) -> None:
        """Make it."""
        self.told: list[tuple[int, list[Event]]] = []
        self.decoder = Decoder(
            lambda event: event != Changed(13, "insert"),
            lambda number, events: self.told.append((number, events)),
        )

    def feed(self, *texts: bytes) -> None:
        """Feed it messages."""
        for text in texts:
            self.decoder.feed(text)

    def test_once_per_transaction(self) -> None:
        """However many rows: each table and operation once, in order, at the commit."""
        rows = [row(b"U", 8), *[row(b"I", 9)] * 1000, row(b"D", 9), row(b"U", 8)]
        self.feed(begin(7), RELATION, *rows, row(b"I", 13))
        self.assertEqual(self.told, [])
        self.feed(COMMIT)
        changes: list[Event] = [Changed(8, "update"), Changed(9, "insert"), Changed(9, "delete")]
        self.assertEqual(self.told, [(7, changes)])

    def test_nothing_of_interest(self) -> None:
        """A transaction of which nothing is of interest is told to nobody."""
        self.feed(begin(7), row(b"I", 13), COMMIT, begin(8), COMMIT)
        self.assertEqual(self.told, [])

    def test_truncate(self) -> None:
        """A truncate names several tables."""
        self.feed(begin(7), b"T" + pack("!IBII", 2, 1, 8, 9), COMMIT)
        self.assertEqual(self.told, [(7, [Changed(8, "truncate"), Changed(9, "truncate")])])

    def test_messages(self) -> None:
        """A message of a transaction comes with it, one of none at once."""
        self.feed(begin(7), message("a", b"x"), message("a", b"x"), message("a", b""))
        self.feed(COMMIT, message("b", b"\0\xff", flags=0))
        self.assertEqual(
            self.told,
            [(7, [Message("a", b"x"), Message("a", b"")]), (0, [Message("b", b"\0\xff")])],
        )

    def test_messages_of_others(self) -> None:
        """A message that nobody could want is dropped as it comes, not at the commit."""
        asked: list[Event] = []
        decoder = Decoder(asked.append, lambda number, events: None, lambda prefix: prefix == "a")
        for text in (begin(7), message("b", b"x"), message("a", b"y"), COMMIT):
            decoder.feed(text)
        decoder.feed(message("b", b"x", flags=0))
        self.assertEqual(asked, [Message("a", b"y")])

    def test_parts(self) -> None:
        """Transactions that are sent in parts while they are open, two at the same time."""
        for number in (7, 8, 7):
            start = b"S" + pack("!IB", number, 1)
            self.feed(start, row(b"I", number, number), b"T" + pack("!IIBI", number, 1, 0, 9))
            self.feed(message("m", b"x", part_of=number), b"E")
        self.feed(begin(1), row(b"D", 9), COMMIT)
        self.feed(b"A" + pack("!II", 8, 99), b"A" + pack("!II", 8, 8), b"A" + pack("!II", 5, 5))
        self.feed(b"c" + pack("!IBQQQ", 7, 0, 1, 2, 3), b"c" + pack("!IBQQQ", 8, 0, 1, 2, 3))
        both = [Changed(7, "insert"), Changed(9, "truncate"), Message("m", b"x")]
        self.assertEqual(self.told, [(1, [Changed(9, "delete")]), (7, both)])

    def test_malformed(self) -> None:
        """What is no message is an error that shows it."""
        wrong = [
            b"",
            b"?",
            b"I\0\0",
            row(b"I", 9),
            b"B\0",
            begin(1)[:-1],
            b"T\0",
            b"M\1",
            message("a", b"")[:12],
            b"S\0",
        ]
        for text in wrong:
            with self.assertRaises(MalformedMessage):
                self.feed(text)

    @given(st.lists(st.binary(max_size=20)))
    def test_anything(self, texts: list[bytes]) -> None:
        """Whatever comes is taken, or is a :exc:`MalformedMessage`."""
        decoder = Decoder(lambda event: True, lambda number, events: None)
        for text in texts:
            try:
                decoder.feed(text)
            except MalformedMessage:
                return


class SnapshotTests(SynchronousTestCase):
    """Which transactions are seen, by PostgreSQL's own text."""

    def test_read(self) -> None:
        """Below the end and not in progress; numbers wrap at 32 bits."""
        plain = Snapshot.read("10:20:12,15")
        self.assertEqual(
            [number for number in range(5, 25) if not plain.sees(number)],
            [12, 15, 20, 21, 22, 23, 24],
        )
        self.assertTrue(Snapshot.read("10:10:").sees(9))

    def test_wrapped(self) -> None:
        """The log has the lower 32 bits only; a number above the end is one to come."""
        end = (5 << 32) + 10
        late = Snapshot(end, frozenset([(4 << 32) + 0xFFFFFFFF]))
        self.assertTrue(late.sees(9))
        self.assertFalse(late.sees(10))
        self.assertFalse(late.sees(0xFFFFFFFF))
        self.assertTrue(late.sees(0xFFFFFFFE))
        self.assertFalse(late.sees(1000))


class GateTests(SynchronousTestCase):
    """A gate at which the test looks itself."""

    def setUp(self) -> None:
        """Make the gate; closed, it leaves nothing."""
        self.clock = Clock()
        self.looks: list[Deferred[str]] = []
        self.passed: list[str] = []
        self.together: list[int] = []
        self.failures: list[Failure] = []
        self.gate: Gate[str] = Gate(self.clock, self.look, self.pass_, self.failures.append)
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))
        self.addCleanup(self.gate.close)

    def look(self) -> Deferred[str]:
        """Begin to look."""
        self.looks.append(Deferred())
        return self.looks[-1]

    def enter(self, number: int, name: str) -> None:
        """Have something wait at the gate."""
        self.gate.when_seen(number, name)

    def pass_(self, names: list[str]) -> None:
        """Note what passes, and how much of it at once."""
        self.passed += names
        self.together.append(len(names))
        if "close" in names:
            self.gate.close()

    def test_seen(self) -> None:
        """What is seen passes when that is known, in order."""
        self.enter(7, "a")
        self.enter(8, "b")
        self.assertEqual((len(self.looks), self.passed), (1, []))
        self.looks.pop().callback("7:9:")
        self.assertEqual(self.passed, ["a"])
        self.looks.pop().callback("9:9:")
        self.assertEqual((self.passed, self.looks), (["a", "b"], []))

    def test_came_while_looking(self) -> None:
        """An answer counts for what waited when it was asked for, not for what came since."""
        self.enter(7, "a")
        self.enter(7, "late")
        self.looks.pop().callback("8:8:")
        self.assertEqual(self.passed, ["a"])
        self.looks.pop().callback("8:8:")
        self.assertEqual(self.passed, ["a", "late"])

    def test_no_transaction(self) -> None:
        """What waits for none passes at once."""
        self.enter(0, "now")
        self.assertEqual((self.passed, self.looks), (["now"], []))

    def test_not_seen(self) -> None:
        """What isn't seen waits, others pass it; it is looked for less and less often."""
        self.enter(7, "stuck")
        self.enter(8, "passes")
        self.looks.pop().callback("7:9:7")
        self.looks.pop().callback("7:9:7")
        self.assertEqual(self.passed, ["passes"])
        looked = 0
        for _ in range(1000):
            self.clock.advance(0.01)
            while self.looks:
                self.looks.pop().callback("7:9:7")
                looked += 1
        self.assertTrue(10 < looked < 25, looked)
        self.clock.advance(1.0)
        self.looks.pop().callback("9:9:")
        self.assertEqual(self.passed, ["passes", "stuck"])

    def test_storm(self) -> None:
        """After a look there is a short rest: one look serves many, which pass at once."""
        self.enter(1, "first")
        self.clock.advance(0.1)
        self.looks.pop().callback("2:2:")
        for number in range(2, 1000):
            self.enter(number, "x")
        self.assertEqual(self.looks, [])
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(0.002)
        self.looks.pop().callback("1000:1000:")
        self.assertEqual((self.together, self.looks), ([1, 998], []))

    def test_rested(self) -> None:
        """What comes after the rest is looked for at once, however long the last look took."""
        self.enter(1, "first")
        self.clock.advance(30.0)
        self.looks.pop().callback("2:2:")
        self.clock.advance(0.003)
        self.enter(2, "second")
        self.assertEqual(len(self.looks), 1)

    def test_not_held_up(self) -> None:
        """What is not seen for long holds up the look for nobody else."""
        self.enter(7, "stuck")
        for _ in range(1000):
            self.clock.advance(0.01)
            while self.looks:
                self.looks.pop().callback("7:8:7")
        self.clock.advance(0.1)
        self.enter(8, "passes")
        self.looks.pop().callback("7:9:7")
        self.assertEqual(self.passed, ["passes"])

    def test_failed(self) -> None:
        """A look that fails is told of."""
        self.enter(7, "a")
        self.looks.pop().errback(ZeroDivisionError())
        self.assertEqual([failure.type for failure in self.failures], [ZeroDivisionError])

    def test_closed(self) -> None:
        """Once it is closed nothing passes, whoever looks."""
        self.enter(7, "a")
        self.gate.close()
        self.looks.pop().callback("8:8:")
        self.enter(7, "b")
        self.assertEqual((self.passed, self.failures), ([], []))

    def test_closed_by_what_passes(self) -> None:
        """What passes may close it."""
        self.enter(7, "close")
        self.enter(7, "a")
        self.looks.pop().callback("8:8:")
        for look in self.looks:
            look.callback("8:8:")
        self.assertEqual(self.passed, ["close"])
