"""
The messages of ``pgoutput``, PostgreSQL's own decoder of the write-ahead log.

Of a row only the first bytes are looked at: which table, and what was done to it. So a transaction
of a million rows leaves one entry per table and operation behind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from struct import Struct, error
from typing import NamedTuple

__all__ = ["Changed", "Decoder", "Event", "MalformedMessage", "Message"]

_WORD = Struct("!I")
_XID_OF_BEGIN = Struct("!16xI")
_ROWS = frozenset((b"I", b"U", b"D"))
_OPERATIONS = {b"I": "insert", b"U": "update", b"D": "delete", b"T": "truncate"}
_IGNORED = frozenset((b"R", b"O", b"Y"))
"""Descriptions of tables and types, which come before the first row of each, and origins."""
_TRANSACTIONAL = 1


class Changed(NamedTuple):
    """A table, by its number in the catalog, and what was done to it."""

    oid: int
    operation: str


class Message(NamedTuple):
    """A message of somebody, as it was written: the content is in the database's encoding."""

    prefix: str
    content: bytes


Event = Changed | Message
Committed = Callable[[int, list[Event]], object]
"""Given the number of a transaction, 0 for none, and what it did, in order, each thing once."""


class MalformedMessage(ValueError):
    """What came is no message of ``pgoutput`` as it is known here."""


@dataclass(slots=True)
class _Transaction:
    """One that is being told: its messages, and of rows the letter and the table, as they came."""

    number: int
    events: dict[bytes | Message, None] = field(default_factory=dict)


class Decoder:
    """
    Follows the messages, and tells what each transaction did once all of it has come.

    :param interesting: whether an event is to be told; it is asked for each once per transaction.
    :param committed: given each transaction with an interesting event.
    :param kept: whether a message with this prefix is to be kept until then. Others are dropped as
        they come: there may be millions in a transaction, and each is another one.
    """

    def __init__(
        self,
        interesting: Callable[[Event], object],
        committed: Committed,
        kept: Callable[[str], object] = lambda prefix: True,
    ) -> None:
        self._interesting = interesting
        self._committed = committed
        self._kept = kept
        self._current: _Transaction | None = None
        self._streamed: dict[int, _Transaction] = {}
        self._at = 1
        """Where what a message says begins: in a part of an open transaction its number is first"""

    def feed(self, text: bytes) -> None:
        """
        Take one message.

        :raises MalformedMessage: for one that can't be read.
        """
        kind = text[:1]
        try:
            if kind in _ROWS:
                at = self._at
                self._note(text[:5] if at == 1 else kind + text[at : at + 4])
            elif kind not in _IGNORED:
                self._take(kind, text)
        except (IndexError, ValueError, error) as problem:
            raise MalformedMessage(f"no message of pgoutput: {text[:40]!r} ({problem})") from None

    def _take(self, kind: bytes, text: bytes) -> None:
        if kind == b"B":
            self._current = _Transaction(*_XID_OF_BEGIN.unpack_from(text, 1))
        elif kind == b"C":
            self._commit(self._current)
            self._current = None
        elif kind == b"T":
            [count] = _WORD.unpack_from(text, self._at)
            for start in range(self._at + 5, self._at + 5 + 4 * count, 4):
                self._note(b"T" + text[start : start + 4])
        elif kind == b"M":
            self._message(text, self._at)
        else:
            self._take_part(kind, text)

    def _take_part(self, kind: bytes, text: bytes) -> None:
        """Take what frames a part of a transaction that was open when it came, or ends one."""
        if kind == b"E":
            self._at, self._current = 1, None
            return
        [number] = _WORD.unpack_from(text, 1)
        if kind == b"S":
            self._at = 5
            self._current = self._streamed.setdefault(number, _Transaction(number))
        elif kind == b"c":
            self._commit(self._streamed.pop(number, None))
        elif kind == b"A":
            # Of another number than the transaction's, a part was undone: that rings for nothing.
            if _WORD.unpack_from(text, 5) == (number,):
                self._streamed.pop(number, None)
        else:
            raise ValueError("of an unknown kind")

    def _message(self, text: bytes, at: int) -> None:
        begin = at + 9
        end = text.index(0, begin)
        [size] = _WORD.unpack_from(text, end + 1)
        prefix = text[begin:end].decode(errors="replace")
        if not self._kept(prefix):
            return
        message = Message(prefix, text[end + 5 : end + 5 + size])
        if text[at] & _TRANSACTIONAL:
            self._note(message)
        elif self._interesting(message):
            self._committed(0, [message])

    def _note(self, event: bytes | Message) -> None:
        if self._current is None:
            raise ValueError("outside a transaction")
        self._current.events[event] = None

    def _commit(self, transaction: _Transaction | None) -> None:
        if transaction is None:
            return
        read = (_changed(e) if isinstance(e, bytes) else e for e in transaction.events)
        events = [event for event in read if self._interesting(event)]
        if events:
            self._committed(transaction.number, events)


@lru_cache(maxsize=1000)  # in a storm they are the same ones again and again
def _changed(row: bytes) -> Changed:
    return Changed(_WORD.unpack_from(row, 1)[0], _OPERATIONS[row[:1]])
