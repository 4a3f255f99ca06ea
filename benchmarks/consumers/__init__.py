"""
Those who hear notifications, each in a process of its own: the floor, the peers and ourselves.

A module here has ``run(dsn, record)``: it listens on the channels of :mod:`benchmarks.record`,
calls ``record.ready()`` once LISTEN is committed, and has ``record.hearer()`` called by its library
for each notification, until the process is ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec


@dataclass(frozen=True)
class Consumer:
    """
    One row of a comparison.

    :ivar name: what the command line and the results call it.
    :ivar title: what a table says.
    :ivar module: below this package.
    :ivar requires: the module that must be importable.
    :ivar variant: given to the module's ``run`` where it has several ways.
    :ivar ours: whether it is txdoorbell.
    """

    name: str
    title: str
    module: str
    requires: str
    variant: str = ""
    ours: bool = False

    @property
    def is_peer(self) -> bool:
        """Whether it is another library: neither ours nor a floor."""
        return not self.ours and self.name not in FLOORS

    @property
    def is_installed(self) -> bool:
        """Whether it can be run here."""
        return find_spec(self.requires) is not None


FLOOR = "psycopg2"
"""The consumer that all others are compared with."""

FLOORS = (FLOOR, "twisted")
"""Bare loops that care for nothing; the second is what any consumer on Twisted's reactor takes."""

ALL = {
    consumer.name: consumer
    for consumer in (
        Consumer(FLOOR, "psycopg2, bare select loop (floor)", "bare", "psycopg2"),
        Consumer(
            "subscriber", "txdoorbell, subscriber", "doorbell", "txdoorbell", "subscriber", True
        ),
        Consumer("processor", "txdoorbell, processor", "doorbell", "txdoorbell", "processor", True),
        Consumer(
            "handler", "txdoorbell, handler in a thread", "doorbell", "txdoorbell", "handler", True
        ),
        Consumer("stream", "txdoorbell, async for", "doorbell", "txdoorbell", "stream", True),
        Consumer("twisted", "psycopg2 on Twisted's reactor, bare", "twisted_reader", "twisted"),
        Consumer("psycopg3", "psycopg 3 notifies()", "psycopg3", "psycopg"),
        Consumer("pygresql", "PyGreSQL handler", "pygresql", "pg"),
        Consumer("asyncpg", "asyncpg add_listener", "asyncpg_listener", "asyncpg"),
        Consumer("pgnotifier", "pgnotifier", "pgnotifier_subscriber", "pgnotifier"),
        Consumer("txpostgres", "txpostgres observer", "txpostgres_observer", "txpostgres"),
        Consumer("asyncpg-listen", "asyncpg-listen", "asyncpg_listen_handler", "asyncpg_listen"),
        Consumer("depeche_db", "depeche_db Executor", "depeche_executor", "depeche_db"),
    )
}
"""By name, in the order of the tables."""


def chosen(names: list[str] | None) -> list[Consumer]:
    """
    Return consumers by name, the floor always among them.

    :param names: None for all that are installed.
    :raises ValueError: for an unknown name, or one that isn't installed.
    """
    if names is None:
        return [consumer for consumer in ALL.values() if consumer.is_installed]
    for name in names:
        if name not in ALL:
            raise ValueError(f"no consumer {name!r}; there are {', '.join(ALL)}")
        if not ALL[name].is_installed:
            raise ValueError(f"{name} can't be run: {ALL[name].requires} is not installed")
    return [consumer for name, consumer in ALL.items() if name in {*names, FLOOR}]
