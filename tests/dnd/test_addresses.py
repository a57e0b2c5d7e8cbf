"""The two doors to a key: a message is refused where a hold is kept."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.dnd.addresses import KINDS_OF_CHANNEL, BadAddress, canonical, recipient_key
from gateway.dnd.model import Channel, Subject, SubjectKind
from gateway.dnd.phones import REGIONS

KINDS = list(SubjectKind)

ODD_TEXTS = st.one_of(
    st.text(max_size=20),
    st.text("+0123456789 ()-.", max_size=20),
    st.sampled_from(["raw:", "raw:raw:X", "raw:ACME", " raw: x", "whatsapp:+14155552671", "whatsapp:raw:x", "US.134"]),
    st.sampled_from(["Alice@Example.com", "+1 (415) 555-2671", "5215512345678", "32665", "ACME", "x" * 300, "9" * 300]),
    st.text(st.characters(), min_size=250, max_size=300),
)


@pytest.mark.parametrize(
    ("channel", "to", "kind", "key"),
    [
        (Channel.SMS, "(415) 555-2671", SubjectKind.PHONE, "+14155552671"),
        (Channel.CALL, "+1 415 555 2671", SubjectKind.PHONE, "+14155552671"),
        (Channel.WHATSAPP, "+14155552671", SubjectKind.PHONE, "+14155552671"),
        (Channel.WHATSAPP, "whatsapp:+14155552671", SubjectKind.PHONE, "+14155552671"),
        (Channel.WHATSAPP, "WhatsApp: 14155552671", SubjectKind.PHONE, "+14155552671"),
        (Channel.WHATSAPP, "whatsapp:6591234567", SubjectKind.PHONE, "+6591234567"),
        (Channel.WHATSAPP, "14155552671", SubjectKind.PHONE, "+14155552671"),
        (Channel.WHATSAPP, "US.13491208655302741918", SubjectKind.WA_USER, "US.13491208655302741918"),
        (Channel.WHATSAPP, "whatsapp:US.ENT.11815799212886844830", SubjectKind.WA_USER, "US.ENT.11815799212886844830"),
        (Channel.EMAIL, "Alice@Example.com", SubjectKind.EMAIL, "alice@example.com"),
        (Channel.FB, " 2469870123 ", SubjectKind.PSID, "2469870123"),
        (Channel.GMB, "Conversation/Ab-1", SubjectKind.GMB, "Conversation/Ab-1"),
    ],
)
def test_each_channel_has_its_kind_of_address(channel: Channel, to: str, kind: SubjectKind, key: str) -> None:
    """R1, R21."""
    assert recipient_key(channel, to, "US") == (kind, key)
    assert kind in KINDS_OF_CHANNEL[channel]


@pytest.mark.parametrize(
    ("channel", "to"),
    [
        (Channel.SMS, "whatsapp:+14155552671"),
        (Channel.CALL, "US.13491208655302741918"),
        (Channel.WHATSAPP, "alice@example.com"),
        (Channel.WHATSAPP, ""),
        (Channel.WHATSAPP, "whatsapp:"),
        (Channel.WHATSAPP, "whatsapp:4155552671"),  # never national behind the scheme
        (Channel.EMAIL, "+14155552671"),
        (Channel.FB, " "),
        (Channel.FB, "x" * 257),
        (Channel.GMB, ""),
    ],
)
def test_an_address_that_cannot_be_compared_is_refused(channel: Channel, to: str) -> None:
    with pytest.raises(BadAddress):
        recipient_key(channel, to, "US")


def test_every_channel_has_an_address_and_every_kind_but_the_contact_a_channel() -> None:
    assert set(KINDS_OF_CHANNEL) == set(Channel)
    assert {kind for kinds in KINDS_OF_CHANNEL.values() for kind in kinds} == set(SubjectKind) - {SubjectKind.CONTACT}


@given(st.sampled_from(Channel), ODD_TEXTS, st.one_of(st.none(), st.sampled_from(sorted(REGIONS))))
@settings(max_examples=1_000)
def test_a_hold_on_what_a_message_goes_to_is_found(channel: Channel, to: str, region: str | None) -> None:
    """Whoever writes a hold on the key of a recipient writes it where that recipient is looked up."""
    try:
        kind, key = recipient_key(channel, to, region)
    except BadAddress:
        return
    assert canonical(Subject("loc1", kind, key)) == ("loc1", kind, key)


@given(st.sampled_from(KINDS), ODD_TEXTS)
@settings(max_examples=2_000)
@example(SubjectKind.PHONE, "\u0663")
@example(SubjectKind.EMAIL, "\ud800")
@example(SubjectKind.PSID, "\ud800" * 300)
def test_an_event_is_never_refused_and_its_subject_stays_what_it_is(kind: SubjectKind, text: str) -> None:
    once = canonical(Subject("loc1", kind, text))
    assert canonical(once) == once
    assert once.location_id == "loc1"


@pytest.mark.parametrize(
    ("kind", "text", "key"),
    [
        (SubjectKind.PHONE, "+14155552671", "+14155552671"),
        (SubjectKind.PHONE, "+1 (415) 555-2671", "+14155552671"),
        (SubjectKind.PHONE, "whatsapp:+14155552671", "+14155552671"),
        (SubjectKind.PHONE, "5215512345678", "+525512345678"),
        (SubjectKind.PHONE, "+551187654321", "+5511987654321"),
        (SubjectKind.EMAIL, "Alice@Example.com", "alice@example.com"),
        (SubjectKind.CONTACT, " C1 ", " C1 "),
        (SubjectKind.PSID, "2469870123", "2469870123"),
        (SubjectKind.WA_USER, "US.13491208655302741918", "US.13491208655302741918"),
    ],
)
def test_a_hold_is_kept_under_the_key_of_its_address(kind: SubjectKind, text: str, key: str) -> None:
    """R21."""
    assert canonical(Subject("loc1", kind, text)) == ("loc1", kind, key)


def test_a_number_written_as_a_whatsapp_user_is_held_where_numbers_are() -> None:
    assert canonical(Subject("loc1", SubjectKind.WA_USER, "14155552671")) == recipient_subject("+14155552671")


def recipient_subject(to: str) -> Subject:
    return Subject("loc1", *recipient_key(Channel.WHATSAPP, to, None))


@pytest.mark.parametrize(
    ("kind", "text", "key"),
    [
        (SubjectKind.PHONE, "32665", "raw:32665"),
        (SubjectKind.PHONE, "326-65", "raw:32665"),
        (SubjectKind.PHONE, "\uff13\uff12\uff16\uff16\uff15", "raw:32665"),
        (SubjectKind.PHONE, "ACME24", "raw:acme24"),
        (SubjectKind.PHONE, "4155552671", "raw:4155552671"),
        (SubjectKind.PHONE, "3125550123", "raw:3125550123"),  # possible in the Netherlands, but nobody's
        (SubjectKind.EMAIL, " Alice at Example ", "raw:alice at example"),
        (SubjectKind.PSID, "", "raw:"),
    ],
)
def test_an_opt_out_of_an_address_nobody_can_read_is_kept(kind: SubjectKind, text: str, key: str) -> None:
    """Short codes and words as senders, undeliverable addresses: the event counts, though nothing is sent there."""
    assert canonical(Subject("loc1", kind, text)) == ("loc1", kind, key)
    for channel, kinds in KINDS_OF_CHANNEL.items():
        if kind in kinds and kind is not SubjectKind.PSID:
            with pytest.raises(BadAddress):
                recipient_key(channel, key, None)


def test_the_key_of_an_endless_address_is_short_and_its_own() -> None:
    one, two = (canonical(Subject("loc1", kind, "x" * 10**6)) for kind in (SubjectKind.PHONE, SubjectKind.EMAIL))
    assert one.id == two.id
    assert len(one.id) < 100
    assert canonical(Subject("loc1", SubjectKind.PHONE, "x" * 10**6 + "y")) != one


def test_locations_are_kept_apart() -> None:
    """R21: never across locations."""
    assert canonical(Subject("loc1", SubjectKind.PHONE, "+14155552671")) != canonical(
        Subject("loc2", SubjectKind.PHONE, "+14155552671")
    )
