"""Every path of the API, as data: what is served, checked, documented and tested walks these rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gateway.accounts.model import API_ROLES
from gateway.contacts.appeal import AppealStatus
from gateway.contract.requests import ID_LIMIT, VALUE_LIMIT_BYTES, Request
from gateway.dnd.model import ActorKind, SubjectKind
from gateway.web.api.messages import (
    ADDRESS_LIMIT,
    AppealApproved,
    AppealList,
    AppealShown,
    CleanUpEmail,
    ContactDndShown,
    DecideAppeal,
    DndChanged,
    EmailCleanedUp,
    Explained,
    FileAppeal,
    SetDnd,
)
from gateway.web.api.problem_types import ProblemType

VISIBLE = r"^[^\u0000-\u001f\u007f]*$"
"""No control characters: databases do not take all of them, and nobody can read them in a log."""

Id = Annotated[str, Meta(min_length=1, max_length=ID_LIMIT, pattern=VISIBLE)]


class AddressKind(StrEnum):
    """Kinds of addresses, as in `SubjectKind`."""

    PHONE = SubjectKind.PHONE.value
    EMAIL = SubjectKind.EMAIL.value
    PSID = SubjectKind.PSID.value
    GMB = SubjectKind.GMB.value
    WA_USER = SubjectKind.WA_USER.value


BODY_LIMIT_BYTES = 64 * 1024
"""Far above what any of ours has."""

PARAMETERS: dict[str, Any] = {
    "location_id": Id,
    "contact_id": Id,
    "kind": AddressKind,
    "address": Annotated[str, Meta(min_length=1, max_length=ADDRESS_LIMIT, pattern=VISIBLE)],
    "appeal_id": Id,
    "status": AppealStatus,
}
"""What stands in paths and behind them, by name."""

EVERYBODY = API_ROLES


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path. `operation` names it in the document and in the audit."""

    operation: str
    method: str
    path: str
    summary: str
    answer: type[msgspec.Struct]
    status: int = 200
    body: type[msgspec.Struct] | None = None
    takes_raw: bool = False
    """The handler gets the body as it came, and judges it itself; `body` only says what it should be."""
    body_optional: bool = False
    body_limit_bytes: int = BODY_LIMIT_BYTES
    query: tuple[str, ...] = ()
    roles: tuple[ActorKind, ...] = EVERYBODY
    problems: tuple[ProblemType, ...] = field(default=())
    """Besides those that every call may end in."""

    def all_problems(self) -> tuple[ProblemType, ...]:
        found = [*EVERY_CALL, *self.problems]
        if self.roles != EVERYBODY:
            found.append(ProblemType.ROLE_TOO_LOW)
        if self.body is not None:
            found += EVERY_BODY
        return tuple(found)


EVERY_CALL = (
    ProblemType.CLOSED,
    ProblemType.NOT_AUTHENTICATED,
    ProblemType.NOT_FOUND,
    ProblemType.INVALID,
    ProblemType.TOO_MANY_CALLS,
    ProblemType.NOT_AVAILABLE,
    ProblemType.KEYS_UNAVAILABLE,
)
EVERY_BODY = (ProblemType.NOT_JSON, ProblemType.CUT_SHORT, ProblemType.TOO_SLOW, ProblemType.TOO_LARGE)

_LOCATION = "/v1/locations/{location_id}"
_CONTACT = _LOCATION + "/contacts/{contact_id}"

SHOW_DND = Route(
    "showContactDnd",
    "GET",
    _CONTACT + "/dnd",
    "The contact's DND with everything acknowledged before the call. A contact nobody knows has no holds.",
    ContactDndShown,
)
SET_DND = Route(
    "setContactDnd",
    "PUT",
    _CONTACT + "/dnd",
    "Switch all channels, or some. What the caller may not lift stays and is listed in `refused`; the rest is done.",
    DndChanged,
    body=SetDnd,
    problems=(ProblemType.NOT_ENLISTED, ProblemType.NOT_PERMANENT),
)
CLEAR_DND = Route(
    "clearContactDnd",
    "POST",
    _CONTACT + "/dnd/clear",
    "Lift everything the caller may lift (R6); `refused` is what stays, and says who can lift it.",
    DndChanged,
)
SHOW_ADDRESS_DND = Route(
    "showAddressDnd",
    "GET",
    _LOCATION + "/addresses/{kind}/{address}/dnd",
    "The DND of an address by itself, in any spelling a request may use.",
    ContactDndShown,
)

EXPLAIN = Route(
    "explain",
    "POST",
    _LOCATION + "/explain",
    "The decision the guard would take on this request now, with the hold behind each reason. Nothing is sent.",
    Explained,
    body=Request,
    takes_raw=True,
    body_limit_bytes=VALUE_LIMIT_BYTES,
)
FILE_APPEAL = Route(
    "fileAppeal",
    "POST",
    _CONTACT + "/appeals",
    "Ask for the end of a channel's permanent holds, with proof that the contact wants messages (R18).",
    AppealShown,
    status=201,
    body=FileAppeal,
    roles=(ActorKind.USER, ActorKind.AGENCY),
    problems=(ProblemType.NOTHING_TO_APPEAL, ProblemType.TOO_MANY_APPEALS),
)
LIST_APPEALS = Route(
    "listAppeals",
    "GET",
    _LOCATION + "/appeals",
    "The location's appeals, the newest first, at most 500.",
    AppealList,
    query=("status",),
)
_DECISION: dict[str, Any] = {
    "body": DecideAppeal,
    "body_optional": True,
    "roles": (ActorKind.SUPPORT,),
    "problems": (ProblemType.SAME_PERSON, ProblemType.DECIDED),
}
APPROVE_APPEAL = Route(
    "approveAppeal",
    "POST",
    _LOCATION + "/appeals/{appeal_id}/approve",
    "Lift what was in force when the appeal was filed, on the contact, its addresses and the contacts that share them.",
    AppealApproved,
    **_DECISION,
)
REJECT_APPEAL = Route(
    "rejectAppeal",
    "POST",
    _LOCATION + "/appeals/{appeal_id}/reject",
    "Everything stays as it is.",
    AppealShown,
    **_DECISION,
)
CLEAN_UP_EMAIL = Route(
    "cleanUpEmail",
    "POST",
    _CONTACT + "/email-cleanup",
    "Take the address off the provider's lists, have it validated, and lift what was placed before (R12).",
    EmailCleanedUp,
    body=CleanUpEmail,
    body_optional=True,
    problems=(
        ProblemType.NO_ADDRESS,
        ProblemType.NO_ACCOUNT,
        ProblemType.NOT_DELIVERABLE,
        ProblemType.STEP_FAILED,
        ProblemType.UNFINISHED,
    ),
)

ROUTES: tuple[Route, ...] = (
    SHOW_DND,
    SET_DND,
    CLEAR_DND,
    SHOW_ADDRESS_DND,
    EXPLAIN,
    FILE_APPEAL,
    LIST_APPEALS,
    APPROVE_APPEAL,
    REJECT_APPEAL,
    CLEAN_UP_EMAIL,
)
