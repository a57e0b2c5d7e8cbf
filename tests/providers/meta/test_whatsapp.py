"""What WhatsApp says: preferences, failed statuses (the row `provider_opt_out` of the causes), and opt-out words."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from gateway.dnd.causes import may_lift
from gateway.dnd.model import Actor, ActorKind, Cause, Channel, Scope, Subject, SubjectKind
from gateway.providers.signals import Note, OptIn, OptOut, Parsed, Signal
from tests.providers.calls import payload
from tests.providers.folding import deliveries, held
from tests.providers.meta.whatsapp import (
    DESTINATIONS,
    KEYWORDS_ON,
    MARKETING_IGNORED,
    PARENT_ID,
    PERSON,
    USER_ID,
    keywords_on,
    parsed,
)

HELD = {(Scope.WHATSAPP, Cause.PROVIDER_OPT_OUT)}


def changed(name: str, of: str, **changes: object) -> dict[str, Any]:
    """The payload with fields of its one preference, status or message changed; None = the field is missing."""
    post = copy.deepcopy(payload("meta", name))
    item = post["entry"][0]["changes"][0]["value"][of][0]
    item |= changes
    for field, value in changes.items():
        if value is None:
            del item[field]
    return post


def preference(name: str, **changes: object) -> dict[str, Any]:
    return changed(f"preference_{name}", "user_preferences", **changes)


def said(text: str, **changes: object) -> dict[str, Any]:
    return changed("message_text", "messages", text={"body": text}, **changes)


def value_of(post: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = post["entry"][0]["changes"][0]["value"]
    return found


def signal_of(post: dict[str, Any], destinations: Any = DESTINATIONS) -> Signal:
    found = parsed(post, destinations)
    assert found.notes == ()
    (signal,) = found.signals
    return signal


def test_provider_opt_out_is_placed_when_a_person_stops_marketing_messages() -> None:
    signal = signal_of(payload("meta", "preference_stop"))
    assert isinstance(signal, OptOut)
    assert (signal.subject, signal.scopes, signal.cause) == (PERSON, (Scope.WHATSAPP,), Cause.PROVIDER_OPT_OUT)
    assert signal.at == 1_731_705_721_000
    assert signal.actor == Actor(ActorKind.CONTACT, PERSON.id)
    assert signal.event_id == "meta:user_preferences:106540352242922:16505550123:stop:1731705721000"


def test_provider_opt_out_is_lifted_when_the_person_resumes() -> None:
    signal = signal_of(payload("meta", "preference_resume"))
    assert isinstance(signal, OptIn)
    assert (signal.subject, signal.scopes, signal.causes) == (PERSON, (Scope.WHATSAPP,), (Cause.PROVIDER_OPT_OUT,))
    assert signal.actor.kind is not None
    assert may_lift(signal.actor.kind, Cause.PROVIDER_OPT_OUT)
    assert held([signal_of(payload("meta", "preference_stop")), signal]) == set()


def test_provider_opt_out_is_placed_by_a_failed_status_131050_dated_by_it() -> None:
    signal = signal_of(payload("meta", "status_failed_131050"))
    assert isinstance(signal, OptOut)
    assert (signal.subject, signal.scopes, signal.cause) == (PERSON, (Scope.WHATSAPP,), Cause.PROVIDER_OPT_OUT)
    assert signal.at == 1_689_380_458_000
    assert signal.event_id == "meta:wamid.HBgLMTY1MDU1NTAxMjMVAgARGBI1QzZBMTA4:131050"


def test_provider_opt_out_is_the_location_s_choice() -> None:
    """`whatsapp_marketing_optout = ignore`; a resume still ends what was held before the location chose so."""
    for name in ("preference_stop", "status_failed_131050"):
        assert parsed(payload("meta", name), MARKETING_IGNORED) == Parsed(notes=(Note.IGNORED_BY_SETTING,))
    assert isinstance(signal_of(payload("meta", "preference_resume"), MARKETING_IGNORED), OptIn)


@pytest.mark.parametrize("code", [131026, 131047, 131049, 130472, 551, 10, "131049"])
def test_other_failed_statuses_do_nothing(code: object) -> None:
    post = changed("status_failed_130472", "statuses", errors=[{"code": code}])
    assert parsed(post) == Parsed(notes=(Note.NO_EFFECT,))


@pytest.mark.parametrize("errors", [None, [], [{}], [{"code": 424242}], [{"code": "x"}], [{"code": True}], "131050"])
def test_a_failure_we_do_not_know_is_counted(errors: object) -> None:
    assert parsed(changed("status_failed_131050", "statuses", errors=errors)) == Parsed(notes=(Note.UNKNOWN_CODE,))


def test_an_opt_out_counts_beside_another_error() -> None:
    found = parsed(changed("status_failed_131050", "statuses", errors=[{"code": 131026}, {"code": "131050"}]))
    assert [type(signal) for signal in found.signals] == [OptOut]
    assert found.notes == (Note.NO_EFFECT,)


@pytest.mark.parametrize(
    ("status", "note"), [("sent", Note.NOT_A_FAILURE), ("read", Note.NOT_A_FAILURE), ("exploded", Note.UNKNOWN_EVENT)]
)
def test_a_status_that_is_no_failure_does_nothing(status: str, note: Note) -> None:
    assert parsed(changed("status_delivered", "statuses", status=status)) == Parsed(notes=(note,))


def test_the_status_of_a_group_is_about_its_member() -> None:
    post = changed(
        "status_failed_131050",
        "statuses",
        recipient_type="group",
        recipient_id="120363044444444444",
        recipient_participant_id="16505550123",
    )
    assert signal_of(post).subject == PERSON


@pytest.mark.parametrize("value", ["signup", "pause", "", None, 1])
def test_an_unknown_preference_is_counted(value: object) -> None:
    assert parsed(preference("stop", value=value)) == Parsed(notes=(Note.UNKNOWN_EVENT,))


def test_a_stop_holds_however_it_was_written_but_a_resume_must_be_exact() -> None:
    for changes in ({"timestamp": None}, {"timestamp": "soon"}, {"category": None}, {"category": "something_new"}):
        assert isinstance(signal_of(preference("stop", **changes)), OptOut)
        assert parsed(preference("resume", **changes)) == Parsed(notes=(Note.UNKNOWN_EVENT,))


def test_a_resume_delivered_behind_a_newer_stop_does_not_lift_it() -> None:
    """Its own date counts, not its arrival: in every order and repetition, the later wish stays."""
    first = signal_of(preference("stop", timestamp=1_731_705_000))
    resumed = signal_of(preference("resume", timestamp=1_731_705_100))
    again = signal_of(preference("stop", timestamp=1_731_705_200))
    assert all(held(order) == HELD for order in deliveries([first, resumed, again]))
    assert all(held(order) == set() for order in deliveries([first, resumed]))


def test_of_a_stop_and_a_resume_in_one_second_the_stop_counts() -> None:
    stop, resume = (signal_of(preference(name, timestamp=1_731_705_721)) for name in ("stop", "resume"))
    assert all(held(order) == HELD for order in deliveries([stop, resume]))
    next_second = signal_of(preference("resume", timestamp=1_731_705_722))
    assert held([stop, next_second]) == set()


def test_the_same_wish_at_another_time_is_another_fact() -> None:
    once, later = signal_of(preference("stop")), signal_of(preference("stop", timestamp=1_731_709_999))
    assert once.event_id != later.event_id
    assert once == signal_of(preference("stop"))


@pytest.mark.parametrize(
    ("wa_id", "key"),
    [
        ("5215512345678", "+525512345678"),
        ("5491123456789", "+541123456789"),
        ("551187654321", "+5511987654321"),
        (16505550123, "+16505550123"),
        ("+16505550123", "+16505550123"),
    ],
)
def test_a_whatsapp_id_is_held_under_the_key_of_the_number(wa_id: object, key: str) -> None:
    """Also where WhatsApp writes a number in another form than people do (Mexico, Argentina, Brazil)."""
    post = preference("stop", wa_id=wa_id)
    del value_of(post)["contacts"]
    assert signal_of(post).subject == Subject("loc1", SubjectKind.PHONE, key)


@pytest.mark.parametrize("wa_id", ["5678", "9" * 40, "not a number", "user.abcde12345"])
def test_an_id_that_is_no_number_is_held_all_the_same(wa_id: str) -> None:
    post = preference("stop", wa_id=wa_id)
    del value_of(post)["contacts"]
    signal = signal_of(post)
    assert isinstance(signal, OptOut)
    assert signal.subject.id


def test_a_person_without_a_number_is_held_by_their_ids() -> None:
    found = parsed(payload("meta", "preference_stop_user_id"))
    assert [signal.subject for signal in found.signals] == [USER_ID, PARENT_ID]
    assert found.notes == ()


def test_a_wish_is_taken_for_every_id_the_post_gives_of_the_person() -> None:
    """A later message may be addressed by any of them."""
    post = preference("stop")
    value_of(post)["contacts"] = [
        {"wa_id": "16505550199", "user_id": "US.999"},
        {"wa_id": "16505550123", "user_id": USER_ID.id, "parent_user_id": PARENT_ID.id},
    ]
    assert [signal.subject for signal in parsed(post).signals] == [PERSON, USER_ID, PARENT_ID]
    status = changed("status_failed_131050", "statuses", recipient_id=None, recipient_user_id=USER_ID.id)
    assert [signal.subject for signal in parsed(status).signals] == [USER_ID]


def test_an_item_that_names_nobody_is_about_the_one_contact_of_the_change() -> None:
    assert signal_of(preference("stop", wa_id=None)).subject == PERSON
    two = preference("stop", wa_id=None)
    value_of(two)["contacts"].append({"wa_id": "16505550199"})
    assert parsed(two) == Parsed(notes=(Note.BAD_ADDRESS,))


@pytest.mark.parametrize("number_id", ["9999", "", None, ["106540352242922"]])
def test_a_number_of_nobody_is_noted(number_id: object) -> None:
    post = payload("meta", "preference_stop")
    value_of(post)["metadata"]["phone_number_id"] = number_id
    assert parsed(post) == Parsed(notes=(Note.UNKNOWN_ACCOUNT,))


@pytest.mark.parametrize("value", [{}, {"message_template_id": 12345678, "event": "APPROVED"}, {"statuses": "all"}])
def test_changes_of_another_kind_are_noted(value: dict[str, Any]) -> None:
    post = payload("meta", "preference_stop")
    post["entry"][0]["changes"] = [{"field": "message_template_status_update", "value": value}, 7]
    assert parsed(post) == Parsed(notes=(Note.UNKNOWN_EVENT,))


MESSAGES = ["message_text", "message_button", "message_button_reply", "message_list_reply"]


@pytest.mark.parametrize("name", [*MESSAGES, "message_user_id"])
def test_r13_on_whatsapp_an_opt_out_word_does_nothing_by_default(name: str) -> None:
    assert parsed(payload("meta", name)) == Parsed(notes=(Note.NO_KEYWORD,))
    assert parsed(payload("meta", name), keywords_on(Channel.SMS, Channel.CALL)) == Parsed(notes=(Note.NO_KEYWORD,))


@pytest.mark.parametrize("name", MESSAGES)
def test_r13_an_opt_out_word_by_whatsapp_holds_the_channels_the_location_chose(name: str) -> None:
    """Written, or on the button that was pressed."""
    signal = signal_of(payload("meta", name), KEYWORDS_ON)
    assert isinstance(signal, OptOut)
    assert (signal.subject, signal.cause) == (PERSON, Cause.KEYWORD_OPT_OUT)
    assert signal.scopes == (Scope.SMS, Scope.WHATSAPP)
    assert signal.at == 1_749_416_383_000
    assert signal.event_id == "meta:wamid.HBgLMTY1MDU1NTAxMjMVAgASGBQzQTRBNjU5OUFF"


def test_r13_a_channel_that_does_not_go_to_a_number_is_not_held_by_a_word() -> None:
    every = keywords_on(*Channel)
    assert signal_of(payload("meta", "message_text"), every).scopes == (Scope.SMS, Scope.CALL, Scope.WHATSAPP)
    found = parsed(payload("meta", "message_user_id"), every)
    assert [(signal.subject, signal.scopes) for signal in found.signals] == [
        (USER_ID, (Scope.WHATSAPP,)),
        (PARENT_ID, (Scope.WHATSAPP,)),
    ]


@pytest.mark.parametrize("text", ["stop.", " UNSTOP ", "“Unsubscribe”", "baja"])
def test_r13_the_location_s_own_classifier_decides(text: str) -> None:
    assert isinstance(signal_of(said(text), KEYWORDS_ON), OptOut)


@pytest.mark.parametrize("text", ["Stop by tomorrow", "cancel my 3pm", "", "nonstop", "\ud83d"])
def test_r13_an_ordinary_message_does_nothing(text: str) -> None:
    assert parsed(said(text), KEYWORDS_ON) == Parsed(notes=(Note.NO_KEYWORD,))


def test_r18_start_by_whatsapp_lifts_the_word_s_hold_on_whatsapp_alone() -> None:
    """The number may be somebody else's by now, while the WhatsApp account is still the former owner's."""
    stop = signal_of(payload("meta", "message_text"), KEYWORDS_ON)
    start = signal_of(said("START", id="wamid.start", timestamp="1749416999"), KEYWORDS_ON)
    assert isinstance(start, OptIn)
    assert (start.causes, start.message_id) == ((Cause.KEYWORD_OPT_OUT,), "wamid.start")
    assert all(held(order) == {(Scope.SMS, Cause.KEYWORD_OPT_OUT)} for order in deliveries([stop, start]))


def test_r18_a_start_that_does_not_say_when_lifts_nothing() -> None:
    assert parsed(said("START", timestamp=None), KEYWORDS_ON) == Parsed(notes=(Note.UNKNOWN_EVENT,))
    assert isinstance(signal_of(said("STOP", timestamp=None), KEYWORDS_ON), OptOut)


def test_facts_without_an_id_of_their_own_are_told_apart() -> None:
    posts = [said("STOP", id=None, timestamp=str(1_749_416_383 + second)) for second in range(3)]
    posts += [changed("status_failed_131050", "statuses", id=None, recipient_id=f"1650555010{n}") for n in range(3)]
    assert len({signal_of(post, KEYWORDS_ON).event_id for post in posts}) == 6


def test_the_evidence_names_neither_the_person_nor_what_they_are_called() -> None:
    for name in ("preference_stop", "status_failed_131050", "message_text"):
        evidence = str(signal_of(payload("meta", name), KEYWORDS_ON).evidence)
        assert "16505550123" not in evidence
        assert "Test User" not in evidence
        assert "106540352242922" in evidence
