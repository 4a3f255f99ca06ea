"""How long to wait before the next attempt."""

from collections.abc import Callable
from random import random

__all__ = ["backoff_policy"]


def backoff_policy(
    initial: float = 0.05,
    maximum: float = 30.0,
    factor: float = 2.0,
    jitter: Callable[[], float] = random,
) -> Callable[[int], float]:
    """
    Make a policy of growing, jittered delays.

    The delay before attempt n (1 is the first retry) is drawn from the upper half of
    ``initial * factor ** (n - 1)`` seconds, itself never more than ``maximum``: many clients of one
    server that went away do not come back in step.

    :param initial: seconds before the first retry, at most.
    :param maximum: seconds before any retry, at most.
    :param factor: what the delay grows by, at least 1.
    :param jitter: returns the random part, from 0 to 1.
    :returns: a function from the number of failures in a row to seconds.
    :raises ValueError: unless 0 < initial <= maximum and factor >= 1.
    """
    if not 0 < initial <= maximum or factor < 1:
        raise ValueError(
            "a backoff needs 0 < initial <= maximum and factor >= 1: "
            f"{initial=}, {maximum=}, {factor=}"
        )

    def policy(failures: int) -> float:
        try:
            whole = min(maximum, initial * factor ** (max(1, failures) - 1))
        except OverflowError:
            whole = maximum
        return whole * (1.0 + jitter()) / 2.0

    return policy
