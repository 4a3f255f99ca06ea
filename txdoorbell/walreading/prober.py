"""Probes of a session that reads the write-ahead log."""

from __future__ import annotations

from txdoorbell.listening.probe import Prober, _Probe

__all__ = ["EMIT", "LogProber"]

EMIT = "select pg_catalog.pg_logical_emit_message(true, %s, %s)"
"""Writes a message, with a prefix and a content. It is one of a transaction: the others would wait
until the server writes its log for some other reason."""


class LogProber(Prober):
    """
    Rings by a message with a prefix of its own, otherwise as a listener's prober does.

    That proves that the log is decoded and arrives, and that strangers write to the same one.
    """

    async def _send(self, probe: _Probe) -> None:
        await self._connector.connect(probe.session)
        probe.rung_at = self._now()
        values = self.channel, probe.token
        await probe.session.query(EMIT, values, within=self._timing.query_timeout)
