"""
Where to connect: a DSN, what libpq adds to it, and what of it may be shown.

libpq merges four sources: the DSN (keywords or URI), a service file, the environment, its own
defaults. The same is done here for the few parts that must be known beforehand: the hosts, whose
names are looked up off the reactor's thread, and what log lines show.
"""

import os
import pwd
import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import NamedTuple

from txdoorbell.listening.oneline import one_line
from txdoorbell.listening.service_file import service_settings

__all__ = ["Dsn", "Endpoint", "check_dsn", "is_part_of_dsn"]

_ENVIRONMENT = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "service": "PGSERVICE",
}

_OURS = {
    "fallback_application_name": "txdoorbell",
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
"""What is asked of libpq unless the DSN or its service says otherwise. libpq itself lets an
``application_name`` from anywhere win over the fallback."""

_ESCAPES = 'in a URI, "/", "@", ":" and "%" in a name or password are written %2F, %40, %3A, %25'
_HIDDEN = "***"


class Endpoint(NamedTuple):
    """One server to try, of those in libpq's lists; an empty part means libpq's default."""

    host: str
    hostaddr: str
    port: str

    @property
    def needs_lookup(self) -> bool:
        """Whether the host is a name that libpq would look up: no address and no socket."""
        return not self.hostaddr and not self.host.startswith(("/", "@")) and _is_name(self.host)

    def __str__(self) -> str:
        place = self.host or self.hostaddr or "local"
        return f"[{place}]:{self.port}" if ":" in place else f"{place}:{self.port}"


class Dsn:
    """
    A connection string that has been parsed, with what the environment adds to it.

    Its ``repr`` and :attr:`description` hold no password. The environment and the service file are
    read anew at each call, as libpq does.

    :param text: keywords and values, or a URI; empty for the environment alone.
    :raises ValueError: when it can't be parsed, in one line that shows no password.
    :raises DriverMissing: when there is nothing to parse it with.
    """

    def __init__(self, text: str = "", environ: Mapping[str, str] = os.environ) -> None:
        self._given = _parse(text)
        self._environ = environ
        _check_values(self._given, text)

    def __repr__(self) -> str:
        return f"<Dsn {self.description}>"

    def parameters(self) -> dict[str, str]:
        """
        Return what to give to libpq: what the DSN says, our keepalives, and UTF-8.

        Another encoding, which the DSN or the environment may ask for, would lack characters: the
        server ends a session to which it can't convert a payload.
        """
        settings = self._settings()
        ours = {key: value for key, value in _OURS.items() if key not in settings}
        return {**self._given, **ours, "client_encoding": "UTF8"}

    def endpoints(self) -> list[Endpoint]:
        """Return the servers that libpq would try, in its order."""
        settings = self._settings()
        hosts, addresses, ports = (
            settings.get(key, "").split(",") for key in ("host", "hostaddr", "port")
        )
        count = max(len(hosts), len(addresses))
        if len(ports) == 1:
            ports = ports * count
        return [
            Endpoint(_nth(hosts, n), _nth(addresses, n), _nth(ports, n) or "5432")
            for n in range(count)
        ]

    @property
    def description(self) -> str:
        """The servers, the database and the user: ``host:port/database as user``."""
        settings = self._settings()
        user = settings.get("user") or _system_user()
        database = settings.get("dbname") or user
        return _blotted(f"{','.join(map(str, self.endpoints()))}/{database} as {user}")

    def conceal(self, text: str) -> str:
        """Take out of a text what looks like a password, and this DSN's own."""
        text, settings = _blotted(text), self._settings()
        for secret in (settings.get("password"), settings.get("sslpassword")):
            # One that is also the user's name, say, is no secret to keep by blotting that out.
            if secret and secret not in map(settings.get, ("user", "dbname", "host", "port")):
                text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", _HIDDEN, text)
        return text

    def _settings(self) -> dict[str, str]:
        """Merge as libpq does: what is given, then the service, then the environment."""
        environment = {
            key: self._environ[name] for key, name in _ENVIRONMENT.items() if name in self._environ
        }
        service = self._given.get("service", environment.get("service", ""))
        found = service_settings(service, self._environ) if service else {}
        return {**environment, **found, **self._given}


def check_dsn(dsn: str) -> None:
    """
    Check that a DSN can be parsed; whether it leads anywhere is not tried.

    :raises ValueError: in one line that names the culprit, and never shows a password.
    :raises DriverMissing: when there is nothing to parse it with.
    """
    Dsn(dsn)


def is_part_of_dsn(name: str) -> bool:
    """
    Say whether libpq knows a keyword of this name.

    :raises DriverMissing: when there is nothing to ask.
    """
    if not re.fullmatch("[a-z_]+", name):
        return False
    try:
        return name in _parse(f"{name}=1")
    except ValueError:
        return False


def _system_user() -> str:
    """Return whom libpq takes us for; in a container we may have no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid {os.geteuid()}"


def _blotted(text: str) -> str:
    text = re.sub(r"://\S*@", f"://{_HIDDEN}@", text)
    return re.sub(r"(?i)(password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&]+)", rf"\1{_HIDDEN}", text)


def _nth(items: list[str], n: int) -> str:
    return items[n].strip() if n < len(items) else ""


def _is_name(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return bool(host)
    return False


def _parse(text: str) -> dict[str, str]:
    from txdoorbell.listening.session import DatabaseError, parse_dsn

    if not isinstance(text, str):
        raise ValueError(f"DSN: it must be a str, not {type(text).__name__}")
    if re.search("[\0\ud800-\udfff]", text):
        raise ValueError("DSN: it has a NUL, or a character that can't be encoded")
    try:
        return dict(parse_dsn(text))
    except DatabaseError as error:
        complaint = one_line(error).removeprefix("invalid dsn: ")
    raise ValueError(f"DSN: {_without_secrets(complaint, text)}")


def _without_secrets(complaint: str, text: str) -> str:
    """Return libpq's complaint, unless what it quotes may be part of a password."""
    quoted = set(re.findall(r'"([^"]*)"', complaint)) - {"="}
    secret = _secret_part(text)
    if all(re.fullmatch(r"[\w.-]+", token) and token not in secret for token in quoted):
        return complaint
    return f"it can't be parsed; a value with spaces is quoted (password='...'); {_ESCAPES}"


def _secret_part(text: str) -> str:
    """Return the stretch that may hold a password, however badly it is written."""
    password = re.search(r"(?i)password.*", text)
    return text[: text.rfind("@") + 1] + (password.group() if password else "")


def _check_values(given: Mapping[str, str], text: str) -> None:
    """Refuse what is most likely a piece of a password in the wrong place, and show none of it."""
    for port in given.get("port", "").split(","):
        if port and not (port.strip().isdecimal() and 0 < int(port) < 65536):
            raise ValueError(f"DSN: a port is no number from 1 to 65535; {_ESCAPES}")
    for host in given.get("host", "").split(","):
        if "@" in host[1:]:
            raise ValueError(f'DSN: the host has an "@" in it; {_ESCAPES}')
    database = given.get("dbname", "")
    is_uri = "://" in database or ("@" in database and "://" in text)
    if is_uri or "password" in database.lower():
        raise ValueError(f"DSN: dbname is no plain name of a database; {_ESCAPES}")
