"""The role `directory` against a real Kafka and real databases: what reaches contacts, and through what faults."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from consumers.directory import BATCH_RECORDS
from gateway.directory.directory import Directory
from gateway.dnd.model import Cause, Scope
from gateway.localkafka import LocalKafka
from gateway.settings import Settings
from tests.consumers.crm import AT, STOPPED, Crm, contact, phone, snapshot, start, stop
from tests.kafka.outside import until_awaited
from tests.running import Outside, request, running, sample, settings_for, started, until

LEGACY = (Scope.ALL, Cause.LEGACY)


@pytest.fixture
def settings(kafka: LocalKafka, tmp_path: Path, fresh_name: str, database_values: dict[str, object]) -> Settings:
    return settings_for(kafka, tmp_path, fresh_name, **database_values)


@pytest.fixture
def with_sqlite(kafka: LocalKafka, tmp_path: Path, fresh_name: str) -> Settings:
    return settings_for(kafka, tmp_path, fresh_name)


@pytest.fixture
def with_postgres(kafka: LocalKafka, tmp_path: Path, fresh_name: str, postgres_url: str) -> Settings:
    return settings_for(kafka, tmp_path, fresh_name, database_url=postgres_url)


async def test_r21_a_stop_from_a_number_reaches_every_contact_that_has_it_and_start_frees_them(
    settings: Settings,
) -> None:
    crm = Crm(settings)
    async with running(settings, "directory"):
        await crm.contacts(snapshot("c1", 1), snapshot("c2", 2, 1), snapshot("c3", 3))
        await crm.events(stop(phone(1)))
        await crm.until_held("c1", STOPPED)
        await crm.until_held("c2", STOPPED)
        assert (await crm.record(contact("c1"))).registers[STOPPED].placed.at == AT
        await crm.events(start(phone(1)))
        await crm.until_held("c1")
        await crm.until_held("c2")
        assert await crm.held("c3") == set()


async def test_r21_the_guard_drops_what_goes_to_another_number_of_a_contact_that_opted_out(
    with_sqlite: Settings,
) -> None:
    """From the snapshot and the STOP to the decision, also when the number of the STOP was edited away before."""
    crm, outside = Crm(with_sqlite), Outside.of(with_sqlite)
    async with running(with_sqlite, "directory", "guard"):
        await crm.contacts(snapshot("c1", 1), snapshot("c2", 4))
        await crm.events(stop(phone(1)))
        await crm.contacts(snapshot("c1", 2, updated_at=AT + 1), snapshot("c2", 4, dnd=True))
        await crm.until_held("c1", STOPPED)
        await crm.until_held("c2", LEGACY)
        outside.send([request(1, to=phone(2).id), request(2, to=phone(4).id), request(3, to=phone(2).id)])
        decisions = await asyncio.to_thread(outside.decisions, 3)
    found = {each["contact_id"]: each["outcome"] for each in decisions}
    assert found == {"c1": "dropped", "c2": "dropped", "c3": "forwarded"}


async def test_r21_merged_deleted_and_imported_contacts_keep_what_is_held(settings: Settings) -> None:
    crm = Crm(settings)
    async with running(settings, "directory") as service:
        await crm.events(stop(phone(1)))
        await crm.contacts(snapshot("c1", 1), snapshot("c1", updated_at=AT + 1, merged_into="c2"), "c1")
        await crm.contacts(snapshot("c3", dndSettings={"SMS": {"status": "permanent"}, "Call": {"status": "active"}}))
        await crm.until_held("c2", STOPPED)
        await crm.until_held("c3", STOPPED, (Scope.CALL, Cause.MANUAL))
        await crm.contacts(snapshot("c1", 5, updated_at=AT + 2))
        await until(lambda: _value(service.metrics.exposition(), "contacts_taken_in_total") == 5)
        assert await crm.held("c1") == {STOPPED}


async def test_what_was_taken_in_is_not_read_again_after_a_restart_and_what_came_meanwhile_is(
    settings: Settings,
) -> None:
    crm = Crm(settings)
    async with running(settings, "directory"):
        await crm.contacts(snapshot("c1", 1))
        await crm.events(stop(phone(9)))
        await _until_known(settings, "c1")
    # So many that the STOP is far from the first to be read, while the edit is read at once.
    await crm.events(*[stop(phone(1_000 + number), f"f{number}") for number in range(3 * BATCH_RECORDS)])
    await crm.events(stop(phone(1)))
    await crm.contacts(snapshot("c1", 2, updated_at=AT + 1), snapshot("c2", 2, updated_at=AT + 1))
    async with running(settings, "directory") as service:
        await crm.until_held("c1", STOPPED)  # the STOP came before the edit
        await _until_known(settings, "c2")
        assert _value(service.metrics.exposition(), "contacts_taken_in_total") == 2
    assert len([event for event, _ in await crm.log() if event.subject == contact("c1")]) == 1


async def test_a_snapshot_nobody_can_read_is_counted_and_named_and_the_next_one_counts(
    with_sqlite: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    crm = Crm(with_sqlite)
    with caplog.at_level(logging.INFO, "consumers.directory"):
        async with running(with_sqlite, "directory") as service:
            await crm.contacts(b"{", b"[]", snapshot("c1", 1, email="nonsense"))
            await _until_known(with_sqlite, "c1")
            exposition = service.metrics.exposition()
    assert _value(exposition, "contacts_unreadable_total") == 2
    assert _value(exposition, "contacts_unknown_parts_total") == 1
    assert "offset 1 is no contact: value: expected a JSON object" in caplog.text
    assert "offset 2: left out: email: " in caplog.text
    assert "nonsense" not in caplog.text


async def test_contacts_that_were_created_again_are_read_from_their_beginning(with_sqlite: Settings) -> None:
    crm, outside = Crm(with_sqlite), Outside.of(with_sqlite)
    async with running(with_sqlite, "directory"):
        await crm.contacts(snapshot("c1", 1))
        await _until_known(with_sqlite, "c1")
    await asyncio.to_thread(outside.recreate, crm.topics.contacts)
    await crm.contacts(snapshot("c2", 1))
    async with running(with_sqlite, "directory"):
        await _until_known(with_sqlite, "c2")


async def test_of_two_processes_with_one_database_one_works_and_the_other_takes_over(
    with_postgres: Settings, kafka: LocalKafka, tmp_path: Path, fresh_name: str, postgres_url: str
) -> None:
    crm = Crm(with_postgres)
    second = settings_for(
        kafka, tmp_path / "second", fresh_name, database_url=postgres_url, instance_id="second", http_port=0
    )
    async with running(with_postgres, "directory") as one, running(second, "directory") as two:
        await crm.contacts(snapshot("c1", 1))
        await crm.events(stop(phone(1)))
        await crm.until_held("c1", STOPPED)
        works = [_value(each.metrics.exposition(), "contacts_taken_in_total") for each in (one, two)]
        assert works == [1, 0]
    async with running(with_postgres, "directory", stop=(first := asyncio.Event())), running(second, "directory"):
        first.set()
        await crm.contacts(snapshot("c2", 1))
        await crm.until_held("c2", STOPPED)


async def test_without_its_database_it_is_not_ready_and_says_why(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str, with_sqlite: Settings
) -> None:
    async with running(with_sqlite, "directory"):
        pass
    away = settings_for(kafka, tmp_path / "away", fresh_name, database_url="postgresql://u:secret@127.0.0.1:1/none")
    async with started(away, "directory") as service:
        await until(lambda: any("not taken in" in problem.reason for problem in service.problems()))
        assert "secret" not in str(service.problems())


async def _until_known(settings: Settings, id_: str) -> None:
    directory = Directory.of(settings)
    try:
        await until_awaited(lambda: directory.addresses("loc1", id_))
    finally:
        await directory.close()


def _value(exposition: bytes, name: str) -> float | None:
    return sample(exposition.decode(), f"sendguard_{name}")
