"""The made-up businesses and contacts of the campaign.

Nobody real can be reached at their addresses: phone numbers are of the ranges that regulators keep for fiction (NANPA
555-0100 to 555-0199, Ofcom 07700 900000 to 900999, Arcep 06 39 98 00 00 to 99 99), mailboxes of RFC 2606's domains.
Numbers are spelt as people of the region type them, so the gateway has to read them with the location's region.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from gateway.dnd.addresses import recipient_key
from gateway.dnd.model import Channel, Subject, SubjectKind


@dataclass(frozen=True, slots=True)
class Location:
    """A business that sends through the gateway. `is_busy`: it sends more than its providers take at a time."""

    id: str
    name: str
    region: str
    contacts: int
    is_busy: bool = False


LOCATIONS: tuple[Location, ...] = (
    Location("bright-smile", "Bright Smile Dental", "US", 120, is_busy=True),
    Location("corner-garage", "Corner Garage", "US", 60),
    Location("harbour-physio", "Harbour Physio", "GB", 90),
    Location("atelier-velo", "Atelier Vélo", "FR", 50),
)

SHARED_CONTACTS = 20
"""People of the first location who are clients of the second too: an opt-out at one is none at the other (R21)."""

FIRST_NAMES = (
    "Ada", "Ben", "Chloé", "Dara", "Emil", "Fay", "Gus", "Hana", "Ivo", "June", "Kofi", "Lena", "Milo", "Nia", "Omar",
    "Pia", "Quin", "Rosa", "Sam", "Tess", "Uma", "Vic", "Wren", "Yuki", "Zoe",
)  # fmt: skip

MAIL_DOMAINS = ("example.com", "example.org", "example.net")

US_AREA_CODES = ("415", "510", "628", "707", "925")


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact with an address for every channel, as the location's sender knows it."""

    id: str
    location: Location
    name: str
    phone: str
    email: str
    psid: str
    gmb: str

    def to(self, channel: Channel) -> str:
        """Where a message on the channel goes, in the sender's spelling."""
        match channel:
            case Channel.SMS | Channel.CALL | Channel.WHATSAPP:
                return self.phone
            case Channel.EMAIL:
                return self.email
            case Channel.FB:
                return self.psid
            case Channel.GMB:
                return self.gmb

    def address(self, channel: Channel) -> Subject:
        """The subject that provider signals of the channel are about."""
        kind, key = recipient_key(channel, self.to(channel), self.location.region)
        return Subject(self.location.id, kind, key)

    @property
    def subject(self) -> Subject:
        return Subject(self.location.id, SubjectKind.CONTACT, self.id)


def make_contacts(random: Random) -> list[Contact]:
    """Every contact of every location, in a fixed order for one state of `random`."""
    phones = {region: _phones(region) for region in ("US", "GB", "FR")}
    numbers = itertools.count(1)
    contacts: list[Contact] = []
    for location in LOCATIONS:
        for index in range(location.contacts):
            shared = contacts[index] if location.id == "corner-garage" and index < SHARED_CONTACTS else None
            number = next(numbers)
            name = random.choice(FIRST_NAMES) if shared is None else shared.name
            contacts.append(
                Contact(
                    id=f"c-{number:04}",
                    location=location,
                    name=name,
                    phone=next(phones[location.region]) if shared is None else shared.phone,
                    email=f"{name.lower()}.{number}@{random.choice(MAIL_DOMAINS)}" if shared is None else shared.email,
                    psid=f"psid-{number:06}",
                    gmb=f"gmb-{number:06}",
                )
            )
    return contacts


def _phones(region: str) -> Iterator[str]:
    match region:
        case "US":
            return (f"({area}) 555-0{line}" for line in range(100, 200) for area in US_AREA_CODES)
        case "GB":
            return (f"07700 900{line:03}" for line in range(1000))
        case "FR":
            return (f"06 39 98 {line // 100:02} {line % 100:02}" for line in range(10_000))
        case _:
            raise ValueError(f"no range kept for fiction is known of {region}")
