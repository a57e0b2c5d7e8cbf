"""A contact's DND as people and workflows see it and change it. No HTTP: that is `gateway.web`'s."""

from gateway.contacts.addresses import Addresses
from gateway.contacts.commands import (
    BadChange,
    Clear,
    Command,
    NotEnlisted,
    NotPermanent,
    Refused,
    SetAll,
    SetChannel,
    StaysPermanent,
    Why,
)
from gateway.contacts.log import NotAvailable
from gateway.contacts.service import Changed, ContactService, Enlisted
from gateway.contacts.state import ContactDnd, Hold

__all__ = [
    "Addresses",
    "BadChange",
    "Changed",
    "Clear",
    "Command",
    "ContactDnd",
    "ContactService",
    "Enlisted",
    "Hold",
    "NotAvailable",
    "NotEnlisted",
    "NotPermanent",
    "Refused",
    "SetAll",
    "SetChannel",
    "StaysPermanent",
    "Why",
]
