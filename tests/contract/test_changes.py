"""The messages of `dnd.changes` and its state."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract.changes import (
    Origin,
    PublishedState,
    change_key,
    decode_state,
    encode_change,
    encode_state,
    state_key,
)
from gateway.contract.events import Unreadable
from gateway.dnd.model import Actor, ActorKind, Cause, Lift, LiftTerm, Place, Scope, Subject, SubjectKind
from gateway.dnd.record import EMPTY, fold
from gateway.dnd.status import ChannelStatus, ContactRecords, Status
from gateway.dnd.visible import Change, Visible, visible

AT = 1_763_900_000_000
CONTACT = Subject("loc1", SubjectKind.CONTACT, "Ж1")

EVENTS = st.lists(
    st.tuples(st.booleans(), st.sampled_from(Scope), st.sampled_from(Cause), st.integers(0, 20), st.integers(0, 6)),
    max_size=8,
)


@given(EVENTS, EVENTS, st.integers(0, 2**53))
def test_a_state_that_was_written_goes_on_as_the_one_in_memory(
    before: list[tuple[bool, Scope, Cause, int, int]], after: list[tuple[bool, Scope, Cause, int, int]], offset: int
) -> None:
    """What is left out of it (who, on what evidence) never decides; ids seen do, for a repeated event is none."""

    def folded(record: object, events: list[tuple[bool, Scope, Cause, int, int]]) -> object:
        for is_place, scope, cause, at, number in events:
            actor = Actor(ActorKind.SUPPORT, "s1")
            event = (
                Place(f"e{number}", CONTACT, (scope,), (cause,), AT + at, actor, {"text": "STOP"})
                if is_place
                else Lift(f"e{number}", CONTACT, (LiftTerm(scope, cause, AT + at),), actor)
            )
            record = fold(record, event, AT + 50).record  # type: ignore[arg-type]
        return record

    def shown(record: object) -> Visible:
        return visible(ContactRecords(record))  # type: ignore[arg-type]

    kept = folded(EMPTY, before)
    state = PublishedState(kept, shown(kept), offset)  # type: ignore[arg-type]
    contact, read = decode_state(encode_state(CONTACT, state, Status.PARTIAL))
    assert (contact, read.visible, read.next_offset) == (CONTACT, state.visible, offset)
    assert shown(folded(read.record, after)) == shown(folded(kept, after))


def test_a_change_is_the_vendors_shape_with_what_changed() -> None:
    shown = Visible({Scope.ALL: frozenset({Cause.MANUAL}), Scope.EMAIL: frozenset({Cause.COMPLAINT})})
    change = Change(Scope.EMAIL, ChannelStatus.INACTIVE, ChannelStatus.PERMANENT, Cause.COMPLAINT)
    value = encode_change(CONTACT, shown, Status.ON, [change], Origin(3, 4711, "mg:1", AT))
    settings = {
        name: {"status": "inactive", "message": "", "code": ""} for name in ("Call", "SMS", "WhatsApp", "GMB", "FB")
    }
    assert json.loads(value) == {
        "type": "ContactDndUpdate",
        "locationId": "loc1",
        "id": "Ж1",
        "dnd": True,
        "dndSettings": settings | {"Email": {"status": "permanent", "message": "", "code": ""}},
        "status": "On",
        "changes": [{"channel": "Email", "before": "inactive", "after": "permanent", "cause": "complaint"}],
        "event_id": "dnd.events-3-4711",
        "caused_by": "mg:1",
        "changed_at": AT,
    }


def test_keys_are_the_contacts_id_and_for_the_compacted_topic_its_location_too() -> None:
    assert change_key(CONTACT).decode() == "Ж1"
    assert state_key(CONTACT).decode() == '["loc1","Ж1"]'


@given(st.binary(max_size=40))
def test_what_somebody_else_wrote_is_no_state(value: bytes) -> None:
    with pytest.raises(Unreadable):
        decode_state(value)
