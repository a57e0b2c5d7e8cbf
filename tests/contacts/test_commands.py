"""The rules of changing a contact's DND, beside the table of who may lift what."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contacts.commands import (
    Change,
    Clear,
    Command,
    NotEnlisted,
    NotPermanent,
    Plan,
    SetAll,
    SetChannel,
    StaysPermanent,
    Why,
    plan,
)
from gateway.contacts.state import Records
from gateway.dnd.lifters import may_lift_directly
from gateway.dnd.model import Actor, ActorKind, Cause, Channel, Lift, LiftTerm, Place, Scope
from gateway.dnd.record import EMPTY
from tests.contacts.people import (
    CONTACT,
    EMAIL,
    EVERYTHING,
    NOW,
    PHONE,
    SUPPORT,
    USER,
    WORKFLOW,
    applied,
    held,
    nothing,
    place,
)
from tests.dnd.strategies import records as random_records

SMS_ON, SMS_OFF = SetChannel(Channel.SMS, on=True), SetChannel(Channel.SMS, on=False)
MANUAL_SMS = (CONTACT, (Scope.SMS, Cause.MANUAL))


def planned(
    records: Records,
    *commands: Command,
    actor: Actor = USER,
    as_of: int | None = None,
    enlisted: frozenset[Channel] = EVERYTHING,
    now: int = NOW,
    change_id: str = "change",
) -> Plan:
    return plan(Change(change_id, commands, actor, as_of, {"via": "test"}), CONTACT, records, enlisted, now)


def test_what_is_already_so_writes_nothing() -> None:
    before = applied(nothing(), planned(nothing(), SetAll(on=True), SMS_ON).events)
    assert held(before) == {MANUAL_SMS, (CONTACT, (Scope.ALL, Cause.MANUAL))}
    assert planned(before, SetAll(on=True), SMS_ON) == Plan((), ())
    for command in (SetAll(on=False), SMS_OFF, Clear()):
        assert planned(nothing(CONTACT, PHONE), command) == Plan((), ())


def test_dnd_off_ends_the_legacy_flag_and_dnd_on_stands_beside_it() -> None:
    """R5, R6."""
    before = applied(nothing(), [place(CONTACT, Scope.ALL, Cause.LEGACY)])
    both = applied(before, planned(before, SetAll(on=True), change_id="on").events)
    assert held(both) == {(CONTACT, (Scope.ALL, Cause.LEGACY)), (CONTACT, (Scope.ALL, Cause.MANUAL))}
    assert held(applied(both, planned(both, SetAll(on=False)).events)) == set()


def test_lifting_all_leaves_the_holds_of_channels_and_clearing_does_not() -> None:
    """R6: two different commands."""
    before = applied(
        nothing(CONTACT, PHONE, EMAIL),
        [
            place(CONTACT, Scope.ALL, Cause.MANUAL),
            place(CONTACT, Scope.ALL, Cause.LEGACY),
            place(CONTACT, Scope.GMB, Cause.MANUAL),
            place(PHONE, Scope.SMS, Cause.UNREACHABLE),
            place(EMAIL, Scope.EMAIL, Cause.COMPLAINT),
        ],
    )
    lifted = applied(before, planned(before, SetAll(on=False)).events)
    assert {key[0] for _, key in held(lifted)} == {Scope.GMB, Scope.SMS, Scope.EMAIL}
    clearing = planned(before, Clear())
    assert held(applied(before, clearing.events)) == {(EMAIL, (Scope.EMAIL, Cause.COMPLAINT))}
    assert [(each.hold.cause, each.why) for each in clearing.refused] == [(Cause.COMPLAINT, Why.NOT_ALLOWED)]


def test_active_places_the_users_own_hold_beside_any_other() -> None:
    """A hold of one cause never stands for another: the bounce may be cleaned up, the user's wish stays."""
    before = applied(nothing(CONTACT, EMAIL), [place(EMAIL, Scope.EMAIL, Cause.BOUNCE)])
    after = applied(before, planned(before, SetChannel(Channel.EMAIL, on=True)).events)
    assert held(after) == {(EMAIL, (Scope.EMAIL, Cause.BOUNCE)), (CONTACT, (Scope.EMAIL, Cause.MANUAL))}


def test_support_does_not_lift_by_its_role_alone_what_needs_an_appeal() -> None:
    """R18."""
    before = applied(nothing(CONTACT, PHONE), [place(PHONE, Scope.SMS, Cause.KEYWORD_OPT_OUT)])
    found = planned(before, SMS_OFF, Clear(), actor=SUPPORT)
    assert found.events == ()
    assert [str(lifter) for lifter in found.refused[0].hold.lifted_by] == ["support (by an approved appeal)", "contact"]
    assert len(found.refused) == 1  # named once, however many commands it withstands


def test_a_lift_ends_what_was_seen_and_a_place_counts_against_every_lift_that_was() -> None:
    before = applied(nothing(), [place(CONTACT, Scope.SMS, Cause.MANUAL, at=NOW + 3_000)])
    (lift,) = planned(before, SMS_OFF).events
    assert isinstance(lift, Lift)
    assert lift.terms == (LiftTerm(Scope.SMS, Cause.MANUAL, NOW + 3_000),)
    lifted = applied(before, [lift])
    (again,) = planned(lifted, SMS_ON, change_id="again").events
    assert isinstance(again, Place)
    assert again.at == NOW + 3_001
    assert held(applied(lifted, [again])) == {MANUAL_SMS}
    (fresh,) = planned(nothing(), SMS_ON).events
    assert isinstance(fresh, Place)
    assert fresh.at == NOW


def test_a_command_that_waited_ends_what_was_in_force_when_it_was_asked_for() -> None:
    """R19."""
    before = applied(
        nothing(CONTACT, PHONE),
        [
            place(CONTACT, Scope.SMS, Cause.MANUAL, at=NOW - 10),
            place(PHONE, Scope.SMS, Cause.UNREACHABLE, at=NOW - 5),
        ],
    )
    found = planned(before, Clear(), actor=WORKFLOW, as_of=NOW - 7)
    assert held(applied(before, found.events)) == {(PHONE, (Scope.SMS, Cause.UNREACHABLE))}
    assert [(each.hold.cause, each.why) for each in found.refused] == [(Cause.UNREACHABLE, Why.PLACED_LATER)]


def test_the_same_change_made_again_undoes_nothing_that_came_in_between() -> None:
    """A consumer that crashed reads its command again, after a user has decided otherwise."""
    on = planned(nothing(), SMS_ON, SetAll(on=True), actor=WORKFLOW, change_id="workflow:1")
    placed = applied(nothing(), on.events)
    lifted = applied(placed, planned(placed, SMS_OFF, change_id="user").events)
    again = planned(lifted, SMS_ON, SetAll(on=True), actor=WORKFLOW, change_id="workflow:1")
    assert again == Plan((), ())
    off = planned(placed, Clear(), actor=WORKFLOW, change_id="workflow:2")
    cleared = applied(placed, off.events)
    placed_again = applied(cleared, planned(cleared, SMS_ON, change_id="user 2").events)
    late = planned(placed_again, Clear(), actor=WORKFLOW, change_id="workflow:2")
    assert late.events == ()
    assert [(each.hold.cause, each.why) for each in late.refused] == [(Cause.MANUAL, Why.PLACED_LATER)]


def test_a_change_of_which_a_part_was_written_is_completed() -> None:
    before = applied(
        nothing(CONTACT, PHONE),
        [place(CONTACT, Scope.SMS, Cause.MANUAL), place(PHONE, Scope.SMS, Cause.UNREACHABLE)],
    )
    whole = planned(before, SMS_OFF, SetAll(on=True))
    for event in whole.events:
        partly = applied(before, [event])
        rest = planned(partly, SMS_OFF, SetAll(on=True))
        assert set(map(type, rest.events)) <= {Place, Lift}
        assert len(rest.events) == len(whole.events) - 1
        assert applied(partly, rest.events) == applied(before, whole.events)


def test_a_channel_that_is_not_enlisted_is_not_switched() -> None:
    """R7: a clear error, and nothing of the change is made."""
    without = EVERYTHING - {Channel.GMB, Channel.FB}
    with pytest.raises(NotEnlisted, match="GMB: not connected") as refused:
        planned(nothing(), SMS_ON, SetChannel(Channel.GMB, on=True), enlisted=without)
    assert refused.value.channels == (Channel.GMB,)
    before = applied(nothing(), [place(CONTACT, Scope.GMB, Cause.MANUAL)])
    with pytest.raises(NotEnlisted):
        planned(before, SetChannel(Channel.GMB, on=False), enlisted=without)
    stopped = applied(nothing(CONTACT, PHONE), [place(PHONE, Scope.SMS, Cause.KEYWORD_OPT_OUT)])
    for command in (SMS_ON, SMS_OFF):
        with pytest.raises(NotEnlisted):
            planned(stopped, command, enlisted=frozenset())


def test_what_a_client_was_shown_of_channels_not_enlisted_it_may_send_back() -> None:
    """R7: a switch that stands as asked for is none."""
    before = applied(nothing(CONTACT, EMAIL), [place(EMAIL, Scope.EMAIL, Cause.BOUNCE)])
    sent_back = [SetChannel(channel, on=channel is Channel.EMAIL) for channel in Channel]
    assert planned(before, *sent_back, enlisted=frozenset()) == Plan((), ())


def test_clearing_reaches_channels_that_are_not_enlisted() -> None:
    """R6, R7: it is no switch of one channel; what came while one was connected could not be lifted otherwise."""
    before = applied(nothing(), [place(CONTACT, Scope.GMB, Cause.MANUAL)])
    assert held(applied(before, planned(before, Clear(), enlisted=frozenset()).events)) == set()


def test_permanent_is_refused_unless_it_is_so() -> None:
    before = applied(nothing(CONTACT, PHONE), [place(PHONE, Scope.SMS, Cause.CARRIER_OPT_OUT)])
    assert planned(before, StaysPermanent(Channel.SMS)) == Plan((), ())
    for records in (nothing(), applied(nothing(), [place(CONTACT, Scope.SMS, Cause.MANUAL)])):
        with pytest.raises(NotPermanent, match="SMS: cannot be set to permanent"):
            planned(records, StaysPermanent(Channel.SMS), SetAll(on=True))


def test_a_channel_is_not_switched_off_on_an_address_it_does_not_use() -> None:
    """An e-mail address cannot hold SMS; what somebody wrote there is for clearing."""
    before = applied(nothing(CONTACT, EMAIL), [place(EMAIL, Scope.SMS, Cause.MANUAL)])
    assert planned(before, SMS_OFF) == Plan((), ())
    assert held(applied(before, planned(before, Clear()).events)) == set()


def test_commands_are_carried_out_in_their_order() -> None:
    before = applied(nothing(), [place(CONTACT, Scope.SMS, Cause.MANUAL), place(CONTACT, Scope.ALL, Cause.LEGACY)])
    assert held(applied(before, planned(before, Clear(), SMS_ON).events)) == {MANUAL_SMS}
    assert held(applied(before, planned(before, SMS_ON, Clear()).events)) == set()
    assert held(applied(nothing(), planned(nothing(), SMS_ON, Clear()).events)) == set()


@pytest.mark.parametrize("commands", [(SMS_ON, SMS_OFF, SMS_ON), (SMS_OFF, SMS_ON), (Clear(), SMS_ON)])
def test_what_is_said_last_about_a_switch_counts_whatever_part_of_the_change_was_written_before(
    commands: tuple[Command, ...],
) -> None:
    for before in (nothing(), applied(nothing(), [place(CONTACT, Scope.SMS, Cause.MANUAL)])):
        events = planned(before, *commands).events
        assert held(applied(before, events)) == {MANUAL_SMS}
        for written in events:
            partly = applied(before, [written])
            assert held(applied(partly, planned(partly, *commands, now=NOW + 1).events)) == {MANUAL_SMS}
        off = planned(before, *commands, SMS_OFF)
        assert held(applied(before, off.events)) == set()


def test_clearing_and_then_saying_what_is_shown_of_a_channel_not_enlisted_leaves_it_so() -> None:
    """R7: it cannot be switched, so a hold of another cause is not exchanged for one by hand, nor does it end."""
    before = applied(nothing(CONTACT, PHONE), [place(PHONE, Scope.SMS, Cause.UNREACHABLE)])
    assert planned(before, Clear(), SMS_ON, enlisted=frozenset()) == Plan((), ())


@pytest.mark.parametrize("change_id", ["", "x" * 257])
def test_a_change_needs_an_id_that_the_log_takes(change_id: str) -> None:
    with pytest.raises(ValueError, match="1 to 256 characters"):
        planned(nothing(), SMS_ON, change_id=change_id)


ACTORS = st.sampled_from([USER, SUPPORT, WORKFLOW, Actor(ActorKind.AGENCY, "a1"), Actor(ActorKind.CONTACT, "c")])
COMMANDS = st.lists(
    st.sampled_from(
        [SetAll(on=True), SetAll(on=False), Clear()] + [SetChannel(c, on=on) for c in Channel for on in (True, False)]
    ),
    min_size=1,
    max_size=5,
)


@given(random_records(), random_records(), COMMANDS, ACTORS)
def test_whatever_is_asked_of_whatever_is_known_no_hold_ends_that_the_actor_may_not_lift(
    contact: object, phone: object, commands: list[Command], actor: Actor
) -> None:
    """Guarantee 4; and what stays although it was reached is named, what was done is not done again."""
    before: Records = {CONTACT: contact, PHONE: phone}  # type: ignore[dict-item]  # strategies of records
    now = 100_000  # after everything that the random records can date
    found = planned(before, *commands, actor=actor, now=now)
    after = applied(before, found.events, now)
    ended = held(before) - held(after)
    assert all(may_lift_directly(actor.kind, cause) for _, (_, cause) in ended)
    stays = {(each.hold.subject, (each.hold.scope, each.hold.cause)) for each in found.refused}
    assert stays <= held(after)
    if isinstance(commands[-1], Clear):
        assert held(after) == stays
    assert all(event.subject == CONTACT for event in found.events if isinstance(event, Place))
    last = planned(after, commands[-1], actor=actor, now=now, change_id="again")
    assert last.events == ()


@given(random_records(), random_records(), COMMANDS, ACTORS, st.data())
def test_a_change_ends_as_its_commands_one_by_one_also_when_a_part_of_it_was_written_before(
    contact: object, phone: object, commands: list[Command], actor: Actor, data: st.DataObject
) -> None:
    before: Records = {CONTACT: contact, PHONE: phone}  # type: ignore[dict-item]  # strategies of records
    now = 100_000
    whole = planned(before, *commands, actor=actor, now=now).events
    partly = applied(before, data.draw(st.lists(st.sampled_from(whole), unique_by=id)) if whole else [], now)
    ends = held(applied(partly, planned(partly, *commands, actor=actor, now=now + 1).events, now + 1))
    turns = before
    for turn, command in enumerate(commands):
        turns = applied(turns, planned(turns, command, actor=actor, now=now, change_id=f"turn {turn}").events, now)
    if may_lift_directly(actor.kind, Cause.MANUAL):
        assert ends == held(turns)
    else:  # what it placed itself it could not lift in a change of its own
        assert ends <= held(turns)


def test_evidence_and_actor_go_into_every_event() -> None:
    before = applied(nothing(), [place(CONTACT, Scope.SMS, Cause.MANUAL)])
    for event in planned(before, Clear(), SetAll(on=True)).events:
        assert (event.event_id, event.actor, event.evidence) == ("change", USER, {"via": "test"})
    assert replace(EMPTY) == EMPTY
