"""The words of Do-Not-Disturb (DND): channels, subjects, causes, and the two events that change a record.

All values are immutable. Times are integer milliseconds since the Unix epoch (UTC). Enum values are the wire spelling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Channel(StrEnum):
    """The six channels a message can go out on (R1)."""

    CALL = "Call"
    EMAIL = "Email"
    SMS = "SMS"
    WHATSAPP = "WhatsApp"
    GMB = "GMB"
    FB = "FB"


class Scope(StrEnum):
    """What a hold covers: one channel, or every channel there is or will be (R6)."""

    CALL = "Call"
    EMAIL = "Email"
    SMS = "SMS"
    WHATSAPP = "WhatsApp"
    GMB = "GMB"
    FB = "FB"
    ALL = "ALL"


class Cause(StrEnum):
    """Why a hold exists. What each may do is in `gateway.dnd.causes`."""

    MANUAL = "manual"
    LEGACY = "legacy"
    KEYWORD_OPT_OUT = "keyword_opt_out"
    CARRIER_OPT_OUT = "carrier_opt_out"
    UNREACHABLE = "unreachable"
    BOUNCE = "bounce"
    UNSUBSCRIBE = "unsubscribe"
    SUPPRESSED_COMPLAINT = "suppressed_complaint"
    COMPLAINT = "complaint"
    PROVIDER_OPT_OUT = "provider_opt_out"


class Kind(StrEnum):
    """How a hold is shown and how hard it is to lift (R15-R18)."""

    MANUAL = "manual"
    TEMPORARY = "temporary"
    PERMANENT = "permanent"


class ActorKind(StrEnum):
    """Who placed or lifted a hold."""

    USER = "user"
    AGENCY = "agency"
    WORKFLOW = "workflow"
    SUPPORT = "support"
    CONTACT = "contact"
    PROVIDER = "provider"
    SYSTEM = "system"


class SubjectKind(StrEnum):
    """What a hold is on: a contact, or an address of the kind its channel uses."""

    CONTACT = "contact"
    PHONE = "phone"
    EMAIL = "email"
    PSID = "psid"
    GMB = "gmb"
    WA_USER = "wa_user"


class Subject(NamedTuple):
    """A contact or an address, always within one location (R21: never across locations)."""

    location_id: str
    kind: SubjectKind
    id: str


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it. `kind` is None when the wire named nobody we know: such an actor may place, never lift."""

    kind: ActorKind | None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Puts holds of the named causes on the scopes, true since `at` (ms)."""

    event_id: str
    subject: Subject
    scopes: tuple[Scope, ...]
    causes: tuple[Cause, ...]
    at: int
    actor: Actor
    evidence: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LiftTerm:
    """Ends the holds of one scope and cause placed at or before `through` (ms), never later ones."""

    scope: Scope
    cause: Cause
    through: int


@dataclass(frozen=True, slots=True)
class Lift:
    """Ends what its terms name, as far as the causes table lets this actor."""

    event_id: str
    subject: Subject
    terms: tuple[LiftTerm, ...]
    actor: Actor
    evidence: Mapping[str, object] = field(default_factory=dict)


Event = Place | Lift


class BadAddress(ValueError):  # noqa: N818 - an outcome of reading, not a fault; `except BadAddress` says it all
    """An address nothing can be compared with. Its text is what was expected ("a phone number ..."), never itself."""
