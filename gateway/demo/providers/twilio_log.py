"""Twilio's message log: pages of messages, newest first (twilio.com/docs/messaging/api/message-resource)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode

from gateway.demo.providers.twilio_resources import Resource

SIZE, MOST = 50, 1_000
"""Messages of one page: by default, and at most."""


def log_page(messages: Sequence[Resource], query: Mapping[str, str], path: str) -> Resource:
    """What `query` asks for of an account's messages, newest first; it looks at `DateSent>`, `Page` and `PageSize`."""
    since = _since(query.get("DateSent>", ""))
    found = [each for each in messages if _sent_at(each) >= since]
    number, size = _number(query.get("Page", ""), 0), min(_number(query.get("PageSize", ""), SIZE) or SIZE, MOST)
    shown = found[number * size : (number + 1) * size]
    following = None
    if len(found) > (number + 1) * size:
        kept = {name: query[name] for name in ("DateSent>",) if name in query}
        token = f"PA{shown[-1]['sid']}"
        following = f"{path}?{urlencode({**kept, 'PageSize': size, 'Page': number + 1, 'PageToken': token})}"
    return {
        "messages": shown,
        "page": number,
        "page_size": size,
        "start": number * size,
        "end": number * size + max(0, len(shown) - 1),
        "first_page_uri": f"{path}?{urlencode({'PageSize': size, 'Page': 0})}",
        "previous_page_uri": None,
        "next_page_uri": following,
        "uri": path,
    }


def _sent_at(message: Resource) -> datetime:
    """What was not sent yet counts as made."""
    return parsedate_to_datetime(str(message["date_sent"] or message["date_created"]))


def _since(asked: str) -> datetime:
    """A day or a moment (UTC), as Twilio takes them; anything else asks for all."""
    try:
        return datetime.fromisoformat(asked).replace(tzinfo=UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def _number(asked: str, otherwise: int) -> int:
    return int(asked) if asked.isdecimal() else otherwise
