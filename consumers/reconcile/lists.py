"""What is read: each list of each account once, for all locations that send with it.

A Mailgun domain that several locations send with holds its entries in each of them, for none of them gets through. A
message to a Twilio account that several locations have belongs to the one whose number it was sent to; to nobody's
number it belongs to nobody: an opt-out never crosses locations (R21).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.accounts import Accounts, LocationSettings, MailgunAccount, TwilioAccount
from gateway.contract.events import event_key
from gateway.dnd.model import Scope, Subject
from gateway.drift.model import list_key
from gateway.providers.mailgun import lists as mailgun_lists
from gateway.providers.mailgun.lists import OptOutList, Suppressed
from gateway.providers.mailgun.webhooks import PROVIDER as MAILGUN
from gateway.providers.signals import OptIn, OptOut, Signal
from gateway.providers.twilio import log as twilio_log
from gateway.providers.twilio.log import Inbound

TWILIO = "twilio"
MESSAGES = "messages"
NOBODY = ""
"""In the place of a location."""

OVERLAP_MS = 15 * 60_000
"""Read again behind the newest date of the round before: what came into the log late."""

FIRST_LOOK_BACK_MS = 7 * 24 * 3_600_000
"""How far the first round goes back. For so long the ids of what our webhook was told are known, too."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """A page. `told`: what it says, by location. `unusable`: entries without meaning for a location, by location.

    `listed`: entries to remember, with their dates (ms).
    """

    told: Iterable[tuple[str, Sequence[Signal]]]
    unusable: Mapping[str, int]
    entries: int
    listed: Mapping[str, int]
    newest_at: int | None
    next_path: str | None


class ProviderList(Protocol):
    """One list of one account. `tells_state`: it is who is opted out now, and not what people said."""

    @property
    def provider(self) -> str: ...
    @property
    def account(self) -> str: ...
    @property
    def listed(self) -> str: ...
    @property
    def locations(self) -> Sequence[str]: ...
    @property
    def tells_state(self) -> bool: ...
    @property
    def key(self) -> str: ...
    def first_path(self, through_at: int | None, now: int, page_size: int) -> str: ...
    def read(self, body: bytes) -> Pulled:
        """Unparsable."""


@dataclass(frozen=True, slots=True)
class MailgunList:
    account: str
    listing: OptOutList
    locations: tuple[str, ...]
    provider: str = MAILGUN
    tells_state: bool = True

    @property
    def listed(self) -> str:
        return self.listing.value

    @property
    def key(self) -> str:
        return list_key(self.provider, self.account, self.listed)

    def first_path(self, through_at: int | None, now: int, page_size: int) -> str:  # noqa: ARG002 - always all of it
        return mailgun_lists.first_path(self.account, self.listing, page_size)

    def read(self, body: bytes) -> Pulled:
        page = mailgun_lists.read_page(body, self.account, self.listing)
        told = ((location, self._told(page.entries, location)) for location in self.locations)  # not all at once
        listed: dict[str, int] = {}
        for signal in self._told(page.entries, self.locations[0]):
            listed[signal.subject.id] = max(signal.at or 0, listed.get(signal.subject.id, 0))
        unusable = dict.fromkeys(self.locations, page.unusable)
        return Pulled(told, unusable, len(page.entries) + page.unusable, listed, None, page.next_path)

    def _told(self, entries: Sequence[Suppressed], location: str) -> list[OptOut]:
        return [mailgun_lists.opt_out(entry, self.account, self.listing, location) for entry in entries]


@dataclass(frozen=True, slots=True)
class TwilioLog:
    account: str
    settings: Mapping[str, LocationSettings]
    provider: str = TWILIO
    listed: str = MESSAGES
    tells_state: bool = False

    @property
    def locations(self) -> tuple[str, ...]:
        return tuple(self.settings)

    @property
    def key(self) -> str:
        return list_key(self.provider, self.account, self.listed)

    def first_path(self, through_at: int | None, now: int, page_size: int) -> str:
        since = now - FIRST_LOOK_BACK_MS if through_at is None else through_at - OVERLAP_MS
        return twilio_log.first_path(self.account, since, page_size)

    def read(self, body: bytes) -> Pulled:
        """Remembered are opt-ins: an older opt-out of the same scope further down the log is answered by them."""
        page = twilio_log.read_page(body, self.account)
        told: dict[str, list[Signal]] = {location: [] for location in self.locations}
        unusable = {self._only() or NOBODY: page.unusable} if page.unusable else {}
        for message in page.inbound:
            location = self._only() or self._of_number(message)
            if location is None:
                unusable[NOBODY] = unusable.get(NOBODY, 0) + 1
                continue
            told[location] += twilio_log.signals_of(message, location, self.settings[location])
        listed: dict[str, int] = {}
        for signal in (each for found in told.values() for each in found):
            if isinstance(signal, OptIn) and signal.at is not None:
                for entry in entries_of(signal):
                    listed[entry] = max(signal.at, listed.get(entry, 0))
        return Pulled(tuple(told.items()), unusable, page.messages, listed, page.newest_at, page.next_path)

    def _only(self) -> str | None:
        return self.locations[0] if len(self.locations) == 1 else None

    def _of_number(self, message: Inbound) -> str | None:
        number = message.to.rpartition(":")[2]
        senders = ((location, each.twilio) for location, each in self.settings.items())
        return next((location for location, twilio in senders if twilio and twilio.from_number == number), None)


def entry_of(subject: Subject, scope: Scope) -> str:
    """Who said something of which scope, in the store."""
    return f"{scope} {event_key(subject).decode()}"


def entries_of(signal: Signal) -> list[str]:
    """Of all its scopes: who opts in on WhatsApp has not opted in on SMS."""
    return [entry_of(signal.subject, scope) for scope in signal.scopes]


@dataclass(frozen=True, slots=True)
class Account:
    """What is read with one key, one list after another. `name` without secrets."""

    name: str
    base: str
    user: str
    key: str = field(repr=False)
    lists: tuple[ProviderList, ...]


def accounts_of(accounts: Accounts) -> list[Account]:
    """Everything there is to read."""
    return [*_mailgun(accounts), *_twilio(accounts)]


def _mailgun(accounts: Accounts) -> Iterator[Account]:
    locations: dict[str, list[str]] = {}
    first: dict[str, MailgunAccount] = {}
    for location_id, settings in accounts.locations.items():
        for domain in () if settings.mailgun is None else dict.fromkeys(settings.mailgun.domains):
            locations.setdefault(domain, []).append(location_id)
            first.setdefault(domain, settings.mailgun)  # type: ignore[arg-type]  # not None: it has domains
    domains: dict[tuple[str, str], list[str]] = {}
    for domain, account in first.items():
        domains.setdefault((account.api_base, account.api_key.reveal()), []).append(domain)
    for (base, key), found in domains.items():
        lists = [MailgunList(domain, each, tuple(locations[domain])) for domain in found for each in OptOutList]
        yield Account(f"mailgun {found[0]}", base, "api", key, tuple(lists))


def _twilio(accounts: Accounts) -> Iterator[Account]:
    by_sid: dict[str, dict[str, LocationSettings]] = {}
    for location_id, settings in accounts.locations.items():
        if settings.twilio is not None:
            by_sid.setdefault(settings.twilio.account_sid, {})[location_id] = settings
    for sid, found in by_sid.items():
        account: TwilioAccount | None = next(iter(found.values())).twilio
        if account is not None:
            log = TwilioLog(sid, found)
            yield Account(f"twilio {sid}", account.api_base, sid, account.auth_tokens[0].reveal(), (log,))
