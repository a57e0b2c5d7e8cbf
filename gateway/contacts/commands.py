"""What people and workflows may do to a contact's DND, against what is known of it: events to write, and what stays.

Pure. The rules:

* `active`, and DND as a whole, *place* `manual` on the contact. A place is dated `max(now, lifted_through + 1)`.
* `inactive` *lifts* every cause of that channel that the actor may lift, on the contact and on those of its addresses
  the channel uses; DND off as a whole does so on ALL, `Clear` with everything (R6). A lift ends what was in force when
  it was looked at (`through` = that `placed_at`), or, for a command that waited, what was in force at `as_of`.
* Who may lift what is the causes table's matter. What the actor may not lift stays, and is named in `refused`.
* What is already so writes nothing.
* Of several commands about one switch the last counts: a change places the contact's own hold or lifts it, never both.
  Events have no order among themselves, so one that did both, or was made again after a part of it was written, could
  end weaker than its author's last word.

Every place is an event of its own, and so are all lifts on one subject: then an event of a change that is made again
under the same id is the same event, and the fold counts it once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

from gateway.contacts.state import Hold, Records, contact_records
from gateway.contract.forgiving import TEXT_LIMIT
from gateway.dnd.addresses import KINDS_OF_CHANNEL
from gateway.dnd.lifters import may_lift_directly
from gateway.dnd.model import Actor, Cause, Channel, Event, Lift, LiftTerm, Place, Scope, Subject, SubjectKind
from gateway.dnd.record import Register, RegisterKey, fold
from gateway.dnd.status import ChannelStatus, channel_status
from gateway.signals.resolve import place_at


@dataclass(frozen=True, slots=True)
class SetAll:
    """The all-channels switch: a hold of its own; lifted, the holds of channels stay (R6)."""

    on: bool


@dataclass(frozen=True, slots=True)
class SetChannel:
    """The switch of one channel. `on` = DND on, the vendor's `active`."""

    channel: Channel
    on: bool


@dataclass(frozen=True, slots=True)
class StaysPermanent:
    """The vendor's `permanent`, which nobody can ask for: true already, or refused."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class Clear:
    """Lift everything the actor may lift (R6). Also a workflow's `disable ["ALL"]`."""


Command = SetAll | SetChannel | StaysPermanent | Clear


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody asks for, once: `id` names its events, so that a change made again under the same id is the same.

    `as_of` (ms): when it was asked for, if it waited since then; holds placed later stay. None = now.
    """

    id: str
    commands: tuple[Command, ...]
    actor: Actor
    as_of: int | None = None
    evidence: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < len(self.id) <= TEXT_LIMIT:
            raise ValueError(f"the id of a change has 1 to {TEXT_LIMIT} characters")


class Why(StrEnum):
    """Why a hold stays that the change would end."""

    NOT_ALLOWED = "not_allowed"  # the actor may not lift its cause
    PLACED_LATER = "placed_later"  # it began after the change was asked for, or first made


@dataclass(frozen=True, slots=True)
class Refused:
    """A hold that stays; `hold.lifted_by` says who can lift it."""

    hold: Hold
    why: Why


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written, and what stays although the change asks for its end."""

    events: tuple[Event, ...]
    refused: tuple[Refused, ...]


class BadChange(Exception):  # noqa: N818 - what it is to the caller: nothing of it is done
    """The change cannot be made; nothing of it was. `channels` are those it cannot be made for."""

    def __init__(self, channels: list[Channel], why: str) -> None:
        super().__init__(f"{', '.join(channels)}: {why}")
        self.channels = tuple(channels)


class NotEnlisted(BadChange):
    """R7: only channels whose integration exists and works can be switched."""


class NotPermanent(BadChange):
    """`permanent` is what an opt-out ends in; people switch a channel to active or inactive."""


def plan(change: Change, contact: Subject, records: Records, enlisted: frozenset[Channel], now: int) -> Plan:
    """`records`: of the contact and its current addresses, read behind a barrier. `now` (ms): not earlier than it is;
    nothing depends on it but the dates of places. BadChange."""
    _check(change, records, enlisted)
    planning = _Planning(change, contact, records, now)
    on = {scope for scope, stands in _last_words(change.commands).items() if stands}
    # Of a channel that is not enlisted it is said as it was shown: nothing of it changes, cleared before or not.
    untouched = on - {Scope.ALL, *(Scope(channel.value) for channel in enlisted)}
    for scope in Scope:
        if scope in on - untouched:
            planning.place(scope)
    for command in change.commands:
        if wanted := _lifted_by(command):
            planning.lift(wanted, on, untouched)
    return planning.planned()


def _last_words(commands: Sequence[Command]) -> dict[Scope, bool]:
    """Whether the contact's own hold is to stand, for each switch the commands name."""
    said: dict[Scope, bool] = {}
    for command in commands:
        match command:
            case SetAll(on=on):
                said[Scope.ALL] = on
            case SetChannel(channel=channel, on=on):
                said[Scope(channel.value)] = on
            case Clear():
                said = dict.fromkeys(Scope, False)
            case StaysPermanent():
                pass
            case _:
                assert_never(command)
    return said


def _check(change: Change, records: Records, enlisted: frozenset[Channel]) -> None:
    """A client may send back what it was shown, so a switch that stands as it is asked for is none."""
    switched: list[Channel] = []
    permanent: list[Channel] = []
    for command in change.commands:
        if isinstance(command, SetChannel) and command.channel not in enlisted:
            asked = ChannelStatus.ACTIVE if command.on else ChannelStatus.INACTIVE
            if _status(records, command.channel) is not asked:
                switched.append(command.channel)
        if isinstance(command, StaysPermanent) and _status(records, command.channel) is not ChannelStatus.PERMANENT:
            permanent.append(command.channel)
    if switched:
        raise NotEnlisted(switched, "not connected in this location, so it cannot be switched")
    if permanent:
        raise NotPermanent(permanent, "cannot be set to permanent, only to active or inactive")


def _status(records: Records, channel: Channel) -> ChannelStatus:
    return channel_status(contact_records(records), channel)


_NOTHING = Register()

_Wanted = Callable[[Subject, Scope], bool]


def _lifted_by(command: Command) -> _Wanted | None:
    """Which holds the command asks the end of; None for a command that ends none."""
    match command:
        case SetAll(on=False):
            return lambda _, scope: scope is Scope.ALL
        case SetChannel(channel=channel, on=False):
            return _of_channel(channel)
        case Clear():
            return lambda _subject, _scope: True
        case SetAll() | SetChannel() | StaysPermanent():
            return None
        case _:
            assert_never(command)


def _of_channel(channel: Channel) -> _Wanted:
    """The channel's own holds, where they can block it; the contact's address of another kind does not concern it."""
    scope_of_channel, kinds = Scope(channel.value), KINDS_OF_CHANNEL[channel]

    def wanted(subject: Subject, scope: Scope) -> bool:
        return scope is scope_of_channel and (subject.kind is SubjectKind.CONTACT or subject.kind in kinds)

    return wanted


class _Planning:
    """What is to be written for one change, and what stays."""

    def __init__(self, change: Change, contact: Subject, records: Records, now: int) -> None:
        self._change = change
        self._contact = contact
        self._records = records
        self._now = now
        self._places: list[Place] = []
        self._terms: dict[Subject, dict[RegisterKey, LiftTerm]] = {}
        self._refused: dict[tuple[Subject, RegisterKey], Refused] = {}

    def place(self, scope: Scope) -> None:
        """`manual` on the contact, unless it is there: a hold of another cause may end before this one is to."""
        change, record, cause = self._change, self._records[self._contact], Cause.MANUAL
        if record.registers.get((scope, cause), _NOTHING).in_force:
            return
        at = place_at(record, (scope,), cause, self._now)
        self._places.append(Place(change.id, self._contact, (scope,), (cause,), at, change.actor, change.evidence))

    def lift(self, wanted: _Wanted, on: Collection[Scope], untouched: Collection[Scope]) -> None:
        """What is wanted, but not the contact's own hold on a scope that is to stand, nor anything `untouched`."""
        for subject, record in self._records.items():
            for key, register in record.holds():
                scope, cause = key
                stands = scope in on and subject == self._contact and cause is Cause.MANUAL
                if wanted(subject, scope) and not stands and scope not in untouched:
                    self._lift(subject, key, register)

    def _lift(self, subject: Subject, key: RegisterKey, register: Register) -> None:
        change, placed_at = self._change, register.placed.at
        if not may_lift_directly(change.actor.kind, key[1]):
            self._refuse(subject, key, register, Why.NOT_ALLOWED)
        elif change.as_of is not None and placed_at > change.as_of:
            self._refuse(subject, key, register, Why.PLACED_LATER)
        else:
            self._terms.setdefault(subject, {})[key] = LiftTerm(*key, placed_at)

    def _refuse(self, subject: Subject, key: RegisterKey, register: Register, why: Why) -> None:
        self._refused[subject, key] = Refused(Hold.of(subject, key, register), why)

    def planned(self) -> Plan:
        change = self._change
        events: list[Event] = [place for place in self._places if not self._is_known(place)]
        for subject, terms in self._terms.items():
            lift = Lift(change.id, subject, tuple(terms.values()), change.actor, change.evidence)
            if not self._is_known(lift):
                events.append(lift)
                continue
            for key in terms:
                register = self._records[subject].registers.get(key, _NOTHING)
                if register.in_force:
                    self._refuse(subject, key, register, Why.PLACED_LATER)
        return Plan(tuple(events), tuple(self._refused.values()))

    def _is_known(self, event: Event) -> bool:
        """Whether the log has it from when the change was made for the first time."""
        return fold(self._records[event.subject], event, self._now).repeated
