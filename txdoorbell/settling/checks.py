"""
Whether a value of a configuration file will do.

Each check returns the value to use, or raises. :exc:`Unexpected` says what was expected, and leaves
it to others to show what was found: it may be a secret.
"""

from __future__ import annotations

from txdoorbell.listening.dsn import check_dsn
from txdoorbell.notification import check_channel
from txdoorbell.processor import check_seconds

__all__ = ["Unexpected"]

MODULE_NAME = "MODULE:NAME, such as shop.jobs:process"


class Unexpected(ValueError):
    """A value is of the wrong kind; the text says which kind was expected."""


def text(value: object) -> str:
    """Take a text that isn't empty."""
    if not isinstance(value, str) or not value:
        raise Unexpected("a text")
    return value


def name(value: object) -> str:
    """Take a name: a text of one line."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise Unexpected("a name")
    return value


def spec(value: object) -> str:
    """Take what may be ``MODULE:NAME``; whether it leads anywhere is not tried."""
    if not isinstance(value, str):
        raise Unexpected(MODULE_NAME)
    return value


def boolean(value: object) -> bool:
    """Take true or false."""
    if not isinstance(value, bool):
        raise Unexpected("true or false")
    return value


def integer(value: object) -> int:
    """Take a whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise Unexpected("a whole number")
    return value


def seconds(value: object) -> float:
    """Take a length of time that is not 0."""
    return _seconds(value, "a number of seconds, more than 0", zero=False)


def seconds_or_0(value: object) -> float:
    """Take a length of time."""
    return _seconds(value, "a number of seconds, 0 or more", zero=True)


def _seconds(value: object, expected: str, zero: bool) -> float:
    try:
        return check_seconds("it", value, zero=zero)
    except (TypeError, ValueError):
        raise Unexpected(expected) from None


def factor(value: object) -> float:
    """Take a number that nothing shrinks by."""
    try:
        number = check_seconds("it", value)
    except (TypeError, ValueError):
        number = 0.0
    if number < 1:
        raise Unexpected("a number, 1 or more")
    return number


def stuck(value: object) -> str:
    """Take a word for what follows when a function is stuck."""
    if not isinstance(value, str) or value not in ("wait", "resign"):
        raise Unexpected('"wait" or "resign"')
    return value


def channel(value: object) -> str:
    """Take a channel's name."""
    if not isinstance(value, str):
        raise Unexpected("the name of a channel")
    return check_channel(value)


def channels(value: object) -> tuple[str, ...]:
    """Take the names of channels."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Unexpected('names of channels, such as ["jobs", "mail"]')
    return tuple(dict.fromkeys(map(check_channel, value)))


def dsn(value: object) -> str:
    """
    Take a connection string.

    :raises ValueError: when it can't be parsed; the text shows no password.
    """
    if not isinstance(value, str):
        raise Unexpected("libpq's keywords and values, or a URI")
    try:
        check_dsn(value)
    except ValueError as error:
        raise ValueError(str(error).removeprefix("DSN: ")) from None
    return value


def endpoint(value: object) -> str:
    """
    Take the description of a Twisted endpoint.

    :raises ValueError: when it is none; the text says why.
    """
    if not isinstance(value, str):
        raise Unexpected("a Twisted endpoint, such as tcp:8765:interface=127.0.0.1")
    try:
        from txdoorbell.status.service import check_endpoint
    except ImportError as error:
        raise ValueError(f"{error}: pip install 'txdoorbell[status]'") from None
    return check_endpoint(value)


def lock(value: object) -> str:
    """
    Take the name of a lock.

    :raises ValueError: for one that PostgreSQL could not have.
    """
    from txdoorbell.fleet.keys import lock_key

    text = name(value)
    lock_key(text)
    return text


def count(value: object) -> int:
    """Take a number of things, of which there is one at least."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Unexpected("a whole number, 1 or more")
    return value


def tables(value: object) -> tuple[str, ...]:
    """Take the names of tables, as SQL would read them."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Unexpected('names of tables, such as ["jobs", "shop.mail"]')
    return tuple(dict.fromkeys(map(table, value)))


def table(name: str) -> str:
    """
    Take the name of a table; each name that SQL would take for the same comes out the same.

    :raises ValueError: when SQL could not read it.
    """
    from txdoorbell.walreading.changes import Table

    return str(Table(name))


def publication(value: object) -> str:
    """
    Take the name of a publication.

    :raises ValueError: for one that is too long, or can't be.
    """
    from txdoorbell.walreading.plan import check_publication

    return check_publication(text(value))
