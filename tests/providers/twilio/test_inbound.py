"""R13, R14, R18: what a person's message to a Twilio number does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dnd.keywords import KeywordProfile, Word
from gateway.dnd.model import Actor, ActorKind, Cause, Channel, Scope, Subject, SubjectKind
from gateway.providers.signals import Note, OptIn, OptOut, Parsed, Unparsable
from gateway.providers.twilio.webhooks import parse_inbound
from tests.providers.folding import held, written
from tests.providers.twilio.calls import DEFAULTS, LOCATION, NUMBER, PERSON, Settings, bodies, form

ALIGNED = Settings(keyword_profile=KeywordProfile.TWILIO_ALIGNED)
EVERYWHERE = Settings(opt_out_channels=frozenset({Channel.SMS, Channel.CALL, Channel.WHATSAPP}))

SMS = (Scope.SMS,)
WHATSAPP = (Scope.WHATSAPP,)
R18_CAUSES = (Cause.KEYWORD_OPT_OUT, Cause.CARRIER_OPT_OUT, Cause.UNREACHABLE)


def parsed(name: str, location: Settings = DEFAULTS, **changed: str | None) -> Parsed:
    return parse_inbound(form(name, **changed), LOCATION, location)


def opt_out(found: Parsed) -> OptOut:
    (signal,) = found.signals
    assert isinstance(signal, OptOut)
    return signal


def opt_ins(found: Parsed) -> list[tuple[tuple[Scope, ...], tuple[Cause, ...]]]:
    assert all(isinstance(signal, OptIn) for signal in found.signals)
    return [(signal.scopes, signal.causes) for signal in found.signals if isinstance(signal, OptIn)]


def test_r13_stop_holds_the_number_permanently() -> None:
    found = parse_inbound(form("inbound_stop"), LOCATION, DEFAULTS, "token-1")
    assert found == Parsed(
        (
            OptOut(
                event_id="twilio:SM00000000000000000000000000000001",
                subject=PERSON,
                scopes=SMS,
                cause=Cause.KEYWORD_OPT_OUT,
                at=None,
                actor=Actor(ActorKind.CONTACT, NUMBER),
                evidence={
                    "provider": "twilio",
                    "text": "STOP",
                    "message_sid": "SM00000000000000000000000000000001",
                    "to": "+14155550100",
                    "idempotency_token": "token-1",
                },
            ),
        )
    )


def test_r18_start_ends_what_the_rules_name_and_no_more() -> None:
    found = parsed("inbound_start")
    assert opt_ins(found) == [(SMS, R18_CAUSES)]
    (signal,) = found.signals
    assert isinstance(signal, OptIn)
    assert signal.event_id == "twilio:SM00000000000000000000000000000002"
    assert signal.message_id == "SM00000000000000000000000000000002"
    assert (signal.subject, signal.actor) == (PERSON, Actor(ActorKind.CONTACT, NUMBER))
    assert signal.evidence["text"] == "START"


def test_r18_start_after_stop_lifts_and_start_by_somebody_never_held_holds_nothing() -> None:
    stop, start = parsed("inbound_stop").signals, parsed("inbound_start").signals
    assert held(stop) == {(Scope.SMS, Cause.KEYWORD_OPT_OUT)}
    assert held((*stop, *start)) == set()
    assert held(start) == set()


@pytest.mark.parametrize("name", ["inbound_text", "inbound_media", "inbound_yes", "inbound_advanced_help"])
def test_r13_an_ordinary_message_changes_nothing(name: str) -> None:
    assert parsed(name) == Parsed(notes=(Note.NO_KEYWORD,))


def test_r14_unstop_holds_as_specified_and_lifts_as_at_twilio() -> None:
    assert opt_out(parsed("inbound_unstop")).cause is Cause.KEYWORD_OPT_OUT
    assert opt_ins(parsed("inbound_unstop", ALIGNED)) == [(SMS, R18_CAUSES)]


def test_r14_where_twilio_takes_unstop_for_start_it_stays_blocked_and_the_conflict_is_noted() -> None:
    found = parsed("inbound_unstop", OptOutType="START")
    assert opt_out(found).cause is Cause.KEYWORD_OPT_OUT
    assert opt_out(found).evidence["opt_out_type"] == "START"
    assert found.notes == (Note.KEYWORD_CONFLICT,)
    assert opt_ins(parsed("inbound_unstop", ALIGNED, OptOutType="START")) == [(SMS, R18_CAUSES)]


def test_r14_where_twilio_takes_yes_for_start_it_is_still_an_answer_as_specified() -> None:
    assert parsed("inbound_yes", OptOutType="START") == Parsed(notes=(Note.KEYWORD_CONFLICT,))
    assert opt_ins(parsed("inbound_yes", ALIGNED, OptOutType="START")) == [(SMS, R18_CAUSES)]


@pytest.mark.parametrize("body", ["Stop", "BAJA", "start", "YES", "help", "", "x" * 5_000, None])
def test_twilios_own_stop_holds_whatever_the_word(body: str | None) -> None:
    found = parsed("inbound_advanced_stop", Body=body)
    assert (opt_out(found).scopes, opt_out(found).cause) == (SMS, Cause.KEYWORD_OPT_OUT)
    assert found.notes == ((Note.KEYWORD_CONFLICT,) if body == "start" else ())


def test_a_word_that_only_twilio_knows_opts_in_where_it_says_so() -> None:
    found = parsed("inbound_advanced_start")
    assert (opt_ins(found), found.notes) == ([(SMS, R18_CAUSES)], ())
    assert parsed("inbound_advanced_start", OptOutType=None) == Parsed(notes=(Note.NO_KEYWORD,))


# What Twilio says, what the profile says: the effect, and whether the two differ.
PAIRS = """
-      stop   opt_out
-      start  opt_in
-      hello  none
STOP   stop   opt_out
STOP   start  opt_out  conflict
STOP   hello  opt_out
START  stop   opt_out  conflict
START  start  opt_in
START  hello  opt_in
HELP   stop   opt_out  conflict
HELP   start  none     conflict
HELP   hello  none
"""


@pytest.mark.parametrize("pair", PAIRS.strip().splitlines())
def test_of_twilios_word_and_ours_the_stricter_counts(pair: str) -> None:
    said, body, effect, *conflict = pair.split()
    found = parsed("inbound_text", Body=body, OptOutType=None if said == "-" else said)
    kinds = {OptOut: Word.OPT_OUT, OptIn: Word.OPT_IN}
    assert [kinds[type(signal)] for signal in found.signals] == ([] if effect == Word.NONE else [effect])
    assert (Note.KEYWORD_CONFLICT in found.notes) == bool(conflict)


def test_an_opt_out_type_nobody_knows_is_noted_and_our_profile_decides() -> None:
    found = parsed("inbound_stop", OptOutType="PAUSE")
    assert (opt_out(found).cause, found.notes) == (Cause.KEYWORD_OPT_OUT, (Note.UNKNOWN_EVENT,))
    assert parsed("inbound_text", OptOutType="PAUSE") == Parsed(notes=(Note.UNKNOWN_EVENT,))
    assert opt_out(parsed("inbound_text", OptOutType=" stop ")).cause is Cause.KEYWORD_OPT_OUT


def test_r13_a_location_may_add_words() -> None:
    location = Settings(extra_opt_out_words=("Baja",))
    assert opt_out(parsed("inbound_text", location, Body="BAJA!")).evidence["text"] == "BAJA"


def test_a_keyword_holds_the_channels_a_location_chose_and_sms_always() -> None:
    assert opt_out(parsed("inbound_stop", EVERYWHERE)).scopes == (Scope.CALL, Scope.SMS, Scope.WHATSAPP)
    whatsapp_alone = Settings(opt_out_channels=frozenset({Channel.WHATSAPP}))
    assert opt_out(parsed("inbound_stop", whatsapp_alone)).scopes == (Scope.SMS, Scope.WHATSAPP)
    none = Settings(opt_out_channels=frozenset())
    assert opt_out(parsed("inbound_stop", none)).scopes == SMS
    odd = Settings(opt_out_channels=frozenset({Channel.SMS, Channel.EMAIL, Channel.FB}))
    assert opt_out(parsed("inbound_stop", odd)).scopes == SMS


def test_start_ends_keyword_holds_where_a_location_chose_and_other_causes_on_sms_alone() -> None:
    found = parsed("inbound_start", EVERYWHERE)
    assert opt_ins(found) == [(SMS, R18_CAUSES), ((Scope.CALL, Scope.WHATSAPP), (Cause.KEYWORD_OPT_OUT,))]
    assert [signal.event_id for signal in found.signals] == [
        "twilio:SM00000000000000000000000000000002",
        "twilio:SM00000000000000000000000000000002:others",
    ]
    assert held((*parsed("inbound_stop", EVERYWHERE).signals, *found.signals)) == set()


def test_r1_rcs_is_sms() -> None:
    assert opt_out(parsed("inbound_rcs_stop")).scopes == SMS
    assert opt_out(parsed("inbound_rcs_stop")).subject == PERSON


@pytest.mark.parametrize("name", ["inbound_whatsapp_stop", "inbound_whatsapp_button"])
def test_a_keyword_on_whatsapp_does_nothing_by_default(name: str) -> None:
    assert parsed(name) == Parsed(notes=(Note.NO_KEYWORD,))
    assert parsed(name, Body="START") == Parsed(notes=(Note.NO_KEYWORD,))


def test_a_keyword_on_whatsapp_counts_where_a_location_says_so() -> None:
    found = opt_out(parsed("inbound_whatsapp_stop", EVERYWHERE))
    assert (found.subject, found.cause) == (PERSON, Cause.KEYWORD_OPT_OUT)
    assert found.scopes == (Scope.CALL, Scope.SMS, Scope.WHATSAPP)


def test_start_on_whatsapp_ends_the_hold_on_whatsapp_alone() -> None:
    assert opt_ins(parsed("inbound_whatsapp_stop", EVERYWHERE, Body="START")) == [(WHATSAPP, (Cause.KEYWORD_OPT_OUT,))]


def test_twilios_own_stop_on_whatsapp_holds_whatsapp_and_its_start_ends_that() -> None:
    stop, start = parsed("inbound_whatsapp_advanced_stop"), parsed("inbound_whatsapp_advanced_start")
    assert (opt_out(stop).scopes, opt_out(stop).cause) == (WHATSAPP, Cause.PROVIDER_OPT_OUT)
    assert opt_ins(start) == [(WHATSAPP, (Cause.PROVIDER_OPT_OUT,))]
    assert held((*stop.signals, *start.signals)) == set()
    both = parsed("inbound_whatsapp_advanced_start", EVERYWHERE)
    assert opt_ins(both) == [(WHATSAPP, (Cause.KEYWORD_OPT_OUT, Cause.PROVIDER_OPT_OUT))]


def test_a_whatsapp_user_without_a_number_is_held_where_messages_can_reach_them() -> None:
    found = opt_out(parsed("inbound_whatsapp_stop", EVERYWHERE, From="whatsapp:US.13491208655302741918"))
    assert found.subject == Subject(LOCATION, SubjectKind.WA_USER, "US.13491208655302741918")
    assert found.scopes == WHATSAPP


@pytest.mark.parametrize(
    "sender",
    ["32665", "ACME", "", None, "messenger:14155550123", "client:14155550123", "whatsapp:", "rcs:agent", "+1", "\x00"],
)
def test_a_sender_that_cannot_be_held_is_noted(sender: str | None) -> None:
    assert parsed("inbound_short_code", From=sender) == Parsed(notes=(Note.BAD_ADDRESS,))
    assert parsed("inbound_text", From=sender) == Parsed(notes=(Note.NO_KEYWORD,))


def test_the_number_is_kept_under_its_one_key() -> None:
    """R21: Mexico with and without the 1 behind +52 is one handset."""
    assert opt_out(parsed("inbound_stop", From="+5215512345678")).subject.id == "+525512345678"
    assert opt_out(parsed("inbound_stop", From="(415) 555-0123")).subject == PERSON


@pytest.mark.parametrize("sid", [None, "", "SM1/../2", "x" * 65])
def test_a_message_without_an_id_cannot_be_read(sid: str | None) -> None:
    with pytest.raises(Unparsable, match="MessageSid"):
        parsed("inbound_stop", MessageSid=sid or "", SmsMessageSid=sid, SmsSid=sid)


def test_an_older_name_of_the_id_will_do() -> None:
    assert opt_out(parsed("inbound_stop", MessageSid=None)).event_id == "twilio:SM00000000000000000000000000000001"


def test_evidence_has_the_keyword_and_never_more_of_the_message() -> None:
    found = opt_out(parsed("inbound_text", OptOutType="STOP"))
    assert found.evidence["text"] == "STOP BY TOMORROW, WILL YOU? \U0001f642"  # Twilio says that all of it is the word
    assert "text" not in opt_out(parsed("inbound_text", OptOutType="STOP", Body="x" * 2_000)).evidence
    long = opt_out(parse_inbound(form("inbound_stop", To="x" * 5_000), LOCATION, DEFAULTS, "y" * 5_000))
    assert max(len(str(value)) for value in long.evidence.values()) == 256


LOCATIONS = st.builds(
    Settings,
    st.sampled_from([None, "US", "MX"]),
    st.sampled_from(KeywordProfile),
    st.lists(st.text(max_size=5), max_size=2).map(tuple),
    st.frozensets(st.sampled_from(Channel)),
)
VALUES = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(["STOP", "START", "UNSTOP", NUMBER])


@given(st.sampled_from(bodies()), st.dictionaries(st.sampled_from(sorted(form("inbound_stop"))), VALUES), LOCATIONS)
@settings(max_examples=300)
def test_any_form_is_read_or_refused_and_what_it_says_can_be_written(
    name: str, changed: dict[str, str], location: Settings
) -> None:
    try:
        found = parse_inbound(form(name) | changed, LOCATION, location)
    except Unparsable:
        return
    assert found == parse_inbound(form(name) | changed, LOCATION, location)  # a second delivery is the same
    assert found.signals or found.notes
    assert len({signal.event_id for signal in found.signals}) == len(found.signals)
    for signal in found.signals:
        written(signal)
        if isinstance(signal, OptIn):
            assert Cause.MANUAL not in signal.causes
            assert Scope.ALL not in signal.scopes
        assert signal.subject.location_id == LOCATION
