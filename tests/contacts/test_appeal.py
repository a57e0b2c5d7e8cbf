"""What an appeal needs, and what it may end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.contacts.appeal import BadEvidence, Evidence, appealable, granted
from gateway.dnd.model import Cause, Channel, LiftTerm, Scope, Subject, SubjectKind
from tests.contacts.people import CONTACT, NOW, PHONE, applied, nothing, place

OTHER = CONTACT._replace(id="c2")
NEW_PHONE = Subject("loc1", SubjectKind.PHONE, "+14155559999")


def evidence(
    numbers: tuple[str, ...] = ("+14155550100",), contact: str = "Ann Ön", link: str = "https://loom.example/v/1"
) -> Evidence:
    return Evidence(numbers, contact, link)


def test_evidence_is_numbers_a_contact_and_a_recording() -> None:
    """R18."""
    assert evidence(("0-123-456", "+1 415 555 0100")).contact == "Ann Ön"
    assert evidence(link="https://loom.example:8443/a?b=c#d").recording_url.startswith("https://")


BAD: dict[str, tuple[Callable[[], Evidence], str]] = {
    "no number": (lambda: evidence(()), "relationship_numbers"),
    "an empty number": (lambda: evidence(("+1", " ")), "relationship_numbers"),
    "a long number": (lambda: evidence(("1" * 257,)), "relationship_numbers"),
    "too many numbers": (lambda: evidence(("+1",) * 21), "relationship_numbers"),
    "no contact": (lambda: evidence(contact=""), "contact"),
    "a contact nobody can read": (lambda: evidence(contact="a\x00"), "contact"),
    "half an emoji": (lambda: evidence(contact="\ud83d"), "contact"),
    "no link": (lambda: evidence(link=""), "recording_url"),
    "a link without encryption": (lambda: evidence(link="http://loom.example/v"), "recording_url"),
    "a link with a password": (lambda: evidence(link="https://a:b@loom.example/v"), "recording_url"),
    "a script": (lambda: evidence(link="javascript:alert(1)"), "recording_url"),
    "no host": (lambda: evidence(link="https:///v"), "recording_url"),
    "a broken host": (lambda: evidence(link="https://[v"), "recording_url"),
    "a long link": (lambda: evidence(link="https://a.example/" + "v" * 2_048), "recording_url"),
    "a link with a space": (lambda: evidence(link="https://a.example/ b"), "recording_url"),
}


@pytest.mark.parametrize(("make", "field"), BAD.values(), ids=BAD)
def test_evidence_that_proves_nothing_is_refused_with_its_field(make: Callable[[], Evidence], field: str) -> None:
    with pytest.raises(BadEvidence, match="expected") as refused:
        make()
    assert refused.value.field == field


# channel, cause -> whether an appeal for the channel ends it
APPEALABLE = {
    (Scope.SMS, Cause.KEYWORD_OPT_OUT): Channel.SMS,
    (Scope.SMS, Cause.CARRIER_OPT_OUT): Channel.SMS,
    (Scope.CALL, Cause.KEYWORD_OPT_OUT): Channel.CALL,
    (Scope.WHATSAPP, Cause.KEYWORD_OPT_OUT): Channel.WHATSAPP,
    (Scope.EMAIL, Cause.COMPLAINT): Channel.EMAIL,
    (Scope.SMS, Cause.UNREACHABLE): None,
    (Scope.SMS, Cause.MANUAL): None,
    (Scope.EMAIL, Cause.BOUNCE): None,
    (Scope.ALL, Cause.MANUAL): None,
    (Scope.ALL, Cause.LEGACY): None,
    (Scope.WHATSAPP, Cause.PROVIDER_OPT_OUT): None,
}


@pytest.mark.parametrize("channel", Channel)
def test_an_appeal_is_about_the_permanent_causes_of_its_channel(channel: Channel) -> None:
    """R11, R16, R18."""
    record = applied(nothing(), [place(CONTACT, *key, event_id=str(key)) for key in APPEALABLE])[CONTACT]
    expected = {key for key, appealed in APPEALABLE.items() if appealed is channel}
    assert {(term.scope, term.cause) for term in appealable(record, channel)} == expected


def term(through: int, cause: Cause = Cause.KEYWORD_OPT_OUT) -> LiftTerm:
    return LiftTerm(Scope.SMS, cause, through)


def test_what_is_granted_is_what_was_asked_for_where_it_still_concerns_the_contact() -> None:
    filed = {CONTACT: (term(5),), PHONE: (term(5),), OTHER: (term(5),)}
    assert granted(filed, {PHONE: (OTHER,)}, CONTACT) == filed
    assert granted(filed, {}, CONTACT) == {CONTACT: (term(5),)}  # the phone is somebody else's now
    assert granted(filed, {NEW_PHONE: ()}, CONTACT) == {CONTACT: (term(5),)}  # which nobody has looked at


def test_copies_of_an_addresss_hold_end_with_it_also_those_made_since() -> None:
    """R21: on the contact itself, and on a contact that came to have the address."""
    filed = {PHONE: (term(5), term(7, Cause.CARRIER_OPT_OUT))}
    found = granted(filed, {PHONE: (OTHER,)}, CONTACT)
    assert {subject: set(terms) for subject, terms in found.items()} == dict.fromkeys(
        (PHONE, CONTACT, OTHER), frozenset(filed[PHONE])
    )
    both = granted({CONTACT: (term(9),), PHONE: (term(5),)}, {PHONE: ()}, CONTACT)
    assert both == {CONTACT: (term(9),), PHONE: (term(5),)}
    assert max(each.through for terms in both.values() for each in terms) < NOW
