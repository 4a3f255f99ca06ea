"""How the sources of a doorbell are made, where none is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.interfaces import IReactorTime

from txdoorbell.notification import Source
from txdoorbell.walreading.changes import TableSource

__all__ = ["log_maker", "make_listener"]

_LISTENERS_OWN = frozenset(("channels", "host", "name"))
"""Options of a listener that are no business of another source."""


def make_listener(reactor: IReactorTime, dsn: str, options: Mapping[str, Any]) -> Source:
    """Make a listener."""
    from txdoorbell.listener import Listener

    return Listener(reactor, dsn, **options)


def log_maker(
    given: TableSource | None,
    reactor: IReactorTime,
    dsn: str,
    common: Mapping[str, Any],
    options: Mapping[str, Any] | None,
) -> Callable[[], TableSource]:
    """
    Return what makes a source that hears of tables, each time it is called.

    :param given: is returned in place of one that is made.
    :param common: the options of the listener, which go for both, but for what is its own.
    :param options: those of a :class:`txdoorbell.wal.WalSource`, which win.
    """

    def make() -> TableSource:
        if given is not None:
            return given
        from txdoorbell.wal import WalSource

        shared = {key: value for key, value in common.items() if key not in _LISTENERS_OWN}
        return WalSource(reactor, dsn, **{**shared, **(options or {})})

    return make
