"""The tables in SQLite and in PostgreSQL: what is asked of them, and what two processes may do to one another."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import URL, text
from sqlalchemy.exc import SQLAlchemyError

from gateway.contract.contacts import Snapshot
from gateway.contract.events import decode_event
from gateway.database import AnotherWorkerError, Positions, database_url, engine_for
from gateway.directory import tables
from gateway.directory.consequences import Learnt
from gateway.directory.directory import Directory
from gateway.directory.merging import Carried
from gateway.directory.succession import Contact
from gateway.directory.tables import UnknownSchemaError
from gateway.dnd.model import Event, Subject, SubjectKind
from gateway.settings import Secret, SettingsError
from tests.directory.model import Run
from tests.directory.steps import CONTACTS, STEPS, Step
from tests.directory.world import START_AT, STOPPED, Scene, contact, email, in_memory, phone, scene_in

NOTHING = Positions("contacts", "t", {})


@pytest.fixture
async def scene(database: URL) -> AsyncIterator[Scene]:
    async with scene_in(database) as found:
        yield found


async def test_a_contacts_addresses_are_those_it_has_now_and_the_other_way_round(scene: Scene) -> None:
    await scene.have("c2", phone(1))
    await scene.have("c1", phone(1), email("a"))
    await scene.have("c1", email("b"), phone(1))
    assert await scene.directory.addresses("loc1", "c1") == (email("b"), phone(1))
    assert await scene.directory.contacts_of(phone(1)) == ["c1", "c2"]
    assert await scene.directory.contacts_of(email("a")) == []
    await scene.snapshots(Snapshot("loc1", "c2", deleted=True))
    assert await scene.directory.addresses("loc1", "c2") == ()
    assert await scene.directory.contacts_of(phone(1)) == ["c1"]


async def test_r21_what_nobody_knows_has_nothing_and_no_location_sees_another(scene: Scene) -> None:
    await scene.have("c1", phone(1))
    assert await scene.directory.addresses("loc2", "c1") == ()
    assert await scene.directory.contacts_of(phone(1)._replace(location_id="loc2")) == []
    strange = Subject("loc\x001", SubjectKind.PHONE, "raw:\x00")
    assert await scene.directory.contacts_of(strange) == []
    assert await scene.directory.addresses("loc1", "c\x001") == ()
    async with scene.directory.lookups() as lookups:
        assert await lookups.holders([strange]) == {}


async def test_events_left_are_given_in_order_until_they_are_acknowledged_or_refused(scene: Scene) -> None:
    events: list[Event] = [scene.place(contact(f"c{number}"), STOPPED) for number in range(5)]
    await scene.writer.apply(Learnt(events=events), NOTHING, START_AT)
    left = await scene.writer.left(3)
    assert [decode_event(each.value, START_AT) for each in left] == events[:3]
    await scene.writer.refused(left[1], "too large")
    await scene.writer.acknowledged([left[0], left[2]])
    assert [decode_event(each.value, START_AT) for each in await scene.writer.left(9)] == events[3:]


async def test_progress_is_of_one_topic_and_the_next_one_of_that_name_begins_anew(scene: Scene) -> None:
    assert await scene.writer.positions("contacts") == Positions("contacts", None, {})
    await scene.writer.apply(Learnt(), Positions("contacts", "t1", {0: 5, 1: 7}), START_AT)
    await scene.writer.apply(Learnt(), Positions("dnd.events", "t2", {0: 1}), START_AT)
    await scene.writer.apply(Learnt(), Positions("contacts", "t1", {0: 6, 1: 7}), START_AT)
    assert await scene.writer.positions("contacts") == Positions("contacts", "t1", {0: 6, 1: 7})
    await scene.writer.apply(Learnt(), Positions("contacts", "t3", {0: 1}), START_AT)
    assert await scene.writer.positions("contacts") == Positions("contacts", "t3", {0: 1})


async def test_all_of_a_batch_is_there_or_nothing(scene: Scene) -> None:
    """The mechanism a crash relies on."""
    wrong = replace(Contact("loc1", "c1", frozenset({phone(1)})), updated_at=None)  # type: ignore[arg-type]
    event = scene.place(contact("c1"), STOPPED)
    with pytest.raises(SQLAlchemyError):
        await scene.writer.apply(
            Learnt([Contact("loc1", "c0", frozenset({phone(1)})), wrong], [event]),
            Positions("contacts", "t", {0: 9}),
            START_AT,
        )
    assert await scene.directory.contacts_of(phone(1)) == []
    assert await scene.writer.left(9) == []
    assert (await scene.writer.positions("contacts")).offsets == {}


async def test_more_than_one_statement_takes_is_written_and_found(scene: Scene) -> None:
    many = [Contact("loc1", f"c{number:05}", frozenset({phone(1), phone(number)})) for number in range(1_500)]
    done = [Carried(each.subject, "o") for each in many]
    await scene.writer.apply(Learnt(many, (), done), NOTHING, START_AT)
    await scene.writer.apply(Learnt(many, (), done), NOTHING, START_AT)
    async with scene.directory.lookups() as lookups:
        found = await lookups.holders([phone(1)])
        assert await lookups.carried([each.subject for each in many]) == set(done)
    assert found[phone(1)] == many
    assert await scene.directory.contacts_of(phone(7)) == ["c00007"]


async def test_one_writer_at_a_time_and_the_next_one_takes_over(database: URL) -> None:
    one, two = Directory(database), Directory(database)
    try:
        async with one.writer():
            with pytest.raises(AnotherWorkerError):
                async with two.writer():
                    pass
            assert await two.addresses("loc1", "c1") == ()  # readers go on
        async with two.writer() as writer:
            assert await writer.left(1) == []
    finally:
        await one.close()
        await two.close()


async def test_many_may_start_on_an_empty_database_at_once(database: URL) -> None:
    many = [Directory(database) for _ in range(5)]
    try:
        assert await asyncio.gather(*(each.addresses("loc1", "c1") for each in many)) == [()] * 5
    finally:
        for each in many:
            await each.close()


async def test_tables_of_another_release_are_left_alone(database: URL) -> None:
    directory = Directory(database)
    await directory.open()
    await directory.close()
    engine = engine_for(database)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE directory_schema SET version = 99"))
    await engine.dispose()
    with pytest.raises(UnknownSchemaError, match="99"):
        await directory.addresses("loc1", "c1")


async def test_readers_do_not_wait_for_the_writer(scene: Scene) -> None:
    await scene.have("c1", phone(1))
    async with scene.writer._connection.begin():
        await scene.writer._connection.execute(text("UPDATE directory_contacts SET updated_at = 1"))
        async with asyncio.timeout(5):
            assert await scene.directory.addresses("loc1", "c1") == (phone(1),)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_the_tables_know_what_the_model_in_memory_knows(database: URL, steps: list[Step]) -> None:
    """So what the random sequences prove in memory is true of the tables."""

    async def run() -> None:
        reference = Run(in_memory())
        async with scene_in(database) as scene:
            async with scene.writer._connection.begin():  # one database for all examples
                for table in (tables.work, tables.carried, tables.addresses, tables.contacts, tables.progress):
                    await scene.writer._connection.execute(table.delete())
            real = Run(scene)
            for step in steps:
                await reference.step(step)
                await real.step(step)
            wanted = [contact(id_) for id_ in CONTACTS]
            async with scene.directory.lookups() as lookups, reference.world.lookups() as memory:
                assert await lookups.contacts(wanted) == await memory.contacts(wanted)
                found = await lookups.holders([phone(1), phone(2)])
                expected = await memory.holders([phone(1), phone(2)])
                assert found == {address: holders for address, holders in expected.items() if holders}
            assert {each: scene.keys(each) for each in wanted} == {each: reference.world.keys(each) for each in wanted}

    asyncio.run(run())


def test_r21_a_database_that_is_none_is_refused_without_showing_its_password(tmp_path: Path) -> None:
    for wrong in ("mysql://u:geheim@h/d", "geheim", "postgresql"):
        with pytest.raises(SettingsError) as refused:
            database_url(Secret(wrong), tmp_path)
        assert "geheim" not in str(refused.value)
    assert database_url(Secret("postgres://u:p@h/d"), tmp_path).drivername == "postgresql+asyncpg"
    assert database_url(None, tmp_path).database == str(tmp_path / "directory.sqlite")


async def test_a_database_that_is_away_is_an_error_that_callers_know(tmp_path: Path, postgres_url: str) -> None:
    for url in ("postgresql://nobody@127.0.0.1:1/none", f"{postgres_url}_gone"):
        away = Directory(database_url(Secret(url), tmp_path))
        with pytest.raises((OSError, TimeoutError, SQLAlchemyError)):
            await away.addresses("loc1", "c1")
        await away.close()


async def test_a_file_that_is_no_database_is_an_error_that_callers_know(tmp_path: Path) -> None:
    (tmp_path / "directory.sqlite").write_bytes(b"nonsense " * 1_000)
    broken = Directory(database_url(None, tmp_path))
    with pytest.raises(SQLAlchemyError):
        await broken.addresses("loc1", "c1")
    await broken.close()


async def test_a_commit_is_on_disk_when_it_returns(tmp_path: Path) -> None:
    """SQLite's write-ahead log is flushed at every commit, and a copy of the files as they are has it."""
    async with scene_in(tmp_path) as scene:
        await scene.have("c1", phone(1))
        found = await scene.writer._connection.exec_driver_sql("PRAGMA synchronous")
        assert (found.scalar(), (tmp_path / "directory.sqlite-wal").exists()) == (2, True)
    with sqlite3.connect(tmp_path / "directory.sqlite") as file:
        assert file.execute("SELECT count(*) FROM directory_addresses").fetchone() == (1,)
    file.close()
