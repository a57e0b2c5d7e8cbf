"""The cause `provider_opt_out`: what a person tells WhatsApp itself (a row of the causes table, beside R13 to R18)."""

from __future__ import annotations

import pytest

from tests.requirements.location import FORWARDED, Location, now_ms
from tests.requirements.people import somebody

STOPPED = {("WhatsApp", "provider_opt_out", "temporary")}


def test_r10_r18_a_stop_of_marketing_messages_blocks_whatsapp_until_the_person_resumes(location: Location) -> None:
    """By Meta's dates, not by arrival: a stop that comes again, late, does not block again."""
    person, now_s = somebody(), now_ms() // 1000
    location.whatsapp_preference(person, "stop", now_s - 20)
    assert location.dropped_for(person, "WhatsApp") == STOPPED
    assert location.outcome(person) == FORWARDED
    location.whatsapp_preference(person, "resume", now_s - 10)
    location.whatsapp_preference(person, "stop", now_s - 20)
    assert location.dropped_for(person, "WhatsApp") == set()


@pytest.mark.parametrize("key", ["user", "agency", "support"])
def test_r17_131050_blocks_whatsapp_and_is_cleared_from_the_contact_record(location: Location, key: str) -> None:
    person = somebody()
    location.known(person)
    location.whatsapp_failed(person)
    assert location.dropped_for(person, "WhatsApp") == STOPPED
    assert location.switch(person, key=key, WhatsApp=False)["refused"] == []
    assert location.dropped_for(person, "WhatsApp") == set()
