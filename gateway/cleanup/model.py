"""What a clean-up is: its steps as they are done, and what it may lift at the end."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from gateway.dnd.lifters import may_lift_directly
from gateway.dnd.model import Actor, ActorKind, Cause, LiftTerm, Scope, Subject
from gateway.dnd.record import Record

CLEANED = frozenset({Cause.BOUNCE, Cause.UNSUBSCRIBE, Cause.SUPPRESSED_COMPLAINT})
"""What ends with a clean-up. A complaint is not among them (R11), nor what a person has switched off."""


class CleanupStatus(StrEnum):
    RUNNING = "running"  # some steps are done, or none; nothing is lifted
    DONE = "done"
    REFUSED = "refused"  # the provider says that the address takes no mail; nothing is lifted
    ABANDONED = "abandoned"  # begun too long ago to go on with


class Step(msgspec.Struct, frozen=True):
    """One that is done. `name` is its key, `outcome` the provider's or the person's word, without the address."""

    name: str
    at: int
    by: str
    outcome: str


class Starter(msgspec.Struct, frozen=True):
    kind: ActorKind
    id: str


class Cleanup(msgspec.Struct, frozen=True):
    """`terms`: what was in force when it was started, on the contact and on the address; only that is lifted."""

    id: str
    location_id: str
    contact_id: str
    address: str
    started_by: Starter
    started_at: int
    terms: list[tuple[Subject, list[tuple[Scope, Cause, int]]]]
    steps: list[Step] = []
    status: CleanupStatus = CleanupStatus.RUNNING

    def has(self, name: str) -> bool:
        return any(step.name == name for step in self.steps)

    def with_step(self, step: Step) -> Cleanup:
        return msgspec.structs.replace(self, steps=[*self.steps, step])

    def with_status(self, status: CleanupStatus) -> Cleanup:
        return msgspec.structs.replace(self, status=status)


def in_force(record: Record) -> list[tuple[Scope, Cause, int]]:
    """What a clean-up of an address could lift of a record now."""
    return [
        (scope, cause, register.placed.at)
        for (scope, cause), register in sorted(record.holds(), key=lambda held: held[0])
        if scope is Scope.EMAIL and cause in CLEANED
    ]


def to_lift(record: Record, wanted: list[tuple[Scope, Cause, int]], actor: Actor) -> tuple[LiftTerm, ...]:
    """Of what was in force at the start, what is still so and not placed again, as far as the actor may lift it."""
    through = {(scope, cause): at for scope, cause, at in wanted}
    return tuple(
        LiftTerm(scope, cause, at)
        for scope, cause, at in in_force(record)
        if at <= through.get((scope, cause), -1) and may_lift_directly(actor.kind, cause)
    )
