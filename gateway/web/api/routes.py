"""Every path of the API, as data: what is served, checked, documented and tested walks these rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gateway.accounts.model import API_ROLES
from gateway.contract.requests import ID_LIMIT
from gateway.dnd.model import ActorKind, SubjectKind
from gateway.web.api.messages import ContactDndShown, DndChanged, SetDnd
from gateway.web.api.problem_types import ProblemType

ADDRESS_LIMIT = 320
"""Characters: the longest email address, 64 + 1 + 255."""

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


PARAMETERS: dict[str, Any] = {
    "location_id": Id,
    "contact_id": Id,
    "kind": AddressKind,
    "address": Annotated[str, Meta(min_length=1, max_length=ADDRESS_LIMIT, pattern=VISIBLE)],
}
"""What stands in paths, by name."""

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

ROUTES: tuple[Route, ...] = (SHOW_DND, SET_DND, CLEAR_DND, SHOW_ADDRESS_DND)
