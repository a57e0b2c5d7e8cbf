"""Reading `integrations`: what says something is taken however it is spelt, the rest is named."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract.forgiving import Unreadable
from gateway.contract.integrations import (
    Integration,
    IntegrationStatus,
    encode_integration,
    integration_key,
    read_integration,
)
from gateway.dnd.model import Channel

AT = 1_763_900_000_000
GOOD = {"location_id": "loc1", "channel": "SMS", "status": "disconnected"}


def read(**fields: object) -> Integration:
    return read_integration(b"any", json.dumps(GOOD | fields).encode(), AT)


def test_the_message_of_the_contract_is_read() -> None:
    value = b'{"location_id":"loc1","channel":"SMS","status":"connected","provider":"twilio","updated_at":7}'
    found = read_integration(b'["loc1","SMS"]', value, AT)
    assert found == Integration("loc1", Channel.SMS, IntegrationStatus.CONNECTED, "twilio", 7)


@pytest.mark.parametrize(
    "fields",
    [
        {"channel": " sms"},
        {"status": "Disconnected "},
        {"provider": None, "updated_at": "yesterday"},
        {"provider": 7, "more": {"deep": [1]}},
    ],
)
def test_what_does_not_decide_is_forgiven(fields: dict[str, object]) -> None:
    assert read(**fields) == Integration("loc1", Channel.SMS, IntegrationStatus.DISCONNECTED, "", AT)


@pytest.mark.parametrize("channel", ["MMS", "RCS", "voicemail", "Instagram", "ALL", ""])
def test_a_part_of_a_channel_is_not_the_channel(channel: str) -> None:
    """Without MMS, SMS still goes out."""
    with pytest.raises(Unreadable) as caught:
        read(channel=channel)
    assert caught.value.field == "channel"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"status": "unknown"}, "status"),
        ({"location_id": ""}, "location_id"),
        ({"location_id": 7}, "value"),
        ({"status": None}, "value"),
    ],
)
def test_what_cannot_be_told_is_named(changes: dict[str, object], field: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(**changes)
    assert caught.value.field == field


def test_a_null_value_withdraws_what_its_key_names() -> None:
    key = integration_key("loc1", Channel.WHATSAPP)
    assert key == b'["loc1","WhatsApp"]'
    assert read_integration(key, None, AT) == Integration("loc1", Channel.WHATSAPP, None, "", AT)


@given(st.none() | st.binary(max_size=40), st.none() | st.binary(max_size=40))
def test_arbitrary_bytes_are_unreadable_and_nothing_else(key: bytes | None, value: bytes | None) -> None:
    with pytest.raises(Unreadable):
        read_integration(key, value, AT)


@given(st.text(min_size=1), st.sampled_from(Channel), st.sampled_from(IntegrationStatus), st.integers(0, 2**53))
def test_what_is_written_is_read_the_same(
    location: str, channel: Channel, status: IntegrationStatus, updated_at: int
) -> None:
    integration = Integration(location, channel, status, "twilio", updated_at)
    assert read_integration(integration_key(location, channel), encode_integration(integration), 0) == integration
