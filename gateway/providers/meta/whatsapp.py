"""WhatsApp's part of Meta's webhooks: marketing preferences, failed statuses, and what people write.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference: `user_preferences`,
`messages/status`, `messages/text`, `messages/button`, `messages/interactive`.

Theory of operation. A change is about one of our numbers (`metadata.phone_number_id`) and carries lists of items, each
about one person. A person has a number (`wa_id`), ids without a number (`user_id`, and one of the parent business), or
both, and a message may be addressed by any of them: so a wish is taken for every id the change gives of its person.

Meta dates everything, in seconds. A stop and a resume are ordered by these dates, not by arrival; within one second
the stop counts. Placing is forgiving, lifting is not: a resume without a date, or for a category of messages that is
not marketing, lifts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.dnd.addresses import canonical
from gateway.dnd.keywords import Word
from gateway.dnd.model import Actor, ActorKind, BadAddress, Cause, Channel, Scope, Subject, SubjectKind
from gateway.dnd.phones import whatsapp_id_key
from gateway.providers.meta.codes import meaning_of
from gateway.providers.reading import Json, event_id, evidence, member, moment, objects, shown, text, word
from gateway.providers.signals import Note, OptIn, OptOut, Signal

PROVIDER = "meta"

MARKETING = "marketing_messages"
"""The one `category` of a preference that Meta has."""

_KEYWORD_SCOPES = (Scope.SMS, Scope.CALL, Scope.WHATSAPP)
"""What a keyword may hold (the causes table); other channels do not go to a number."""

_STATUSES = frozenset({"sent", "delivered", "read", "played", "deleted", "failed"})


class MarketingOptOut(StrEnum):
    """What a stop of marketing messages is to a location: its requests do not say whether they are marketing."""

    BLOCK = "block"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class WhatsAppNumber:
    """One of our numbers: its location and those of the location's settings that matter here.

    `classify` says what a whole message is, under the location's keyword profile. It is asked only when WhatsApp is
    among `opt_out_channels`, which are the channels that a keyword holds (R13: SMS alone, unless a location says more).
    """

    location_id: str
    classify: Callable[[str], Word]
    marketing_opt_out: MarketingOptOut = MarketingOptOut.BLOCK
    opt_out_channels: frozenset[Channel] = frozenset({Channel.SMS})


def read_change(value: Json, numbers: Mapping[str, WhatsAppNumber]) -> Iterator[Signal | Note]:
    """What the `value` of one change says. `numbers` by their phone_number_id. Never raises."""
    told = [(name, read) for name, read in _READERS.items() if isinstance(value.get(name), list)]
    if not told:
        yield Note.UNKNOWN_EVENT
        return
    number_id = text(member(value, "metadata"), "phone_number_id")
    number = numbers.get(number_id)
    if number is None:
        yield Note.UNKNOWN_ACCOUNT
        return
    change = _Change(number_id, number, objects(value, "contacts"))
    for name, read in told:
        for item in objects(value, name):
            yield from read(item, change)


@dataclass(frozen=True, slots=True)
class _Change:
    number_id: str
    number: WhatsAppNumber
    contacts: Sequence[Json]

    def people(self, item: Json, names: _Names) -> list[Subject]:
        """The person an item is about, under each id the change gives of them; [] = it does not say who."""
        own = {text(item, name).strip() for name in names} - {""}
        ids = dict.fromkeys(text(item, name).strip() for name in names)
        for contact in self.contacts:
            theirs = [text(contact, name).strip() for name in _CONTACT]
            if own.intersection(theirs) or (not own and len(self.contacts) == 1):
                ids |= dict.fromkeys(theirs)
        return list(dict.fromkeys(_subject(self.number.location_id, id_) for id_ in ids if id_))

    def evidence(self, **fields: str) -> dict[str, object]:
        return evidence(provider=PROVIDER, product="whatsapp", phone_number_id=self.number_id, **fields)


_Names = tuple[str, str, str]
"""The fields that name a person: number, id without a number, id at the parent business."""

_CONTACT: _Names = ("wa_id", "user_id", "parent_user_id")
_SENDER: _Names = ("from", "from_user_id", "from_parent_user_id")
_RECIPIENT: _Names = ("recipient_id", "recipient_user_id", "recipient_parent_user_id")
_RECIPIENT_IN_GROUP: _Names = ("recipient_participant_id", "recipient_user_id", "recipient_parent_user_id")


def _subject(location_id: str, id_: str) -> Subject:
    """A `wa_id` is a number without its plus. What is none is the id of a user; neither is ever dropped."""
    digits = id_.removeprefix("+")
    try:
        return Subject(location_id, SubjectKind.PHONE, whatsapp_id_key(digits))
    except BadAddress:
        kind = SubjectKind.PHONE if digits.isdecimal() else SubjectKind.WA_USER
        return canonical(Subject(location_id, kind, id_))


def _preference(item: Json, change: _Change) -> Iterator[Signal | Note]:
    value, category, at = word(item, "value"), word(item, "category"), moment(item, "timestamp")
    people = change.people(item, _CONTACT)
    told = change.evidence(event="user_preferences", category=shown(category), value=shown(value))
    # It has no id of its own; the same wish said again later is another fact.
    who = text(item, "wa_id") or text(item, "user_id") or next((person.id for person in people), "")
    own_id = event_id(PROVIDER, "user_preferences", change.number_id, who, value, str(at or "undated"))
    if value == "stop":
        if change.number.marketing_opt_out is MarketingOptOut.IGNORE:
            yield Note.IGNORED_BY_SETTING
        else:
            yield from _held(own_id, people, at, told)
    elif value == "resume" and category == MARKETING and at is not None:
        yield from _lifted(own_id, people, Cause.PROVIDER_OPT_OUT, at, told)
    else:
        yield Note.UNKNOWN_EVENT


def _status(item: Json, change: _Change) -> Iterator[Signal | Note]:
    status, errors = word(item, "status"), objects(item, "errors")
    if not errors:
        yield _note_of_status(status)
    for error in errors:
        code = _code(error)
        meaning = meaning_of(code)
        if isinstance(meaning, Note):
            yield meaning
        elif change.number.marketing_opt_out is MarketingOptOut.IGNORE:
            yield Note.IGNORED_BY_SETTING
        else:
            people = change.people(item, _RECIPIENT_IN_GROUP if word(item, "recipient_type") == "group" else _RECIPIENT)
            message_id, at = text(item, "id"), moment(item, "timestamp")
            # Without the message's id: the person and the time tell facts apart.
            fact = message_id or f"{text(item, 'recipient_id')}:{at or 'undated'}"
            told = change.evidence(
                event="status",
                code=str(code),
                message=shown(text(error, "title")),
                provider_message_id=shown(message_id),
            )
            yield from _held(event_id(PROVIDER, fact, str(code)), people, at, told)


def _note_of_status(status: str) -> Note:
    if status == "failed":
        return Note.UNKNOWN_CODE
    return Note.NOT_A_FAILURE if status in _STATUSES else Note.UNKNOWN_EVENT


def _code(error: Json) -> int | None:
    try:
        return int(text(error, "code"))
    except ValueError:
        return None


def _message(item: Json, change: _Change) -> Iterator[Signal | Note]:
    """A keyword counts on the channels the location chose. By default WhatsApp is none of them, and nothing happens."""
    said, number = _said(item), change.number
    if Channel.WHATSAPP not in number.opt_out_channels or not said:
        yield Note.NO_KEYWORD
        return
    meaning = number.classify(said)
    people, at, message_id = change.people(item, _SENDER), moment(item, "timestamp"), text(item, "id")
    told = change.evidence(event="message", text=shown(said), provider_message_id=shown(message_id))
    own_id = event_id(PROVIDER, message_id or f"{text(item, 'from')}:{at or 'undated'}:{meaning}")
    if meaning is Word.OPT_OUT:
        yield from _keyword_held(own_id, people, at, told, number.opt_out_channels)
    elif meaning is Word.OPT_IN and at is not None:
        yield from _lifted(own_id, people, Cause.KEYWORD_OPT_OUT, at, told, message_id)
    else:
        yield Note.NO_KEYWORD if meaning is Word.NONE else Note.UNKNOWN_EVENT


def _said(item: Json) -> str:
    """The text a person wrote, or that stands on the button they pressed."""
    interactive = member(item, "interactive")
    return (
        text(member(item, "text"), "body")
        or text(member(item, "button"), "text")
        or text(member(interactive, "button_reply"), "title")
        or text(member(interactive, "list_reply"), "title")
    )


def _held(own_id: str, people: Sequence[Subject], at: int | None, told: Json) -> Iterator[Signal | Note]:
    if not people:
        yield Note.BAD_ADDRESS
    for person in people:
        yield OptOut(own_id, person, (Scope.WHATSAPP,), Cause.PROVIDER_OPT_OUT, at, _contact(person), told)


def _keyword_held(
    own_id: str, people: Sequence[Subject], at: int | None, told: Json, channels: frozenset[Channel]
) -> Iterator[Signal | Note]:
    chosen = tuple(scope for scope in _KEYWORD_SCOPES if Channel(scope.value) in channels)
    if not people:
        yield Note.BAD_ADDRESS
    for person in people:
        # Who has no number gets neither calls nor SMS.
        scopes = chosen if person.kind is SubjectKind.PHONE else (Scope.WHATSAPP,)
        yield OptOut(own_id, person, scopes, Cause.KEYWORD_OPT_OUT, at, _contact(person), told)


def _lifted(
    own_id: str, people: Sequence[Subject], cause: Cause, at: int, told: Json, message_id: str | None = None
) -> Iterator[Signal | Note]:
    """WhatsApp alone, also where the opt-out held more: a number may have passed to somebody else who has no part in
    the WhatsApp account that still bears it. Up to the second before: of one second's two wishes the stop counts.
    """
    if not people:
        yield Note.BAD_ADDRESS
    for person in people:
        yield OptIn(own_id, person, (Scope.WHATSAPP,), (cause,), _contact(person), message_id or None, told, at - 1)


def _contact(person: Subject) -> Actor:
    return Actor(ActorKind.CONTACT, person.id)


_READERS: Mapping[str, Callable[[Json, _Change], Iterator[Signal | Note]]] = {
    "user_preferences": _preference,
    "statuses": _status,
    "messages": _message,
}
