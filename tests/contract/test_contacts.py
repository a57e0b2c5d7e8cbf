"""Snapshots of contacts: what is taken, what is forgiven, and what an import says is held."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract.contacts import (
    ADDRESSES_LIMIT,
    FUTURE_LIMIT_MS,
    Imported,
    ReadSnapshot,
    Snapshot,
    Unreadable,
    contact_key,
    read_contact,
)
from gateway.dnd.model import Cause, Scope, Subject, SubjectKind

NOW = 1_763_900_000_000
KEY = contact_key("loc1", "c1")


def read(value: object, key: bytes | None = KEY) -> ReadSnapshot:
    encoded = value if isinstance(value, bytes) else json.dumps(value).encode()
    return read_contact(key, encoded, NOW, lambda location_id: "US" if location_id == "loc1" else None)


def snapshot(**fields: object) -> Snapshot:
    return read({"location_id": "loc1", "contact_id": "c1", "updated_at": NOW} | fields).snapshot


def phone(number: str, location_id: str = "loc1") -> Subject:
    return Subject(location_id, SubjectKind.PHONE, number)


def test_every_address_of_the_contract_is_taken_under_the_key_its_holds_have() -> None:
    found = snapshot(
        phone="+1 (415) 555-2671",
        email="Ada@Example.COM ",
        additional_phones=["+52 1 55 1234 5678", "+14155552671"],
        additional_emails=["ada@bücher.example"],
        psid="7000000000000001",
    )
    assert found.addresses == (
        phone("+14155552671"),
        Subject("loc1", SubjectKind.EMAIL, "ada@example.com"),
        Subject("loc1", SubjectKind.PSID, "7000000000000001"),
        phone("+525512345678"),
        Subject("loc1", SubjectKind.EMAIL, "ada@xn--bcher-kva.example"),
    )
    assert (found.subject, found.updated_at, found.deleted, found.merged_into) == (
        Subject("loc1", SubjectKind.CONTACT, "c1"),
        NOW,
        False,
        None,
    )


def test_a_number_without_a_country_code_is_read_by_its_locations_region() -> None:
    assert snapshot(phone="(415) 555-2671").addresses == (phone("+14155552671"),)
    elsewhere = read({"location_id": "loc2", "contact_id": "c1", "phone": "(415) 555-2671"}, None)
    assert elsewhere.snapshot.addresses == ()
    assert [each.partition(":")[0] for each in elsewhere.unknown] == ["phone"]


def test_what_cannot_be_compared_is_left_out_and_named_and_the_rest_is_taken() -> None:
    found = read(
        {
            "location_id": "loc1",
            "contact_id": "c1",
            "phone": "call me",
            "email": {"home": "a@b.example"},
            "additional_phones": ["+14155552671", None, 5, ""],
            "merged_into": ["c2"],
            "tags": ["x"],
        }
    )
    assert found.snapshot.addresses == (phone("+14155552671"),)
    assert [each.partition(":")[0] for each in found.unknown] == ["phone", "email", "additional_phones", "merged_into"]
    assert "call me" not in str(found.unknown)  # addresses are nothing for a log


def test_a_null_value_is_a_deleted_contact_that_says_no_time() -> None:
    found = read_contact(KEY, None, NOW, lambda _: None).snapshot
    assert (found.subject.id, found.deleted, found.updated_at) == ("c1", True, None)
    with pytest.raises(Unreadable):
        read_contact(b"c1", None, NOW, lambda _: None)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b"[]",
        b'"c1"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"location_id":"loc1"}',
        b'{"location_id":5,"contact_id":""}',
    ],
)
def test_what_names_no_contact_is_unreadable(value: bytes) -> None:
    with pytest.raises(Unreadable):
        read(value, None)


def test_ids_that_are_missing_in_the_value_are_taken_from_the_key() -> None:
    assert read({"phone": "+14155552671"}).snapshot.subject == Subject("loc1", SubjectKind.CONTACT, "c1")


def test_a_number_as_an_id_and_text_that_is_not_quite_json_are_read() -> None:
    assert read({"location_id": "loc1", "contact_id": 17}, None).snapshot.contact_id == "17"
    marked = b'\xef\xbb\xbf{"location_id":"loc1","contact_id":"c1","name":"\\ud800","phone":"+14155552671"}'
    assert read(marked).snapshot.addresses == (phone("+14155552671"),)


@pytest.mark.parametrize("id_", ["", "x" * 129, "c\x001", "\ud800"])
def test_an_id_that_no_database_takes_is_refused(id_: str) -> None:
    with pytest.raises(Unreadable):
        read({"location_id": "loc1", "contact_id": id_}, None)


def test_a_time_that_is_none_or_far_ahead_is_the_records_own() -> None:
    """Else no later snapshot would ever be newer: somebody wrote microseconds."""
    for time in (None, "yesterday", -1, NOW * 1000, True, NOW + FUTURE_LIMIT_MS + 1):
        assert snapshot(updated_at=time).updated_at == NOW
    assert snapshot(updated_at=NOW + FUTURE_LIMIT_MS).updated_at == NOW + FUTURE_LIMIT_MS


def test_more_addresses_than_the_limit_are_left_out_and_named() -> None:
    found = read(
        {
            "location_id": "loc1",
            "contact_id": "c1",
            "additional_emails": [f"a{number}@b.example" for number in range(ADDRESSES_LIMIT + 1)],
        }
    )
    assert len(found.snapshot.addresses) == ADDRESSES_LIMIT
    assert found.unknown == (f"addresses: {ADDRESSES_LIMIT + 1} of them",)


@pytest.mark.parametrize("on", [True, "true", " YES ", 1, "1", "on", "active"])
def test_r5_an_old_flag_that_is_on_is_a_hold_on_everything(on: object) -> None:
    assert snapshot(dnd=on).imported == (Imported(Scope.ALL, Cause.LEGACY),)


@pytest.mark.parametrize("off", [False, None, "false", 0, "", "no", "perhaps"])
def test_r5_an_old_flag_that_is_off_or_missing_is_nothing(off: object) -> None:
    assert snapshot(dnd=off).imported == ()


def test_r5_imported_channels_become_holds_by_the_contracts_rule() -> None:
    """Active means that DND is on; permanent is the channel's permanent cause where there is one."""
    spelled = {
        "SMS": {"status": "permanent", "message": "", "code": ""},
        "email": {"status": "PERMANENT"},
        "Call": {"status": "permanent"},
        "whatsApp": {"status": "active"},
        "GMB": {"status": "inactive"},
        "FB": "active",
        "Instagram": {"status": "active"},
        "RCS": {"status": "muted"},
    }
    found = read({"location_id": "loc1", "contact_id": "c1", "updated_at": NOW, "dndSettings": spelled})
    assert set(found.snapshot.imported) == {
        Imported(Scope.SMS, Cause.KEYWORD_OPT_OUT),
        Imported(Scope.EMAIL, Cause.COMPLAINT),
        Imported(Scope.CALL, Cause.MANUAL),
        Imported(Scope.WHATSAPP, Cause.MANUAL),
        Imported(Scope.FB, Cause.MANUAL),
    }
    assert found.unknown == ("dndSettings: Instagram", "dndSettings.SMS.status: muted")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = st.sampled_from(
    [
        "location_id", "contact_id", "phone", "email", "additional_phones", "additional_emails", "psid", "dnd",
        "dndSettings", "merged_into", "deleted", "updated_at",
    ]
)  # fmt: skip


@given(st.dictionaries(_FIELDS, _JSON), st.none() | st.binary() | st.just(KEY))
def test_whatever_is_written_is_a_snapshot_or_unreadable(fields: dict[str, object], key: bytes | None) -> None:
    try:
        found = read(fields, key)
    except Unreadable:
        return
    assert found.snapshot.updated_at is not None
    assert all(address.location_id == found.snapshot.location_id for address in found.snapshot.addresses)


@given(st.binary(), st.none() | st.binary())
def test_whatever_bytes_there_are_they_are_a_snapshot_or_unreadable(value: bytes, key: bytes | None) -> None:
    try:
        read(value, key)
    except Unreadable:
        return
