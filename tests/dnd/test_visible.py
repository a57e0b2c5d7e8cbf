"""What people see of a contact's DND, and when that is different."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.dnd.causes import CAUSES
from gateway.dnd.model import Actor, ActorKind, Cause, Channel, Place, Scope, Subject, SubjectKind
from gateway.dnd.record import EMPTY, Record, fold
from gateway.dnd.status import ChannelStatus, ContactRecords, channel_status
from gateway.dnd.visible import Change, Visible, changes, visible

AT = 1_763_900_000_000
CONTACT = Subject("loc1", SubjectKind.CONTACT, "c1")

INACTIVE, ACTIVE, PERMANENT = ChannelStatus.INACTIVE, ChannelStatus.ACTIVE, ChannelStatus.PERMANENT


def held(*keys: tuple[Scope, Cause]) -> Record:
    record = EMPTY
    for scope, cause in keys:
        place = Place(f"{scope}{cause}", CONTACT, (scope,), (cause,), AT, Actor(ActorKind.USER))
        record = fold(record, place, AT).record
    return record


HOLDS = st.lists(st.tuples(st.sampled_from(Scope), st.sampled_from(Cause)), max_size=4).map(lambda keys: held(*keys))
RECORDS = st.builds(
    ContactRecords,
    st.none() | HOLDS,
    st.dictionaries(st.sampled_from([SubjectKind.PHONE, SubjectKind.EMAIL]), st.lists(HOLDS, max_size=2)),
)


@given(RECORDS)
def test_channels_are_seen_as_the_contact_api_shows_them(records: ContactRecords) -> None:
    found = visible(records)
    assert {channel: found.status(Scope(channel.value)) for channel in Channel} == {
        channel: channel_status(records, channel) for channel in Channel
    }


@given(RECORDS)
def test_all_is_the_contacts_own_and_never_permanent(records: ContactRecords) -> None:
    own = records.contact is not None and any(scope is Scope.ALL for (scope, _), _ in records.contact.holds())
    assert visible(records).status(Scope.ALL) is (ACTIVE if own else INACTIVE)


@given(RECORDS, RECORDS)
def test_r20_changes_are_all_switches_that_stand_otherwise_each_with_a_cause_of_its_own(
    one: ContactRecords, other: ContactRecords
) -> None:
    before, after = visible(one), visible(other)
    found = changes(before, after)
    assert [each.scope for each in found] == [scope for scope in Scope if before.status(scope) != after.status(scope)]
    for each in found:
        assert (each.before, each.after) == (before.status(each.scope), after.status(each.scope))
        differing = before.causes.get(each.scope, frozenset()) ^ after.causes.get(each.scope, frozenset())
        assert each.cause in differing


def test_a_second_hold_under_the_first_is_no_change() -> None:
    one = Visible({Scope.SMS: frozenset({Cause.MANUAL})})
    two = Visible({Scope.SMS: frozenset({Cause.MANUAL, Cause.UNREACHABLE})})
    assert CAUSES[Cause.UNREACHABLE].kind is not CAUSES[Cause.KEYWORD_OPT_OUT].kind
    assert changes(one, two) == changes(two, one) == []


def test_the_end_of_a_permanent_hold_over_another_one_is_a_change_by_the_one_that_ended() -> None:
    both = Visible({Scope.SMS: frozenset({Cause.MANUAL, Cause.KEYWORD_OPT_OUT})})
    one = Visible({Scope.SMS: frozenset({Cause.MANUAL})})
    assert changes(both, one) == [Change(Scope.SMS, PERMANENT, ACTIVE, Cause.KEYWORD_OPT_OUT)]
    assert changes(one, both) == [Change(Scope.SMS, ACTIVE, PERMANENT, Cause.KEYWORD_OPT_OUT)]
