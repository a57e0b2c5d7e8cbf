"""The messages of `dnd.changes` (R20), and of `dnd.changes.state`: what was published last of each contact.

A change has the vendor's ContactDndUpdate shape, in which `active` means that DND is on, and beside it `changes`: every
switch that stands otherwise than before. `event_id` is made from the place of the causing event in the log: unique, and
the same after a crash. `caused_by` is that event's own id.

A state is what the next change is compared with: the causes in force, the contact's registers (as times only), the
event ids seen lately, and the next offset of the contact's partition of `dnd.events`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from gateway.contract.events import Unreadable
from gateway.dnd.model import Cause, Channel, Scope, Subject, SubjectKind
from gateway.dnd.record import Mark, Record, Register
from gateway.dnd.status import Status
from gateway.dnd.visible import Change, Visible

VERSION = 1
TYPE = "ContactDndUpdate"


@dataclass(frozen=True, slots=True)
class PublishedState:
    """What is known of a contact up to `next_offset` of its partition."""

    record: Record = field(default_factory=Record)
    visible: Visible = field(default_factory=Visible)
    next_offset: int = 0


@dataclass(frozen=True, slots=True)
class Origin:
    """The event that caused a change: its place in the log, its own id, and its broker time (ms)."""

    partition: int
    offset: int
    event_id: str
    at: int


class _Register(msgspec.Struct, array_like=True):
    scope: Scope
    cause: Cause
    placed_at: int
    lifted_at: int


class _State(msgspec.Struct):
    v: int
    location_id: str
    contact_id: str
    dnd: bool
    status: str
    holds: dict[Scope, list[Cause]]
    registers: list[_Register]
    seen: dict[str, int]
    next_offset: int


_encode = msgspec.json.Encoder().encode
_decode_state = msgspec.json.Decoder(_State).decode


def change_key(contact: Subject) -> bytes:
    """The key of a change: the contact's id."""
    return contact.id.encode()


def state_key(contact: Subject) -> bytes:
    """With the location, because the topic is compacted: contacts of two locations may have one id."""
    return _encode((contact.location_id, contact.id))


def encode_change(
    contact: Subject, visible: Visible, status: Status, changes: Sequence[Change], origin: Origin
) -> bytes:
    """The value for `dnd.changes`. `status` is over the channels that are enlisted at the moment (R4)."""
    return _encode(
        {
            "type": TYPE,
            "locationId": contact.location_id,
            "id": contact.id,
            "dnd": Scope.ALL in visible.causes,
            "dndSettings": {
                channel: {"status": visible.status(Scope(channel.value)), "message": "", "code": ""}
                for channel in Channel
            },
            "status": status,
            "changes": [
                {"channel": each.scope, "before": each.before, "after": each.after, "cause": each.cause}
                for each in changes
            ],
            "event_id": f"dnd.events-{origin.partition}-{origin.offset}",
            "caused_by": origin.event_id,
            "changed_at": origin.at,
        }
    )


def encode_state(contact: Subject, state: PublishedState, status: Status) -> bytes:
    """The value for `dnd.changes.state`."""
    visible = state.visible
    registers = [
        _Register(*key, register.placed.at, register.lifted.at)
        for key, register in sorted(state.record.registers.items())
    ]
    holds: Mapping[Scope, list[Cause]] = {scope: sorted(causes) for scope, causes in visible.causes.items()}
    return _encode(
        _State(
            v=VERSION,
            location_id=contact.location_id,
            contact_id=contact.id,
            dnd=Scope.ALL in visible.causes,
            status=status,
            holds=dict(holds),
            registers=registers,
            seen=dict(state.record.seen),
            next_offset=state.next_offset,
        )
    )


def decode_state(value: bytes) -> tuple[Subject, PublishedState]:
    """What `encode_state` wrote; raises Unreadable for anything else."""
    try:
        wire = _decode_state(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable("value", f"a state of ours ({error})") from None
    registers = {
        (each.scope, each.cause): Register(Mark(each.placed_at), Mark(each.lifted_at)) for each in wire.registers
    }
    visible = Visible({scope: frozenset(causes) for scope, causes in wire.holds.items() if causes})
    contact = Subject(wire.location_id, SubjectKind.CONTACT, wire.contact_id)
    return contact, PublishedState(Record(registers, wire.seen), visible, wire.next_offset)
