"""The store of sent messages, in both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import URL
from sqlalchemy.exc import IntegrityError

from gateway.database import AnotherWorkerError, Positions
from gateway.sent import SentMessages
from tests.sent.messages import AT, TOPIC, at, message


async def test_a_message_is_found_by_its_location_provider_and_id(sent: SentMessages) -> None:
    told = message(1, recipients=("a@example.com", "b@example.com"), request_id=None, contact_id=None)
    async with sent.writer() as writer:
        await writer.keep([told, message(2)], at(p0=2))
    assert await sent.find("loc1", "twilio", "SM1") == told
    assert await sent.find("loc1", "twilio", "SM3") is None
    assert await sent.find("loc1", "mailgun", "SM1") is None


async def test_r21_what_is_told_for_one_location_finds_no_message_of_another(sent: SentMessages) -> None:
    async with sent.writer() as writer:
        await writer.keep([message(1), message(1, location_id="loc2", contact_id="theirs")], at(p0=2))
    found = await sent.find("loc2", "twilio", "SM1")
    assert found is not None
    assert found.contact_id == "theirs"
    assert await sent.find("loc3", "twilio", "SM1") is None


async def test_a_receipt_that_is_read_twice_changes_nothing(sent: SentMessages) -> None:
    async with sent.writer() as writer:
        await writer.keep([message(1), message(1, created_at=AT + 99)], at(p0=2))
        await writer.keep([message(1, created_at=AT + 999)], at(p0=3))
    assert await sent.find("loc1", "twilio", "SM1") == message(1)


async def test_rows_and_position_are_stored_together_and_read_back(sent: SentMessages) -> None:
    async with sent.writer() as writer:
        assert await writer.positions(TOPIC) == Positions(TOPIC, None)
        await writer.keep([message(1)], at(p0=2, p1=7))
        with pytest.raises(IntegrityError):
            await writer.keep([message(2)], Positions(TOPIC, "t1", {0: None}))  # type: ignore[dict-item]
    async with sent.writer() as writer:
        assert await writer.positions(TOPIC) == at(p0=2, p1=7)
    assert await sent.find("loc1", "twilio", "SM2") is None


async def test_positions_of_a_topic_that_was_created_again_replace_the_former(sent: SentMessages) -> None:
    async with sent.writer() as writer:
        await writer.keep([], at("old", p0=200, p1=7))
        await writer.keep([message(1)], at("new", p0=1))
        assert await writer.positions(TOPIC) == at("new", p0=1)


async def test_what_is_too_old_is_forgotten_a_part_at_a_time_and_the_oldest_first(sent: SentMessages) -> None:
    async with sent.writer() as writer:
        await writer.keep([message(number) for number in range(10)], at(p0=10))
        assert await writer.forget(AT + 7, 5) == 5
        assert await sent.find("loc1", "twilio", "SM4") is None
        assert await sent.find("loc1", "twilio", "SM5") is not None
        assert await writer.forget(AT + 7, 5) == 2
        assert await writer.forget(AT + 7, 5) == 0
    assert await sent.find("loc1", "twilio", "SM6") is None
    assert await sent.find("loc1", "twilio", "SM7") is not None


async def test_one_writes_at_a_time_while_others_read(sent: SentMessages, database: URL) -> None:
    other = SentMessages(database)
    try:
        async with sent.writer() as writer:
            await writer.keep([message(1)], at(p0=1))
            with pytest.raises(AnotherWorkerError):
                async with other.writer():
                    pass
            assert await other.find("loc1", "twilio", "SM1") == message(1)
        async with other.writer() as writer:
            assert await writer.positions(TOPIC) == at(p0=1)
    finally:
        await other.close()
