"""Mailgun's suppression lists read through, page by page: who will get no mail from a sending domain any more.

https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun (bounces, unsubscribes, complaints). A page
has `items` and, in `paging.next`, the URL of the next one, also on the last page: the end is a page without items. No
HTTP here. Of that URL only the query is used, so that the key goes nowhere but to the base URL that was set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from urllib.parse import urlsplit

from gateway.dnd.addresses import canonical
from gateway.dnd.model import Actor, ActorKind, Cause, Scope, Subject, SubjectKind
from gateway.providers.dates import rfc2822
from gateway.providers.mailgun.webhooks import PROVIDER
from gateway.providers.reading import event_id, evidence, json_object, member, objects, path_segment, shown, text, texts
from gateway.providers.signals import OptOut, Unparsable

PAGE_LIMIT = 1_000
"""Entries Mailgun gives at most."""

ADDRESS_LIMIT = 1_024
"""Characters; what is longer is no address."""


class OptOutList(StrEnum):
    """As their paths spell them."""

    BOUNCES = "bounces"
    UNSUBSCRIBES = "unsubscribes"
    COMPLAINTS = "complaints"


CAUSES: Mapping[OptOutList, Cause] = MappingProxyType(
    {
        OptOutList.BOUNCES: Cause.BOUNCE,
        OptOutList.UNSUBSCRIBES: Cause.UNSUBSCRIBE,
        OptOutList.COMPLAINTS: Cause.COMPLAINT,
    }
)
"""What an entry holds for: as the event that put it there (R9, R10)."""


@dataclass(frozen=True, slots=True)
class Suppressed:
    """An entry. `at` (ms): since when; None = it does not say. `about`: what it says besides, as evidence."""

    address: str
    at: int | None
    about: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class SuppressionPage:
    """`unusable`: entries without an address. `next_path`: of the next page, encoded; None = this was the last."""

    entries: tuple[Suppressed, ...]
    unusable: int
    next_path: str | None


def first_path(domain: str, listed: OptOutList, limit: int) -> str:
    """The path of GET for the first page."""
    return f"{_path(domain, listed)}?limit={limit}"


def read_page(body: bytes, domain: str, listed: OptOutList) -> SuppressionPage:
    """A page, from an answer 200. Raises `Unparsable`."""
    answer = json_object(body)
    items = answer.get("items")
    if not isinstance(items, list):
        raise Unparsable("expected a list in items")
    if not items:
        return SuppressionPage((), 0, None)
    following = urlsplit(text(member(answer, "paging"), "next"))
    if not following.path.endswith(_path(domain, listed)) or not following.query:
        raise Unparsable("expected the URL of the same list's next page in paging.next")
    found = [_entry(each) for each in objects(answer, "items")]
    entries = tuple(each for each in found if each is not None)
    return SuppressionPage(entries, len(items) - len(entries), f"{_path(domain, listed)}?{following.query}")


def opt_out(entry: Suppressed, domain: str, listed: OptOutList, location_id: str) -> OptOut:
    """What the entry says in a location. The same entry has the same id each time it is read."""
    subject = canonical(Subject(location_id, SubjectKind.EMAIL, entry.address))
    by_person = listed is not OptOutList.BOUNCES
    return OptOut(
        event_id(PROVIDER, "list", domain, listed, subject.id, "undated" if entry.at is None else str(entry.at)),
        subject,
        (Scope.EMAIL,),
        CAUSES[listed],
        entry.at,
        Actor(ActorKind.CONTACT, subject.id) if by_person else Actor(ActorKind.PROVIDER, PROVIDER),
        {**entry.about, "domain": domain, "list": listed.value},
    )


def _path(domain: str, listed: OptOutList) -> str:
    return f"/v3/{path_segment(domain)}/{listed}"


def _entry(item: Mapping[str, object]) -> Suppressed | None:
    address = text(item, "address").strip()
    if not address or len(address) > ADDRESS_LIMIT or "@" not in address or "\x00" in address:
        return None
    about = evidence(
        provider=PROVIDER,
        code=shown(text(item, "code")),
        message=shown(text(item, "error")),
        tags=shown(", ".join(texts(item, "tags")) or text(item, "tag")),
    )
    return Suppressed(address, rfc2822(text(item, "created_at")), about)
