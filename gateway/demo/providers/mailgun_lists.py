"""Mailgun's suppression lists of sending domains: who bounced, unsubscribed or complained is on them until taken off.

documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun (bounces, unsubscribes, complaints). A page ends at an
address, and the next one begins behind it; behind the last entry comes a page without any.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode

LISTS: Mapping[str, Mapping[str, object]] = {
    "bounces": {"code": "550", "error": "No Such User Here"},
    "unsubscribes": {"tags": ["*"]},
    "complaints": {},
}
"""What an entry says besides its address and date."""

LIMIT, MOST = 100, 1_000
"""Entries of one page: by default, and at most."""


class SuppressionLists:
    """Of all domains."""

    def __init__(self) -> None:
        self._lists: dict[tuple[str, str], dict[str, str]] = {}

    def put(self, domain: str, listed: str, address: str) -> None:
        """Since now, if it is not on it."""
        self._lists.setdefault((domain, listed), {}).setdefault(
            address, f"{datetime.now(UTC):%a, %d %b %Y %H:%M:%S UTC}"
        )

    def take_off(self, domain: str, listed: str, address: str) -> bool:
        """Whether it was on it."""
        return self._lists.get((domain, listed), {}).pop(address, None) is not None

    def page(self, domain: str, listed: str, query: Mapping[str, str], url: str) -> dict[str, object]:
        """What `query` asks for; `url` is the list's own."""
        since = self._lists.get((domain, listed), {})
        addresses, behind = sorted(since), query.get("address", "")
        asked = query.get("limit", "")
        limit = min(int(asked), MOST) if asked.isdecimal() else LIMIT
        begin = bisect_right(addresses, behind) if behind else 0
        shown = addresses[begin : begin + limit]
        following = {"page": "next", "address": shown[-1] if shown else behind, "limit": str(limit)}
        items = [{"address": each, "created_at": since[each], **LISTS[listed]} for each in shown]
        paging = {"first": url, "next": f"{url}?{urlencode(following)}", "previous": url, "last": f"{url}?page=last"}
        return {"items": items, "paging": paging}
