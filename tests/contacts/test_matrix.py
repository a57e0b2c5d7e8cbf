"""Who may end which hold with which command: every cause, every actor, every command, on contact and address.

The expected table is the one of the requirements, written out; nothing of it is computed from the code's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from gateway.contacts.commands import Change, Clear, Command, SetAll, SetChannel, Why, plan
from gateway.dnd.addresses import KINDS_OF_CHANNEL
from gateway.dnd.model import Actor, ActorKind, Cause, Channel, Kind, Lift, Place, Scope, Subject, SubjectKind
from tests.contacts.people import CONTACT, EMAIL, EVERYTHING, NOW, PHONE, applied, held, nothing, place

# cause | where it can be | kind | ended by these | these reach it and it stays
TABLE = """
manual               | Call     | manual    | user agency workflow support |
manual               | Email    | manual    | user agency workflow support |
manual               | SMS      | manual    | user agency workflow support |
manual               | WhatsApp | manual    | user agency workflow support |
manual               | GMB      | manual    | user agency workflow support |
manual               | FB       | manual    | user agency workflow support |
manual               | ALL      | manual    | user agency workflow support |
legacy               | ALL      | manual    | user agency workflow support |
keyword_opt_out      | SMS      | permanent |                              | user agency workflow support
keyword_opt_out      | Call     | permanent |                              | user agency workflow support
keyword_opt_out      | WhatsApp | permanent |                              | user agency workflow support
carrier_opt_out      | SMS      | permanent |                              | user agency workflow support
unreachable          | SMS      | temporary | user agency workflow support |
bounce               | Email    | temporary | user agency workflow support |
unsubscribe          | Email    | temporary | user agency workflow support |
suppressed_complaint | Email    | temporary | user agency workflow support |
complaint            | Email    | permanent |                              | user agency workflow support
provider_opt_out     | WhatsApp | temporary | user agency workflow support |
"""

# What can end a hold there at all: the switch of that channel, or of ALL, and clearing everything.
REACHED_BY = {
    "Call": {"Call off", "clear"},
    "Email": {"Email off", "clear"},
    "SMS": {"SMS off", "clear"},
    "WhatsApp": {"WhatsApp off", "clear"},
    "GMB": {"GMB off", "clear"},
    "FB": {"FB off", "clear"},
    "ALL": {"all off", "clear"},
}

COMMANDS: dict[str, Command] = {
    "all on": SetAll(on=True),
    "all off": SetAll(on=False),
    "clear": Clear(),
    "Call on": SetChannel(Channel.CALL, on=True),
    "Call off": SetChannel(Channel.CALL, on=False),
    "Email on": SetChannel(Channel.EMAIL, on=True),
    "Email off": SetChannel(Channel.EMAIL, on=False),
    "SMS on": SetChannel(Channel.SMS, on=True),
    "SMS off": SetChannel(Channel.SMS, on=False),
    "WhatsApp on": SetChannel(Channel.WHATSAPP, on=True),
    "WhatsApp off": SetChannel(Channel.WHATSAPP, on=False),
    "GMB on": SetChannel(Channel.GMB, on=True),
    "GMB off": SetChannel(Channel.GMB, on=False),
    "FB on": SetChannel(Channel.FB, on=True),
    "FB off": SetChannel(Channel.FB, on=False),
}

PLACED_ON = {
    "all on": Scope.ALL,
    "Call on": Scope.CALL,
    "Email on": Scope.EMAIL,
    "SMS on": Scope.SMS,
    "WhatsApp on": Scope.WHATSAPP,
    "GMB on": Scope.GMB,
    "FB on": Scope.FB,
}

ACTORS = ["user", "agency", "workflow", "support"]

ADDRESS_OF = {
    "Call": PHONE,
    "Email": EMAIL,
    "SMS": PHONE,
    "WhatsApp": Subject("loc1", SubjectKind.WA_USER, "US.1"),
    "GMB": Subject("loc1", SubjectKind.GMB, "g1"),
    "FB": Subject("loc1", SubjectKind.PSID, "p1"),
    "ALL": PHONE,
}


@dataclass(frozen=True, slots=True)
class Row:
    cause: Cause
    scope: Scope
    kind: Kind
    ended_by: tuple[str, ...]
    stays_for: tuple[str, ...]


def rows() -> Iterator[Row]:
    for line in TABLE.strip().splitlines():
        cause, scope, kind, ended, stays = (cell.strip() for cell in line.split("|"))
        yield Row(Cause(cause), Scope(scope), Kind(kind), tuple(ended.split()), tuple(stays.split()))


ROWS = list(rows())


def test_the_table_has_every_cause_and_every_actor_in_each_row() -> None:
    assert {row.cause for row in ROWS} == set(Cause)
    for row in ROWS:
        assert sorted(row.ended_by + row.stays_for) == sorted(ACTORS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.cause}-{row.scope}")
@pytest.mark.parametrize("actor", ACTORS)
@pytest.mark.parametrize("where", ["contact", "address"])
def test_a_command_ends_the_hold_or_names_it_as_the_table_says(row: Row, actor: str, where: str) -> None:
    """R6, R11, R16, R17, R18, R19, at the door; and again in the fold, which gets what the door writes."""
    subject = CONTACT if where == "contact" else ADDRESS_OF[row.scope]
    key = (row.scope, row.cause)
    before = applied(nothing(CONTACT, ADDRESS_OF[row.scope]), [place(subject, row.scope, row.cause)])
    assert held(before) == {(subject, key)}
    for name, command in COMMANDS.items():
        change = Change("change", (command,), Actor(ActorKind(actor), "x"))
        planned = plan(change, CONTACT, before, EVERYTHING, NOW)
        after = applied(before, planned.events)
        reached = name in REACHED_BY[row.scope]
        placed = {(CONTACT, (PLACED_ON[name], Cause.MANUAL))} if name in PLACED_ON else set()
        ended = reached and actor in row.ended_by
        assert held(after) == (placed if ended else placed | {(subject, key)}), name
        refused = [(each.hold.subject, each.hold.scope, each.hold.cause, each.why) for each in planned.refused]
        assert refused == ([(subject, *key, Why.NOT_ALLOWED)] if reached and not ended else []), name
        assert all(each.hold.kind is row.kind for each in planned.refused)
        assert [event for event in planned.events if isinstance(event, Lift)] == [
            event for event in planned.events if not isinstance(event, Place)
        ]
        assert any(isinstance(event, Lift) for event in planned.events) is ended, name


@pytest.mark.parametrize("actor", [ActorKind.CONTACT, ActorKind.PROVIDER, ActorKind.SYSTEM, None])
def test_what_stays_for_programs_and_strangers_is_everything_but_the_contacts_own(actor: ActorKind | None) -> None:
    """They have no commands; if one is made in their name, the table holds all the same."""
    may = {Cause.KEYWORD_OPT_OUT, Cause.CARRIER_OPT_OUT, Cause.UNREACHABLE, Cause.PROVIDER_OPT_OUT}
    for row in ROWS:
        before = applied(nothing(CONTACT), [place(CONTACT, row.scope, row.cause)])
        planned = plan(Change("change", (Clear(),), Actor(actor)), CONTACT, before, EVERYTHING, NOW)
        ended = actor is ActorKind.CONTACT and row.cause in may
        assert held(applied(before, planned.events)) == (set() if ended else held(before))
        assert len(planned.refused) == (0 if ended else 1)


def test_every_channel_has_an_address_in_this_test() -> None:
    for channel, kinds in KINDS_OF_CHANNEL.items():
        assert ADDRESS_OF[channel].kind in kinds
