"""
The key of a lock: from its name to the two integers of PostgreSQL's advisory locks.

Stable for ever: two hosts that ran different releases with different keys would both run a loop.
"""

from __future__ import annotations

from hashlib import sha256

__all__ = ["LOCK_CLASS", "NAME_LIMIT", "STANDBY_CLASS", "lock_key"]

NAME_LIMIT = 1000
"""The longest name of a lock, in bytes of UTF-8."""


def _integer(text: bytes) -> int:
    """Return four bytes of a digest as PostgreSQL's ``integer``, which is signed."""
    return int.from_bytes(sha256(text).digest()[:4], "big", signed=True)


LOCK_CLASS = _integer(b"txdoorbell")
"""The first of the two integers: the same for all locks of ours, so that others keep clear."""

STANDBY_CLASS = _integer(b"txdoorbell standby")
"""The first of the two of the shared locks by which sessions show what they stand by for."""


def lock_key(name: str) -> tuple[int, int]:
    """
    Return the two signed integers that stand for a lock in ``pg_try_advisory_lock(int, int)``.

    The first is :data:`LOCK_CLASS`, of all locks of txdoorbell; the second is made of the name: the
    first four bytes of the SHA-256 of its UTF-8. Keys of two integers are apart from those of one
    bigint. The same in every release.

    :param name: case counts.
    :raises TypeError: when it is no str.
    :raises ValueError: when it is empty, longer than 1000 bytes, has a NUL, or can't be
        encoded.
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of a lock must be a str, not {type(name).__name__}")
    try:
        encoded = name.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"lock {name[:80]!r} can't be encoded: {error.reason}") from None
    if not 1 <= len(encoded) <= NAME_LIMIT:
        raise ValueError(
            f"lock {name[:80]!r} has {len(encoded)} bytes of UTF-8: 1 to {NAME_LIMIT} are allowed"
        )
    if b"\0" in encoded:
        raise ValueError(f"lock {name[:80]!r} has a NUL, which PostgreSQL can't take")
    return LOCK_CLASS, _integer(encoded)
