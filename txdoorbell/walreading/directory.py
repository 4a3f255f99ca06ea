"""Who is told of what the log says: from the catalog's numbers to the names that were asked for."""

from __future__ import annotations

from collections.abc import Iterable

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

    def _is_wanted(self, message: Message) -> bool:
        return message.prefix.startswith(PREFIX) and message.prefix[len(PREFIX) :] in self.wanted

    def probes(self, events: Iterable[Event]) -> list[Notification]:
        """Return the probes among these events; they are for nobody else."""
        messages = [event for event in events if isinstance(event, Message)]
        return [
            Notification(self.private, message.content.decode("ascii", "replace"))
            for message in messages
            if message.prefix == self.private
        ]

    def hearables(self, events: Iterable[Event]) -> Iterable[Hearable]:
        """Return what is told of what one transaction did, in order, each thing once."""
        told: dict[Hearable, None] = {}
        for event in events:
            if isinstance(event, Changed):
                for name, tables in self._asked_as.get(event.oid, {}).items():
                    told[TableChange(name, event.operation, tables)] = None
            elif self._is_wanted(event):
                payload = event.content.decode(self.codec, "replace")
                told[Notification(event.prefix[len(PREFIX) :], payload)] = None
        return told
