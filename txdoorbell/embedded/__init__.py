"""A private PostgreSQL, for a first try and for tests.

It lives in one folder and listens on a Unix socket in it, or on 127.0.0.1. Its
superuser ``postgres`` has no password: the socket's directory is private, while
on TCP everybody on this machine is let in, so that is for tests.

Its programs come with the extra ``embedded``, or from the directory that
``TXDOORBELL_PGBIN`` names. It runs as the user we are. Root's runs as
``nobody``, since PostgreSQL refuses to run as root.
"""

from txdoorbell.embedded.binaries import EmbeddedUnavailable, find_binaries
from txdoorbell.embedded.server import PostgresServer
from txdoorbell.embedded.service import EmbeddedService, running_dsn

__all__ = [
    "EmbeddedService",
    "EmbeddedUnavailable",
    "PostgresServer",
    "find_binaries",
    "running_dsn",
]
