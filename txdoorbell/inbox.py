"""What collects notifications between two reads of the socket."""

from txdoorbell.notification import Hearable

__all__ = ["Inbox"]


class Inbox:
    """
    A container that stands in the place of psycopg2's ``connection.notifies``.

    psycopg2 looks ``append`` up for each batch, and silently drops a notification for which it
    fails. So it is a list's own, which doesn't, and costs no call of Python code.
    """

    __slots__ = ("_arrived", "append")

    def __init__(self) -> None:
        self._renew()

    def _renew(self) -> None:
        self._arrived: list[Hearable] = []
        self.append = self._arrived.append

    def take(self) -> list[Hearable]:
        """Return what has arrived, in order of commit, and forget it."""
        arrived = self._arrived
        if arrived:
            self._renew()
        return arrived
