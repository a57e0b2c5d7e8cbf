"""Reading a whole topic from positions that the reader's owner keeps, against a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from gateway.streams import log_reader as module
from gateway.streams.clients import Clients
from gateway.streams.log_reader import LogReader, log_reader
from gateway.streams.topics import KafkaUnreachableError
from tests.kafka.outside import Given, Outsider, clients_for
from tests.streams.misnaming import send_misnamed


async def values(reader: LogReader, count: int) -> list[bytes | None]:
    """The next so many, partition by partition as they come."""
    found: list[bytes | None] = []
    async with asyncio.timeout(60):
        while len(found) < count:
            found += [entry.value for entry in (await reader.read(100)).entries]
    return found


async def test_it_goes_on_where_its_owner_has_come_to(kafka: LocalKafka, fresh_name: str) -> None:
    outsider = Outsider.of(kafka)
    outsider.create(fresh_name, 2)
    outsider.produce(fresh_name, [b"a", b"b"], 0)
    outsider.produce(fresh_name, [b"c"], 1)
    async with log_reader(clients_for(kafka), fresh_name, None, {}, committed=True) as reader:
        assert sorted(await values(reader, 3)) == [b"a", b"b", b"c"]  # type: ignore[type-var]
        known, positions = reader.topic_id, reader.positions
        assert positions == {0: 2, 1: 1} == await reader.ends()
    outsider.produce(fresh_name, [b"d"], 1)
    async with log_reader(clients_for(kafka), fresh_name, known, positions, committed=True) as reader:
        assert await values(reader, 1) == [b"d"]
        assert (await reader.read(100)).positions == {0: 2, 1: 2}


async def test_what_is_not_committed_is_left_out_or_not_as_asked(kafka: LocalKafka, fresh_name: str) -> None:
    outsider = Outsider.of(kafka)
    outsider.create(fresh_name)
    outsider.produce(fresh_name, [b"committed"], transactional_id=f"{fresh_name}-1")
    open_ = outsider.open_transaction(fresh_name, [b"open"], f"{fresh_name}-2")
    async with (
        log_reader(clients_for(kafka), fresh_name, None, {}, committed=True) as careful,
        log_reader(clients_for(kafka), fresh_name, None, {}, committed=False) as eager,
    ):
        assert await values(eager, 2) == [b"committed", b"open"]
        assert await values(careful, 1) == [b"committed"]
        assert not (await careful.read(100)).entries
    open_.abort_transaction(60)


@pytest.mark.parametrize("positions", [{0: 99}, {0: 0}, {}])
async def test_positions_the_log_does_not_hold_are_its_beginning(
    kafka: LocalKafka, fresh_name: str, positions: Mapping[int, int]
) -> None:
    outsider = Outsider.of(kafka)
    outsider.create(fresh_name)
    outsider.produce(fresh_name, [b"deleted", b"kept"])
    outsider.delete_before(fresh_name, 1)
    async with log_reader(clients_for(kafka), fresh_name, None, positions, committed=True) as reader:
        assert await values(reader, 1) == [b"kept"]


async def test_a_topic_that_was_created_again_is_read_from_its_beginning(kafka: LocalKafka, fresh_name: str) -> None:
    """Its offsets fit, and mean other records."""
    outsider = Outsider.of(kafka)
    outsider.create(fresh_name)
    outsider.produce(fresh_name, [b"old"])
    async with log_reader(clients_for(kafka), fresh_name, None, {}, committed=True) as reader:
        await values(reader, 1)
        known, positions = reader.topic_id, reader.positions
    await asyncio.to_thread(outsider.delete, fresh_name)
    await asyncio.to_thread(outsider.create, fresh_name)
    outsider.produce(fresh_name, [b"new", b"newer"])
    async with log_reader(clients_for(kafka), fresh_name, known, positions, committed=True) as reader:
        assert await values(reader, 2) == [b"new", b"newer"]


async def test_a_record_with_a_misnamed_header_is_read_and_so_are_its_neighbours(
    kafka: LocalKafka, fresh_name: str
) -> None:
    outsider = Outsider.of(kafka)
    outsider.create(fresh_name)
    outsider.produce(fresh_name, [b"a"])
    await send_misnamed(kafka.bootstrap_servers, fresh_name, [(b"b", "gr\xfc\xdfe")])
    outsider.produce(fresh_name, [Given(b"c")])
    async with log_reader(clients_for(kafka), fresh_name, None, {}, committed=False) as reader:
        assert await values(reader, 3) == [b"a", b"b", b"c"]


async def test_a_reader_that_went_silent_and_partitions_that_came_are_noticed(
    kafka: LocalKafka, fresh_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENCE_LIMIT_S", 0.0)
    outsider = Outsider.of(kafka)
    outsider.create(fresh_name)
    async with log_reader(clients_for(kafka), fresh_name, None, {}, committed=True) as reader:
        assert reader._consumer._fetcher is not None
        reader._consumer._fetcher._fetch_task.cancel()
        outsider.produce(fresh_name, [b"unread"])
        with pytest.raises(KafkaUnreachableError, match="nothing read"):
            await reader.read(1)
    async with log_reader(clients_for(kafka), fresh_name, None, {}, committed=True) as reader:
        await values(reader, 1)
        await asyncio.to_thread(outsider.grow, fresh_name, 2)
        await reader._consumer._client.force_metadata_update()
        with pytest.raises(KafkaUnreachableError, match="2 partitions now"):
            await reader.read(1)


async def test_brokers_that_do_not_answer_are_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OPEN_DEADLINE_S", 0.5)
    away = Clients(Settings.of(kafka_bootstrap_servers="127.0.0.1:1").kafka)
    with pytest.raises(KafkaUnreachableError):
        async with log_reader(away, "contacts", None, {}, committed=True):
            pass
