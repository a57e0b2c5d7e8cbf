"""How often one caller may call: a leaky bucket each, that holds the calls of one second.

It protects callers from each other. Only calls that are let in count: who has no key is refused at the cost of a hash.
"""

from __future__ import annotations

import math
from collections import OrderedDict

from aiolimiter import AsyncLimiter

from gateway.web.access.refusals import TooManyCalls

PERIOD_S = 1.0

CALLERS_LIMIT = 10_000
"""Buckets kept, each some hundred bytes. Who was away longest is forgotten first; their bucket has run dry by then."""


class RateLimits:
    """`per_second` calls of each caller; as many at once."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._buckets: OrderedDict[str, AsyncLimiter] = OrderedDict()

    async def pass_(self, caller_id: str) -> None:
        """Takes the call into account. TooManyCalls, which does not count."""
        bucket = self._buckets.get(caller_id)
        if bucket is None:
            bucket = self._buckets[caller_id] = AsyncLimiter(self._per_second, PERIOD_S)
            if len(self._buckets) > CALLERS_LIMIT:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(caller_id)
        if not bucket.has_capacity():
            raise TooManyCalls(math.ceil(PERIOD_S))
        await bucket.acquire()  # does not wait: nobody else runs between the two
