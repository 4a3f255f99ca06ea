"""How long a lock is safe: the server's dead man's switch, and the lease that is shorter."""

from dataclasses import dataclass
from math import ceil

__all__ = ["LockTiming"]


@dataclass(frozen=True)
class LockTiming:
    """
    What follows from the heartbeat of a session with locks. All times are seconds.

    The server ends such a session when it was asked nothing for :attr:`timeout`: that frees the
    locks of a process that is frozen, or behind a dead link. The process itself gives up after
    :attr:`lease`, which is shorter, both counted from the same question.

    :ivar beat: how often the server is asked a question.
    """

    beat: float

    @property
    def timeout(self) -> float:
        """For how long a session may be idle, until the server ends it."""
        return 3 * self.beat

    @property
    def lease(self) -> float:
        """For how long after a question that was answered a lock is still held for certain."""
        return self.timeout - self.beat / 2

    def settings(self) -> dict[str, str]:
        """
        Return the server's settings for such a session.

        The first is the switch, which PostgreSQL 14 has. The others find a dead link while the
        server is sending, or busy; none of them acts sooner than the first. ``lock_timeout`` lets
        no statement of ours wait for somebody else's lock. With ``synchronous_commit`` off a server
        that crashes could give a lease's number out twice.
        """
        timeout = str(ceil(self.timeout * 1000))
        seconds = str(max(1, ceil(self.beat)))
        return {
            "idle_session_timeout": timeout,
            "tcp_user_timeout": timeout,
            "tcp_keepalives_idle": seconds,
            "tcp_keepalives_interval": seconds,
            "tcp_keepalives_count": "2",
            "lock_timeout": str(ceil(self.beat * 500)),
            "synchronous_commit": "on",
        }

    def check_interval(self) -> dict[str, str]:
        """Return the setting by which a busy server looks for its client; not every one can."""
        return {"client_connection_check_interval": str(ceil(self.beat * 500))}
