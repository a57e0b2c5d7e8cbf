"""Who may lift a hold of a cause, as people are told it and as a door asks before it writes a lift, from the table.

`may_lift` of the table is what the fold lets through. A door asks more: support ends what stands `by_appeal` only by an
approved appeal (R18), and no other way leads there.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.dnd.causes import CAUSES, may_lift
from gateway.dnd.model import ActorKind, Cause


class Lifter(NamedTuple):
    """Somebody who may lift; `by_appeal`: through an approved appeal and not otherwise."""

    actor: ActorKind
    by_appeal: bool

    def __str__(self) -> str:
        return f"{self.actor} (by an approved appeal)" if self.by_appeal else self.actor.value


def lifters(cause: Cause) -> tuple[Lifter, ...]:
    """In the order of `ActorKind`."""
    return tuple(Lifter(actor, _by_appeal(actor, cause)) for actor in ActorKind if may_lift(actor, cause))


def may_lift_directly(actor: ActorKind | None, cause: Cause) -> bool:
    """Whether `actor` may end a hold of `cause` without an appeal."""
    return may_lift(actor, cause) and not _by_appeal(actor, cause)


def _by_appeal(actor: ActorKind | None, cause: Cause) -> bool:
    return actor is ActorKind.SUPPORT and CAUSES[cause].by_appeal
