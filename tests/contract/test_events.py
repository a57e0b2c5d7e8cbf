"""Messages of `dnd.events`: a place is read however it was written, a lift only when it is exact."""

import contextlib
import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract.events import Decoded, Unreadable, decode_event, encode_event, event_key, read_event
from gateway.contract.forgiving import EVIDENCE_LIMIT_BYTES, TEXT_LIMIT, read_forgiving
from gateway.dnd.addresses import canonical
from gateway.dnd.model import Actor, ActorKind, Cause, Event, Lift, LiftTerm, Place, Scope, Subject, SubjectKind

APPENDED = 1_763_900_000_000
PHONE = Subject("loc1", SubjectKind.PHONE, "+14155552671")

PLACE: dict[str, Any] = {
    "v": 1,
    "event_id": "twilio:SM123",
    "type": "place",
    "subject": ["loc1", "phone", "+14155552671"],
    "channels": ["SMS"],
    "causes": ["keyword_opt_out"],
    "at": 1_763_899_999_000,
    "recorded_at": 1_763_899_999_100,
    "actor": {"kind": "contact", "id": "+14155552671"},
    "evidence": {"provider": "twilio", "text": "STOP"},
}
LIFT: dict[str, Any] = {
    "v": 1,
    "event_id": "api:1",
    "type": "lift",
    "subject": ["loc1", "phone", "+14155552671"],
    "lifts": [
        {"channel": "SMS", "cause": "manual", "through": 1_763_899_999_000},
        {"channel": "ALL", "cause": "manual", "through": 1_763_899_999_000},
    ],
    "recorded_at": 1_763_899_999_100,
    "actor": {"kind": "user", "id": "u1"},
    "evidence": {},
}

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
moments = st.integers(0, 2**53)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
evidence = st.dictionaries(words, words | st.integers(0, 2**40) | st.lists(words, max_size=2), max_size=3)
subjects = st.builds(Subject, words, st.sampled_from(SubjectKind), words).map(canonical)
actors = st.builds(Actor, st.sampled_from(ActorKind), st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
places = st.builds(
    Place,
    event_id=words,
    subject=subjects,
    scopes=st.lists(st.sampled_from(Scope), min_size=1, max_size=3, unique=True).map(tuple),
    causes=st.lists(st.sampled_from(Cause), min_size=1, max_size=2, unique=True).map(tuple),
    at=moments,
    actor=actors,
    evidence=evidence,
)
lifts = st.builds(
    Lift,
    event_id=words,
    subject=subjects,
    terms=st.lists(st.builds(LiftTerm, st.sampled_from(Scope), st.sampled_from(Cause), moments), min_size=1).map(tuple),
    actor=actors,
    evidence=evidence,
)


def written(event: dict[str, Any], **changes: object) -> bytes:
    return json.dumps(event | changes).encode()


def without(event: dict[str, Any], field: str) -> bytes:
    return json.dumps({name: value for name, value in event.items() if name != field}).encode()


def place_of(value: bytes, timestamp: int = APPENDED) -> Place:
    event = decode_event(value, timestamp)
    assert isinstance(event, Place)
    return event


def lift_of(value: bytes) -> Lift:
    event = decode_event(value, APPENDED)
    assert isinstance(event, Lift)
    return event


@given(places | lifts)
def test_what_is_written_is_read_back_the_same(event: Event) -> None:
    assert read_event(encode_event(event, APPENDED), APPENDED) == Decoded(event)


@given(places | lifts)
def test_both_readers_agree_on_what_is_well_formed(event: Event) -> None:
    value = encode_event(event, APPENDED)
    assert read_forgiving(value, APPENDED) == read_event(value, APPENDED)


def test_an_event_is_written_as_the_contract_says() -> None:
    assert json.loads(encode_event(place_of(written(PLACE)), 1_763_899_999_100)) == PLACE
    assert json.loads(encode_event(lift_of(written(LIFT)), 1_763_899_999_100)) == LIFT


def test_the_key_is_the_subject_as_json_without_spaces_in_raw_utf_8() -> None:
    subject = Subject("Zürich 1", SubjectKind.EMAIL, "josé/+x@例え.jp")
    assert event_key(subject) == '["Zürich 1","email","josé/+x@例え.jp"]'.encode()


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()) | st.none())
def test_whatever_is_in_the_log_is_read_or_unreadable_never_another_error(value: bytes | None) -> None:
    with contextlib.suppress(Unreadable):
        encode_event(decode_event(value, APPENDED), APPENDED)


@given(st.sampled_from(sorted(PLACE.keys() - {"subject", "channels", "causes", "type"})), json_values)
def test_a_place_holds_whatever_else_is_wrong_with_it(field: str, value: object) -> None:
    for changed in (written(PLACE, **{field: value}), without(PLACE, field)):
        place = place_of(changed)
        assert (place.subject, place.scopes, place.causes) == (PHONE, (Scope.SMS,), (Cause.KEYWORD_OPT_OUT,))
        assert place.at >= 0
        assert 0 < len(place.event_id) <= TEXT_LIMIT
        assert decode_event(encode_event(place, APPENDED), APPENDED) == place


@given(st.sampled_from(sorted(LIFT)), json_values, st.booleans())
def test_a_lift_with_anything_changed_lifts_nothing_more(field: str, value: object, within: bool) -> None:
    changes = {"lifts": [LIFT["lifts"][0] | {"through": value}, value]} if within else {field: value}
    try:
        event = decode_event(written(LIFT, **changes), APPENDED)
    except Unreadable:
        return
    whole = lift_of(written(LIFT))
    assert isinstance(event, Lift)
    if event.subject == whole.subject and not (isinstance(value, int) and within):
        assert set(event.terms) <= set(whole.terms)
    assert event.actor.kind in (whole.actor.kind, None)


@pytest.mark.parametrize(
    ("at", "read"),
    [(-1, 0), (0, 0), (None, APPENDED), ("1763899999000", APPENDED), (1.5, APPENDED), (True, APPENDED), ([], APPENDED)],
)
def test_a_place_whose_time_makes_no_sense_has_that_of_its_record(at: object, read: int) -> None:
    assert place_of(written(PLACE, at=at)).at == read
    assert place_of(without(PLACE, "at")).at == APPENDED


@pytest.mark.parametrize("actor", [None, "user", {}, {"kind": "robot", "id": "r2"}, {"kind": 3}, {"id": "x"}, []])
def test_an_unknown_actor_places_but_is_nobody_who_could_lift(actor: object) -> None:
    assert place_of(written(PLACE, actor=actor)).actor.kind is None
    assert lift_of(written(LIFT, actor=actor)).actor.kind is None
    assert lift_of(without(LIFT, "actor")).actor.kind is None


def test_unknown_channels_and_causes_are_told_and_the_known_ones_hold() -> None:
    mixed = written(PLACE, channels=["Fax", "sms", 7, "MMS", "all"], causes=["bored", " Manual ", "complaint"])
    event, unknown = read_event(mixed, APPENDED)
    assert isinstance(event, Place)
    assert event.scopes == (Scope.SMS, Scope.ALL)
    assert event.causes == (Cause.MANUAL, Cause.COMPLAINT)
    assert unknown == ("channels: Fax", "channels: int", "causes: bored")


def test_one_word_in_place_of_a_list_is_read() -> None:
    value = json.dumps({**json.loads(without(PLACE, "channels")), "channel": "Email", "causes": "bounce"}).encode()
    place = place_of(value)
    assert (place.scopes, place.causes) == ((Scope.EMAIL,), (Cause.BOUNCE,))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"channels": ["Fax"]}, "channels"),
        ({"channels": []}, "channels"),
        ({"causes": ["bored"]}, "causes"),
        ({"causes": None}, "causes"),
        ({"subject": None}, "subject"),
        ({"subject": ["loc1", "phone"]}, "subject"),
        ({"subject": ["loc1", "fax", "1"]}, "subject[1]"),
        ({"subject": ["", "phone", "+14155552671"]}, "subject"),
        ({"subject": ["loc1", "phone", ""]}, "subject"),
        ({"subject": ["loc1", "phone", None]}, "subject"),
        ({"type": "note"}, "type"),
        ({"type": 5}, "type"),
    ],
)
def test_a_place_of_which_whom_channel_or_cause_cannot_be_told_names_the_field(
    changes: dict[str, object], field: str
) -> None:
    with pytest.raises(Unreadable) as unreadable:
        decode_event(written(PLACE, **changes), APPENDED)
    assert unreadable.value.field == field


@pytest.mark.parametrize("value", [None, b"", b"null", b"[]", b"3", b'"place"', b"{", b"\x00\xff", b"{}"])
def test_what_is_no_event_at_all_is_unreadable(value: bytes | None) -> None:
    with pytest.raises(Unreadable):
        decode_event(value, APPENDED)


def test_a_place_of_another_spelling_is_on_the_same_subject() -> None:
    for subject in (
        ["loc1", "phone", "+1 (415) 555-2671"],
        ["loc1", "Phone", "14155552671"],
        ["loc1", "phone", 14155552671],
    ):
        assert place_of(written(PLACE, subject=subject)).subject == PHONE


@pytest.mark.parametrize(
    "broken",
    [
        written(PLACE).replace(b"STOP", b"\xff\xfe"),
        written(PLACE).replace(b"STOP", b"\\ud800"),
        b"\xef\xbb\xbf" + written(PLACE),
        written(PLACE, evidence={"x": math.nan}),
        written(PLACE, type=" PLACE "),
        without(PLACE, "type"),
        written(PLACE, v=99, more={"later": [1, 2]}),
    ],
    ids=["invalid UTF-8", "lone surrogate", "byte order mark", "NaN", "upper case", "no type", "a newer writer"],
)
def test_a_place_holds_in_every_encoding_accident(broken: bytes) -> None:
    place = place_of(broken)
    assert (place.subject, place.scopes, place.causes) == (PHONE, (Scope.SMS,), (Cause.KEYWORD_OPT_OUT,))
    encode_event(place, APPENDED)


@pytest.mark.parametrize("depth", [70, 990, 1010, 100_000])
def test_a_place_holds_however_deep_its_evidence_is_nested(depth: int) -> None:
    deep = written(PLACE, evidence="HERE").replace(b'"HERE"', b'{"a":' + b"[" * depth + b'"]{"' + b"]" * depth + b"}")
    place = place_of(deep)
    assert (place.subject, place.at) == (PHONE, PLACE["at"])
    encode_event(place, APPENDED)


def test_evidence_larger_than_we_keep_is_replaced_by_its_size_when_read_and_when_written() -> None:
    large = {"text": "x" * EVIDENCE_LIMIT_BYTES}
    place = place_of(written(PLACE, evidence=large))
    assert place.evidence == {"left_out_bytes": EVIDENCE_LIMIT_BYTES + len('{"text":""}')}
    huge = Place("e", PHONE, (Scope.SMS,), (Cause.MANUAL,), 1, Actor(ActorKind.USER), large)
    assert place_of(encode_event(huge, APPENDED)).evidence == place.evidence


def test_places_without_a_usable_id_get_one_each_so_that_none_counts_as_a_repetition() -> None:
    for event_id in (None, "", 1.5, "x" * (TEXT_LIMIT + 1)):
        value = written(PLACE, event_id=event_id)
        ids = {place_of(value).event_id, place_of(value, APPENDED + 1).event_id, place_of(value + b" ").event_id}
        assert len(ids) == 3
        assert place_of(value).event_id == place_of(value).event_id


def not_exact() -> list[tuple[str, Callable[[dict[str, Any]], None]]]:
    def term(**changes: object) -> Callable[[dict[str, Any]], None]:
        return lambda lift: lift["lifts"][0].update(changes)

    def field(**changes: object) -> Callable[[dict[str, Any]], None]:
        return lambda lift: lift.update(changes)

    return [
        ("no through", lambda lift: lift["lifts"][0].pop("through")),
        ("through is text", term(through="1763899999000")),
        ("through is a fraction", term(through=1763899999000.0)),
        ("through is true", term(through=True)),
        ("through is negative", term(through=-1)),
        ("unknown channel", term(channel="Fax")),
        ("channel in other letters", term(channel="sms")),
        ("unknown cause", term(cause="bored")),
        ("no event id", field(event_id=None)),
        ("subject is not exact", field(subject=["loc1", "Phone", "+14155552671"])),
        ("id is a number", field(subject=["loc1", "phone", 14155552671])),
        ("empty id", field(subject=["loc1", "phone", ""])),
        ("terms are no list", field(lifts=5)),
        ("no terms", field(lifts=[])),
    ]


@pytest.mark.parametrize(("what", "spoil"), not_exact(), ids=[what for what, _ in not_exact()])
def test_a_lift_that_is_not_exact_lifts_nothing(what: str, spoil: Callable[[dict[str, Any]], None]) -> None:
    lift = json.loads(json.dumps(LIFT | {"lifts": LIFT["lifts"][:1]}))
    spoil(lift)
    with pytest.raises(Unreadable):
        decode_event(written(lift), APPENDED)


def test_a_term_that_is_not_exact_is_left_out_and_told_and_the_others_lift() -> None:
    good, bad = LIFT["lifts"][0], {"channel": "ALL", "cause": "manual"}
    event, unknown = read_event(written(LIFT, lifts=[bad, good]), APPENDED)
    assert isinstance(event, Lift)
    assert event.terms == (LiftTerm(Scope.SMS, Cause.MANUAL, good["through"]),)
    assert unknown == ("lifts: dict",)
