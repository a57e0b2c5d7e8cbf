"""Reading a whole topic once, up to the end it has when asked."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gateway.contract.log import LogRecord
from gateway.localkafka import LocalKafka
from gateway.streams import whole_log as module
from gateway.streams.topics import KafkaUnreachableError
from gateway.streams.whole_log import read_to_end
from tests.kafka.outside import DEADLINE_S, Outsider, clients_for, until
from tests.streams.misnaming import send_misnamed


@pytest.fixture
def topic(kafka: LocalKafka, fresh_name: str) -> str:
    return Outsider.of(kafka).create(fresh_name, 3)


async def values(kafka: LocalKafka, topic: str) -> list[bytes | None]:
    found: list[bytes | None] = []

    def take(records: Sequence[LogRecord]) -> None:
        found.extend(record.value for record in records)

    assert await read_to_end(clients_for(kafka), topic, take) == len(found)
    return sorted(found, key=lambda value: value or b"")


async def test_an_empty_topic_is_read_at_once(kafka: LocalKafka, topic: str) -> None:
    assert await values(kafka, topic) == []


async def test_every_partition_is_read_from_its_beginning_to_its_end(kafka: LocalKafka, topic: str) -> None:
    outsider = Outsider.of(kafka)
    for number in range(2):
        outsider.produce(topic, [b"%d%d" % (number, index) for index in range(5)], number)
    outsider.delete_before(topic, 3, 0)
    assert await values(kafka, topic) == [b"03", b"04", b"10", b"11", b"12", b"13", b"14"]


async def test_markers_at_the_end_do_not_keep_it_waiting(kafka: LocalKafka, topic: str) -> None:
    outsider = Outsider.of(kafka)
    outsider.produce(topic, [b"1"], transactional_id=topic)
    outsider.open_transaction(topic, [b"2"], topic, 1).abort_transaction(DEADLINE_S)
    await until(lambda: (outsider.end(topic), outsider.end(topic, 1)) == (2, 2))
    assert await values(kafka, topic) == [b"1", b"2"], "events count from their acknowledgement on"


async def test_header_names_that_are_not_utf_8_stop_nothing(kafka: LocalKafka, topic: str) -> None:
    for number in range(3):
        await send_misnamed(kafka.bootstrap_servers, topic, [(b"%d" % number, "caf\xe9"), (b"x", "fine")], number)
    assert await values(kafka, topic) == [b"0", b"1", b"2", b"x", b"x", b"x"]


async def test_a_topic_that_is_not_there_cannot_be_read(
    kafka: LocalKafka, fresh_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENCE_LIMIT_S", 0.5)
    with pytest.raises(KafkaUnreachableError):
        await values(kafka, fresh_name)
