"""A phone and what is said of it."""

from __future__ import annotations

from gateway.dnd.model import Actor, ActorKind, Cause, Scope, Subject, SubjectKind
from gateway.providers.signals import OptIn, OptOut

PHONE = Subject("loc1", SubjectKind.PHONE, "+14155552671")
STOPPED = (Scope.SMS, Cause.KEYWORD_OPT_OUT)
CARRIER = (Scope.SMS, Cause.CARRIER_OPT_OUT)
UNREACHABLE = (Scope.SMS, Cause.UNREACHABLE)

PROVIDER = Actor(ActorKind.PROVIDER, "twilio")


def phone(number: int) -> Subject:
    return Subject("loc1", SubjectKind.PHONE, f"+1415555{number:04d}")


def contact(subject: Subject) -> Actor:
    return Actor(ActorKind.CONTACT, subject.id)


def stop(event_id: str, subject: Subject = PHONE, at: int | None = None) -> OptOut:
    """STOP; a provider that dates it is the exception."""
    evidence = {"provider": "twilio", "text": "STOP"}
    return OptOut(event_id, subject, (Scope.SMS,), Cause.KEYWORD_OPT_OUT, at, contact(subject), evidence)


def start(event_id: str, subject: Subject = PHONE) -> OptIn:
    causes = (Cause.KEYWORD_OPT_OUT, Cause.CARRIER_OPT_OUT, Cause.UNREACHABLE)
    evidence = {"provider": "twilio", "text": "START"}
    return OptIn(event_id, subject, (Scope.SMS,), causes, contact(subject), event_id, evidence)


def code_30004(event_id: str, sent_at: int | None, subject: Subject = PHONE) -> OptOut:
    """The carrier says that a message, created at `sent_at`, was blocked."""
    return OptOut(event_id, subject, (Scope.SMS,), Cause.CARRIER_OPT_OUT, sent_at, PROVIDER, {"code": "30004"})
