"""Meta's posts: the handshake, whose entries count, Messenger, and that no post can do harm."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dnd.model import Cause
from gateway.providers.meta.codes import CODES, meaning_of
from gateway.providers.meta.webhooks import CHALLENGE_LIMIT, handshake, parse
from gateway.providers.signals import BadSignature, Note, OptIn, OptOut, Parsed, Unparsable
from tests.providers.calls import any_json, encoded, paths, payload, payload_names, replaced, without
from tests.providers.folding import written
from tests.providers.meta.whatsapp import DESTINATIONS, KEYWORDS_ON, destinations, parsed

QUERY = {"hub.mode": "subscribe", "hub.verify_token": "ours", "hub.challenge": "1158201444"}


def test_the_handshake_gives_the_challenge_back() -> None:
    assert handshake(QUERY, "ours") == "1158201444"


@pytest.mark.parametrize(
    "changes",
    [
        {"hub.verify_token": "theirs"},
        {"hub.verify_token": ""},
        {"hub.verify_token": "our"},
        {"hub.verify_token": "oürs\ud83d"},
        {"hub.mode": "unsubscribe"},
        {"hub.mode": ""},
        {"hub.challenge": ""},
        {"hub.challenge": "1" * (CHALLENGE_LIMIT + 1)},
    ],
)
def test_a_handshake_that_is_not_quite_right_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(BadSignature) as refused:
        handshake(QUERY | changes, "ours")
    assert "ours" not in str(refused.value).replace("is not ours", "")


@pytest.mark.parametrize("field", sorted(QUERY))
def test_a_handshake_with_a_part_missing_is_refused(field: str) -> None:
    with pytest.raises(BadSignature):
        handshake({name: value for name, value in QUERY.items() if name != field}, "ours")


def test_without_a_verify_token_of_ours_nobody_gets_in() -> None:
    with pytest.raises(BadSignature):
        handshake(QUERY | {"hub.verify_token": ""}, "")


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("messenger_stop_notifications", Note.PARTIAL_OPT_OUT),
        ("messenger_resume_notifications", Note.NOT_A_FAILURE),
        ("messenger_message", Note.NO_KEYWORD),
        ("messenger_delivery", Note.NOT_A_FAILURE),
    ],
)
def test_what_messenger_says_changes_nothing(name: str, note: Note) -> None:
    """Also with keywords on: there is no opt-out word on Messenger, and a topic is less than the channel."""
    for given_destinations in (DESTINATIONS, KEYWORDS_ON):
        assert parsed(payload("meta", name), given_destinations) == Parsed(notes=(note,))


@pytest.mark.parametrize(
    "item", [{}, {"something_new": {}}, {"optin": {"notification_messages_status": "PAUSE"}}, {"optin": 5, "x": 1}]
)
def test_an_unknown_item_of_messenger_is_noted(item: dict[str, Any]) -> None:
    post = {"object": "page", "entry": [{"id": "1001", "messaging": [item]}]}
    expected = Note.NOT_A_FAILURE if item.get("optin") == 5 else Note.UNKNOWN_EVENT
    assert parsed(post) == Parsed(notes=(expected,))


@pytest.mark.parametrize("code", [10, 551, 131026, 131047, 131049, 130472, 190, 100])
def test_delivery_and_policy_failures_of_meta_are_no_opt_out(code: int) -> None:
    """FB and WhatsApp: outside the window, unavailable, undeliverable, frequency, experiment, token expired."""
    assert meaning_of(code) is Note.NO_EFFECT


def test_one_code_of_meta_is_an_opt_out_and_unknown_ones_are_counted() -> None:
    assert [code for code, meaning in CODES.items() if isinstance(meaning, Cause)] == [131050]
    assert meaning_of(131050) is Cause.PROVIDER_OPT_OUT
    assert meaning_of(999999) is Note.UNKNOWN_CODE
    assert meaning_of(None) is Note.UNKNOWN_CODE


@pytest.mark.parametrize("page", ["9999", "", None, 1.5])
def test_a_page_of_nobody_is_noted(page: object) -> None:
    post = payload("meta", "messenger_message")
    post["entry"][0]["id"] = page
    assert parsed(post) == Parsed(notes=(Note.UNKNOWN_ACCOUNT,))


def test_a_page_and_a_number_with_one_id_are_not_confused() -> None:
    only_page = destinations(pages={"106540352242922"}, whatsapp={})
    assert parsed(payload("meta", "preference_stop"), only_page) == Parsed(notes=(Note.UNKNOWN_ACCOUNT,))


@pytest.mark.parametrize("product", ["instagram", "permissions", "", None, 7])
def test_other_products_of_the_app_are_noted(product: object) -> None:
    post = payload("meta", "preference_stop") | {"object": product}
    assert parsed(post) == Parsed(notes=(Note.UNKNOWN_EVENT,))


def test_every_entry_of_a_post_counts_also_beside_one_that_says_nothing() -> None:
    stop, resume = payload("meta", "preference_stop"), payload("meta", "preference_resume")
    failed, ours = payload("meta", "status_failed_131050"), payload("meta", "status_delivered")
    foreign = payload("meta", "preference_stop")
    foreign["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = "of nobody"
    entry = {"id": "1", "changes": [each["entry"][0]["changes"][0] for each in (stop, ours, foreign, failed)]}
    post = {"object": "whatsapp_business_account", "entry": [entry, "nonsense", None, resume["entry"][0], {}]}
    found = parsed(post)
    assert [type(signal) for signal in found.signals] == [OptOut, OptOut, OptIn]
    assert found.notes == (Note.NOT_A_FAILURE, Note.UNKNOWN_ACCOUNT)


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"5", b"{}", b'{"object":"page"}', b'{"object":"page","entry":{}}', b"{", b"[" * 100_000],
)
def test_what_is_no_post_of_meta_cannot_be_parsed(body: bytes) -> None:
    with pytest.raises(Unparsable):
        parse(body, DESTINATIONS)


def test_one_message_with_half_an_emoji_does_not_cost_the_opt_out_beside_it() -> None:
    """JSON can say it, and stricter readers refuse the whole post."""
    stop, message = payload("meta", "preference_stop"), payload("meta", "message_text")
    message["entry"][0]["changes"][0]["value"]["messages"][0]["text"]["body"] = "\ud83d"
    post = {"object": "whatsapp_business_account", "entry": [message["entry"][0], stop["entry"][0]]}
    assert b"\\ud83d" in encoded(post)
    assert len(parsed(post, KEYWORDS_ON).signals) == 1
    raw = encoded(stop).replace(b"Test User", b"Test \xff User")
    assert len(parse(raw, DESTINATIONS).signals) == 1


@given(st.data())
@settings(max_examples=150)
def test_whatever_is_in_a_post_is_parsed_or_unparsable_and_never_another_error(data: st.DataObject) -> None:
    post: Any = payload("meta", data.draw(st.sampled_from(payload_names("meta"))))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(paths(post))))
        post = without(post, path) if data.draw(st.booleans()) else replaced(post, path, data.draw(any_json))
    try:
        found = parsed(post, KEYWORDS_ON)
    except Unparsable:
        assert not isinstance(post, dict) or not isinstance(post.get("entry"), list)
        return
    for signal in found.signals:
        written(signal)


@given(any_json)
def test_any_json_is_parsed_or_unparsable(value: Any) -> None:
    if isinstance(value, dict) and isinstance(value.get("entry"), list):
        parsed(value)
    else:
        with pytest.raises(Unparsable):
            parsed(value)


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_unparsable(body: bytes) -> None:
    with pytest.raises(Unparsable):
        parse(body, DESTINATIONS)
