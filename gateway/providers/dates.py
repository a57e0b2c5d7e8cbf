"""Dates as providers' APIs write them."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

from gateway.providers.reading import moment


def rfc2822(date: str) -> int | None:
    """A date as in mails ("Fri, 24 May 2019 17:44:46 +0000", or a zone's name) -> ms; without a zone it is GMT.

    None = no date.
    """
    try:
        found = parsedate_to_datetime(date)
        seconds = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return moment({"date": seconds}, "date")
