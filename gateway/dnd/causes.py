"""The causes table (R9-R18): what each cause may be placed on, its kind, and who may lift it.

Everything that asks "may X lift Y" walks this table; no other place in the code knows the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gateway.dnd.model import ActorKind, Cause, Kind, Scope


@dataclass(frozen=True, slots=True)
class CauseRule:
    """One row: `scopes` a writer should use (a hold elsewhere still counts), `kind`, and who may lift it.

    `by_appeal`: support may lift it only through an approved appeal (R18); the door that writes the lift checks that.
    """

    scopes: frozenset[Scope]
    kind: Kind
    lifted_by: frozenset[ActorKind]
    by_appeal: bool = False


_PEOPLE = frozenset({ActorKind.USER, ActorKind.AGENCY, ActorKind.WORKFLOW, ActorKind.SUPPORT})
_PEOPLE_AND_CONTACT = _PEOPLE | {ActorKind.CONTACT}
_CONTACT_OR_APPEAL = frozenset({ActorKind.CONTACT, ActorKind.SUPPORT})
_ANY_SCOPE = frozenset(Scope)
_SMS = frozenset({Scope.SMS})
_EMAIL = frozenset({Scope.EMAIL})

CAUSES: Mapping[Cause, CauseRule] = MappingProxyType(
    {
        Cause.MANUAL: CauseRule(_ANY_SCOPE, Kind.MANUAL, _PEOPLE),
        Cause.LEGACY: CauseRule(frozenset({Scope.ALL}), Kind.MANUAL, _PEOPLE),
        Cause.KEYWORD_OPT_OUT: CauseRule(
            _SMS | {Scope.CALL, Scope.WHATSAPP}, Kind.PERMANENT, _CONTACT_OR_APPEAL, by_appeal=True
        ),
        Cause.CARRIER_OPT_OUT: CauseRule(_SMS, Kind.PERMANENT, _CONTACT_OR_APPEAL, by_appeal=True),
        Cause.UNREACHABLE: CauseRule(_SMS, Kind.TEMPORARY, _PEOPLE_AND_CONTACT),
        Cause.BOUNCE: CauseRule(_EMAIL, Kind.TEMPORARY, _PEOPLE),
        Cause.UNSUBSCRIBE: CauseRule(_EMAIL, Kind.TEMPORARY, _PEOPLE),
        Cause.SUPPRESSED_COMPLAINT: CauseRule(_EMAIL, Kind.TEMPORARY, _PEOPLE),
        Cause.COMPLAINT: CauseRule(_EMAIL, Kind.PERMANENT, frozenset({ActorKind.SUPPORT}), by_appeal=True),
        Cause.PROVIDER_OPT_OUT: CauseRule(frozenset({Scope.WHATSAPP}), Kind.TEMPORARY, _PEOPLE_AND_CONTACT),
    }
)


def may_lift(actor: ActorKind | None, cause: Cause) -> bool:
    """Whether the table lets `actor` end a hold of `cause`. An unknown actor may lift nothing."""
    return actor in CAUSES[cause].lifted_by
