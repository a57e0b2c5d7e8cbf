"""Contacts of a location, each test's own."""

from __future__ import annotations

import uuid
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """A contact of a location and its addresses."""

    contact: str
    phone: str
    email: str

    def address(self, channel: str) -> str:
        match channel:
            case "Email":
                return self.email
            case "FB" | "GMB":
                return f"{channel.lower()}-{self.contact}"
            case _:
                return self.phone


_HOW_MANY = iter(range(1, 10_000))


def somebody(phone: str | None = None, email: str | None = None) -> Person:
    """A new contact, with addresses of its own unless they are given."""
    number = next(_HOW_MANY)
    contact = f"c{number}-{uuid.uuid4().hex[:6]}"
    return Person(contact, phone or f"+1415555{number:04d}", email or f"{contact}@example.com")
