"""What came in, as `dnd.events` says: how often people replied STOP and START, emails bounced, and so on.

Copies that the directory makes of an address's hold for its contacts are left out, and so is an event written again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from gateway.contract.events import Unreadable, decode_event
from gateway.dnd.model import ActorKind, Cause, Event, Lift, Place, SubjectKind
from gateway.streams.tap import Tapped

STOP, START, APPEAL, SWITCH = "STOP replies", "START replies", "appeals approved", "switched by users"

CODES: Mapping[str, str] = {"30003": "carrier: 30003 unreachable", "30004": "carrier: 30004 blocked"}
"""By the code in the evidence."""

CAUSES: Mapping[Cause, str] = {
    Cause.KEYWORD_OPT_OUT: STOP,
    Cause.BOUNCE: "bounces",
    Cause.COMPLAINT: "spam complaints",
    Cause.UNSUBSCRIBE: "unsubscribes",
    Cause.PROVIDER_OPT_OUT: "WhatsApp opt-outs",
    Cause.LEGACY: "imported flags",
    Cause.MANUAL: SWITCH,
}
"""Of the others by their cause."""


def occasions(records: Iterable[Tapped]) -> Mapping[str, int]:
    """How often, by what."""
    ids: dict[str, set[str]] = defaultdict(set)
    for record in records:
        try:
            event = decode_event(record.value, record.timestamp)
        except Unreadable:
            continue
        found = _named(event)
        if found is not None:
            what, id_ = found
            ids[what].add(id_)
    return {what: len(each) for what, each in ids.items()}


def _named(event: Event) -> tuple[str, str] | None:
    """What it is, and what makes it that one."""
    match event:
        case Place(subject=subject, causes=(cause, *_)):
            own_to_contacts = cause in {Cause.MANUAL, Cause.LEGACY}
            if (subject.kind is SubjectKind.CONTACT) != own_to_contacts:
                return None
            what = CODES.get(str(event.evidence.get("code"))) or CAUSES.get(cause)
            return None if what is None else (what, event.event_id)
        case Lift() if "appeal" in event.evidence:
            return APPEAL, str(event.evidence["appeal"])
        case Lift(actor=actor, subject=subject):
            by_contact = actor.kind is ActorKind.CONTACT and subject.kind is SubjectKind.PHONE
            return (START, event.event_id) if by_contact else None
    return None
