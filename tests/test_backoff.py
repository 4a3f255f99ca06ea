"""The wait between attempts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txdoorbell.listening.backoff import backoff_policy


class BackoffTests(SynchronousTestCase):
    """Policies, with the chance in our hands."""

    def test_growth(self) -> None:
        """It doubles from one twentieth of a second to half a minute, and stays there."""
        policy = backoff_policy(jitter=lambda: 1.0)
        delays = [policy(failures) for failures in range(1, 13)]
        doubled = [0.05 * 2**n for n in range(10)]
        self.assertEqual(delays, [*doubled, 30.0, 30.0])

    def test_jitter(self) -> None:
        """It is drawn from the upper half, so that a thousand clients don't come at once."""
        low = backoff_policy(1.0, 8.0, jitter=lambda: 0.0)
        high = backoff_policy(1.0, 8.0, jitter=lambda: 1.0)
        self.assertEqual([low(3), high(3)], [2.0, 4.0])

    @given(st.integers(min_value=0, max_value=10**9))
    def test_bounds(self, failures: int) -> None:
        """It is never more than the maximum, and never nothing, however long the outage."""
        self.assertTrue(0.025 <= backoff_policy()(failures) <= 30.0)

    def test_wrong(self) -> None:
        """Numbers that make no sense are refused."""
        for arguments in ((0.0,), (-1.0,), (2.0, 1.0), (1.0, 2.0, 0.5), (float("nan"),)):
            self.assertRaises(ValueError, backoff_policy, *arguments)
