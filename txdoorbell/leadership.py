"""
A fleet: many hosts, each loop in one place.

A loop with a lock runs only while this process holds the PostgreSQL advisory lock of that name. The
lock is held on the listening session itself, so that hearing and holding end together.
"""

from __future__ import annotations

from txdoorbell.fleet.keys import LOCK_CLASS, lock_key
from txdoorbell.fleet.locking import RELEASE_CHANNEL, Lease

__all__ = ["LOCK_CLASS", "RELEASE_CHANNEL", "Lease", "lock_key"]
