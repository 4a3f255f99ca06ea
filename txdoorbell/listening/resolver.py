"""
Host names, looked up where that blocks nobody.

libpq looks names up in the thread that connects, and with a dead name server that takes ten seconds
and more. So they are looked up in threads here, and libpq is given ``hostaddr`` beside ``host``.
The threads are daemons of their own, not the reactor's: it waits for its own when it stops.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from txdoorbell.listening.dsn import Dsn, Endpoint

__all__ = ["LookupFailed", "Resolver"]

Addresses = list[str]
Lookup = Callable[[str], Addresses]

_PATIENCE = 60.0
"""Seconds after which a lookup that is stuck is begun again beside it."""


class LookupFailed(Exception):
    """No host has an address; the text, one line, has each host's error."""


def lookup(name: str) -> Addresses:
    """
    Return a host's addresses, IPv4 and IPv6, in the order of this system's preference; this blocks.

    :raises OSError: when it has none, or nobody says.
    """
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Resolver:
    """
    Looks names up in daemon threads, one for a name at a time.

    Who asks for a name while its lookup is stuck waits for that one: threads don't pile up.

    :param look_up: blocks, and returns the addresses of a name or raises :exc:`OSError`.
    """

    def __init__(self, reactor: IReactorFromThreads, look_up: Lookup = lookup) -> None:
        self._reactor = reactor
        self._look_up = look_up
        self._waiting: dict[str, list[Deferred[Addresses]]] = {}
        self._begun: dict[str, float] = {}

    def addresses(self, name: str) -> Deferred[Addresses]:
        """Return a fresh Deferred with a name's addresses; it fails as the lookup does."""
        answer: Deferred[Addresses] = Deferred()
        self._waiting.setdefault(name, []).append(answer)
        now = time.monotonic()
        if now - self._begun.get(name, -_PATIENCE) >= _PATIENCE:
            self._begun[name] = now
            threading.Thread(target=self._work, args=(name,), name="lookup", daemon=True).start()
        return answer

    def _work(self, name: str) -> None:
        found: Addresses | Failure
        try:
            found = self._look_up(name)
        except Exception:  # noqa: BLE001 - those who wait must hear of any error
            found = Failure()
        self._reactor.callFromThread(self._answer, name, found)

    def _answer(self, name: str, found: Addresses | Failure) -> None:
        self._begun.pop(name, None)
        for answer in self._waiting.pop(name, []):
            answer.callback(found)

    def parameters(self, dsn: Dsn) -> Deferred[dict[str, str]]:
        """
        Return what to give to libpq so that it looks no name up.

        A name with several addresses becomes as many entries of libpq's lists; one that can't be
        looked up is left out as long as another server remains.

        :returns: a fresh Deferred with the DSN's parameters, ``host``, ``hostaddr`` and ``port``
            among them where a name was looked up or there are several servers; it fails with
            :exc:`LookupFailed` when no server remains.
        """
        endpoints = dsn.endpoints()
        names = sorted({endpoint.host for endpoint in endpoints if endpoint.needs_lookup})
        looked_up = DeferredList([self.addresses(name) for name in names], consumeErrors=True)

        def merge(results: Iterable[tuple[bool, object]]) -> dict[str, str]:
            found = dict(zip(names, (result for _, result in results), strict=True))
            lists = _lists(endpoints, found) if names or len(endpoints) > 1 else {}
            return {**dsn.parameters(), **lists}

        return looked_up.addCallback(merge)


def _lists(endpoints: list[Endpoint], found: dict[str, object]) -> dict[str, str]:
    servers: list[Endpoint] = []
    for endpoint in endpoints:
        addresses = found.get(endpoint.host) if endpoint.needs_lookup else [endpoint.hostaddr]
        if isinstance(addresses, list):
            servers += [endpoint._replace(hostaddr=address) for address in addresses]
    if not servers:
        raise LookupFailed("; ".join(f"{name}: {_cause(why)}" for name, why in found.items()))
    hosts, hostaddrs, ports = (",".join(column) for column in zip(*servers, strict=True))
    return {"host": hosts, "hostaddr": hostaddrs, "port": ports}


def _cause(why: object) -> str:
    error = why.value if isinstance(why, Failure) else why
    return (isinstance(error, OSError) and error.strerror) or str(error) or "no address"
