"""How long a message, or an account, waits before it is tried again. Pure.

The pauses are stamina's (exponential, capped, with jitter), but its loop is not used: it sleeps inside the call that is
tried again, while here a message that waits is only a place in a line, from which it can be taken when its partition
goes away or it expires; and it is given up by its `not_after`, not by a count.
"""

from __future__ import annotations

import random

FIRST_S, LONGEST_S = 0.5, 60.0
"""Between two tries of a message, doubling."""

FIRST_THROTTLED_S, LONGEST_THROTTLED_S = 0.2, 10.0
"""Of an account whose provider says that it is too fast, and not how long to wait."""

LONGEST_ASKED_S = 3_600.0
"""What a provider may ask for at most: `Retry-After` can be a date in another year."""

LEAST_ASKED_S = 0.1
"""And at least: `Retry-After: 0` from one that goes on refusing would have us ask without end."""


def pause_s(tries: int, first_s: float = FIRST_S, longest_s: float = LONGEST_S) -> float:
    """After so many tries (1 or more): doubling, between half of it and all of it."""
    doubled: float = first_s * 2.0 ** min(tries - 1, 30)
    return min(longest_s, doubled) * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, guards nothing


def asked_s(after_s: float | None, otherwise: float) -> float:
    """What the provider asks for, else `otherwise`."""
    return otherwise if after_s is None else min(max(LEAST_ASKED_S, after_s), LONGEST_ASKED_S)
