"""What a contact's DND asks of the directory: which addresses a contact has, and who has an address."""

from __future__ import annotations

from typing import Protocol

from gateway.dnd.model import Subject


class Addresses(Protocol):
    """The directory of contacts. Subjects are canonical and in the location asked for.

    OSError, TimeoutError or SQLAlchemyError when it cannot answer: a change made without it would be half a change.
    """

    async def addresses(self, location_id: str, contact_id: str) -> tuple[Subject, ...]:
        """The contact's addresses now; empty for a contact that is not known."""

    async def contacts_of(self, subject: Subject) -> list[str]:
        """Ids of the location's contacts that have this address now."""


async def with_addresses(directory: Addresses, contact: Subject) -> list[Subject]:
    """The contact first, then its current addresses. What the directory raises; ValueError for an error of its own."""
    found = await directory.addresses(contact.location_id, contact.id)
    if strangers := [subject for subject in found if subject.location_id != contact.location_id]:
        raise ValueError(f"{len(strangers)} addresses are of another location")
    return list(dict.fromkeys((contact, *found)))
