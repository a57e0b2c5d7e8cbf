"""Twilio's inbound messages: a person opts out or in by a keyword (R13, R14, R18).

Fields: twilio.com/docs/messaging/guides/webhook-request. There is no time among them: a reply is dated by its receipt.

A word is judged twice: by the location's profile, and by Twilio where Advanced Opt-Out is on, which then says so in
`OptOutType`. One table says what is done for each pair of answers. Where they differ the stricter counts, and the
difference is noted: Twilio may send to somebody whom we hold, and never the other way round.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.dnd.addresses import KINDS_OF_CHANNEL
from gateway.dnd.causes import CAUSES
from gateway.dnd.keywords import LONGEST_WORD, WORDS, Word, classify, normalise
from gateway.dnd.model import Actor, ActorKind, Cause, Channel, Scope, Subject
from gateway.providers.signals import Note, OptIn, OptOut, Parsed, Signal
from gateway.providers.twilio.fields import LocationSettings, channel_of, kept, message_sid, subject_of


class _Said(StrEnum):
    """`OptOutType`: what Twilio took the message for."""

    STOP = "STOP"
    START = "START"
    HELP = "HELP"
    NOTHING = ""


# What Twilio said, what the location's profile says -> what is done, and whether the two differ.
# A word that only Twilio knows was added there by the account's owner.
_EFFECTS: Mapping[tuple[_Said, Word], tuple[Word, bool]] = {
    (_Said.NOTHING, Word.OPT_OUT): (Word.OPT_OUT, False),
    (_Said.NOTHING, Word.OPT_IN): (Word.OPT_IN, False),
    (_Said.NOTHING, Word.NONE): (Word.NONE, False),
    (_Said.STOP, Word.OPT_OUT): (Word.OPT_OUT, False),
    (_Said.STOP, Word.OPT_IN): (Word.OPT_OUT, True),
    (_Said.STOP, Word.NONE): (Word.OPT_OUT, False),
    (_Said.START, Word.OPT_OUT): (Word.OPT_OUT, True),
    (_Said.START, Word.OPT_IN): (Word.OPT_IN, False),
    (_Said.START, Word.NONE): (Word.OPT_IN, False),
    (_Said.HELP, Word.OPT_OUT): (Word.OPT_OUT, True),
    (_Said.HELP, Word.OPT_IN): (Word.NONE, True),
    (_Said.HELP, Word.NONE): (Word.NONE, False),
}

_OPT_IN_SOMEWHERE = frozenset(word for words in WORDS.values() for word in words.opt_in)

_START_LIFTS = (Cause.KEYWORD_OPT_OUT, Cause.CARRIER_OPT_OUT, Cause.UNREACHABLE)
"""R18, on SMS: the person's own wish, the carrier's copy of it, and a handset that just proved that it works."""


@dataclass(frozen=True, slots=True)
class _Reply:
    """A message whose word has an effect, from somebody who can be held."""

    sid: str
    subject: Subject
    channel: Channel
    said: _Said
    keyword_scopes: tuple[Scope, ...]
    evidence: Mapping[str, object]

    @property
    def actor(self) -> Actor:
        return Actor(ActorKind.CONTACT, self.subject.id)


def parse_inbound(
    form: Mapping[str, str], location_id: str, settings: LocationSettings, idempotency_token: str | None = None
) -> Parsed:
    """What a person's message says: opt out, opt in, or nothing. Raises `Unparsable` for no inbound message.

    `idempotency_token`: the header I-Twilio-Idempotency-Token, the same on each try of one delivery.
    """
    sid, text = message_sid(form), normalise(form.get("Body", ""))
    said, notes = _said(form)
    effect, conflict = _effect(said, text, settings)
    if conflict:
        notes.append(Note.KEYWORD_CONFLICT)
    if effect is Word.NONE:
        return Parsed(notes=tuple(notes) or (Note.NO_KEYWORD,))
    sender = form.get("From", "")
    channel, subject = channel_of(sender), subject_of(sender, location_id, settings.default_region)
    if channel is None or subject is None:
        return Parsed(notes=(Note.BAD_ADDRESS, *notes))
    evidence = {
        "text": text[:LONGEST_WORD].upper(),
        "message_sid": sid,
        "to": form.get("To"),
        "opt_out_type": form.get("OptOutType"),
        "idempotency_token": idempotency_token,
    }
    scopes = _keyword_scopes(subject, channel, settings)
    reply = _Reply(sid, subject, channel, said, scopes, kept(evidence))
    signals = tuple(_opt_out(reply) if effect is Word.OPT_OUT else _opt_in(reply))
    return Parsed(signals, tuple(notes) if signals else (Note.NO_KEYWORD, *notes))


def _said(form: Mapping[str, str]) -> tuple[_Said, list[Note]]:
    try:
        return _Said(form.get("OptOutType", "").strip().upper()), []
    except ValueError:
        return _Said.NOTHING, [Note.UNKNOWN_EVENT]


def _effect(said: _Said, text: str, settings: LocationSettings) -> tuple[Word, bool]:
    word = classify(text, settings.keyword_profile, settings.extra_opt_out_words)
    if said is _Said.START and word is Word.NONE and text in _OPT_IN_SOMEWHERE:
        return Word.NONE, True  # R14: a profile that leaves YES out says that YES is an answer
    return _EFFECTS[said, word]


def _keyword_scopes(subject: Subject, channel: Channel, settings: LocationSettings) -> tuple[Scope, ...]:
    """What a keyword that came in on the channel holds: SMS always (R13), else as the location says.

    On WhatsApp a keyword does nothing by default.
    """
    channels = set(settings.opt_out_channels)
    if channel is Channel.SMS:
        channels.add(channel)
    if channel not in channels:
        return ()
    usable = (Scope(each) for each in Channel if each in channels and subject.kind in KINDS_OF_CHANNEL[each])
    return tuple(scope for scope in usable if scope in CAUSES[Cause.KEYWORD_OPT_OUT].scopes)


def _opt_out(reply: _Reply) -> Iterator[Signal]:
    event_id = f"twilio:{reply.sid}"
    if reply.keyword_scopes:
        scopes, cause = reply.keyword_scopes, Cause.KEYWORD_OPT_OUT
        yield OptOut(event_id, reply.subject, scopes, cause, None, reply.actor, reply.evidence)
    elif reply.said is _Said.STOP:
        # Twilio's own word counts wherever it is said: it will not send to this person on WhatsApp any more.
        scopes, cause = (Scope.WHATSAPP,), Cause.PROVIDER_OPT_OUT
        yield OptOut(event_id, reply.subject, scopes, cause, None, reply.actor, reply.evidence)


def _opt_in(reply: _Reply) -> Iterator[Signal]:
    """One event for each set of causes, so that none is lifted on a scope the rules do not name for it."""
    for event_id, scopes, causes in _lifted(reply):
        if scopes and causes:
            yield OptIn(event_id, reply.subject, scopes, causes, reply.actor, reply.sid, reply.evidence)


def _lifted(reply: _Reply) -> Iterator[tuple[str, tuple[Scope, ...], tuple[Cause, ...]]]:
    event_id = f"twilio:{reply.sid}"
    if reply.channel is Channel.SMS:
        yield event_id, (Scope.SMS,), _START_LIFTS
        others = tuple(scope for scope in reply.keyword_scopes if scope is not Scope.SMS)
        yield f"{event_id}:others", others, (Cause.KEYWORD_OPT_OUT,)
    else:
        # WhatsApp alone, also where a keyword held more: who has the account need not have the number any more.
        keyword = (Cause.KEYWORD_OPT_OUT,) if reply.keyword_scopes else ()
        provider = (Cause.PROVIDER_OPT_OUT,) if reply.said is _Said.START else ()
        yield event_id, (Scope.WHATSAPP,), keyword + provider
