"""Who is told of what the log says: from the catalog's numbers to the names that were asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from txdoorbell.notification import Hearable, Notification
from txdoorbell.walreading.catalog import Tree
from txdoorbell.walreading.changes import PREFIX, Table, TableChange
from txdoorbell.walreading.pgoutput import Changed, Event, Message

__all__ = ["Directory"]


class Directory:
    """
    Knows which tables and channels are wanted.

    :ivar wanted: the channels, and tables among them, which are passed over here.
    :ivar private: the prefix of the messages that are probes.
    :ivar codec: Python's name of the encoding of what messages contain.
    """

    def __init__(self, wanted: frozenset[str]) -> None:
        self.wanted = wanted
        self.private = ""
        self.codec = "utf_8"
        self._asked_as: dict[int, dict[str, frozenset[Table]]] = {}

    def list_tables(self, trees: Iterable[Tree]) -> frozenset[Table]:
        """
        Tell of these tables from now on, and of no others.

        :returns: those that are new, or are other tables than those known by their names.
        """
        before, self._asked_as = self._asked_as, {}
        for tree in trees:
            for oid in tree.oids:
                names = self._asked_as.setdefault(oid, {})
                name = str(tree.table)
                names[name] = names.get(name, frozenset()) | {tree.asked}
        return frozenset(
            table
            for oid, names in self._asked_as.items()
            for name, tables in names.items()
            for table in tables - before.get(oid, {}).get(name, frozenset())
        )

    def interesting(self, event: Event) -> bool:
        """Say whether anybody is told of this."""
        if isinstance(event, Changed):
            return event.oid in self._asked_as
        return self._is_wanted(event) or event.prefix == self.private

    def is_ours(self, prefix: str) -> bool:
        """Say whether a message of this prefix may be of interest, perhaps later."""
        return prefix.startswith(PREFIX) or prefix == self.private

    def _is_wanted(self, message: Message) -> bool:
        return message.prefix.startswith(PREFIX) and message.prefix[len(PREFIX) :] in self.wanted

    def probe(self, event: Event) -> Notification | None:
        """Return an event as the probe that it is, for nobody else; None for any other."""
        if not isinstance(event, Message) or event.prefix != self.private:
            return None
        return Notification(self.private, event.content.decode("ascii", "replace"))

    def hearables(self, events: Iterable[Event]) -> Iterator[Hearable]:
        """Yield what is told of what was done at once: of changes each once, all messages."""
        done: set[Changed] = set()
        told: set[TableChange] = set()
        for event in events:
            if isinstance(event, Message):
                if self._is_wanted(event):
                    payload = event.content.decode(self.codec, "replace")
                    yield Notification(event.prefix[len(PREFIX) :], payload)
            elif event not in done:
                done.add(event)
                for name, tables in self._asked_as.get(event.oid, {}).items():
                    change = TableChange(name, event.operation, tables)
                    if change not in told:
                        told.add(change)
                        yield change
