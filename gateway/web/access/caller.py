"""Who calls, once that is known."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.accounts.model import EVERYWHERE
from gateway.dnd.model import Actor, ActorKind


@dataclass(frozen=True, slots=True)
class Caller:
    """`kind` is the role: user, agency or support. `id` is the name in the audit, `key:<id>` or `jwt:<sub>`, so that a
    key named like a person is not that person."""

    kind: ActorKind
    id: str
    locations: frozenset[str]

    def is_for(self, location_id: str) -> bool:
        return EVERYWHERE in self.locations or location_id in self.locations

    @property
    def actor(self) -> Actor:
        return Actor(self.kind, self.id)
