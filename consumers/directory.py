"""The role `directory`: who has which address, and every hold of an address on each contact that has it (R21, R5).

Theory of operation. One task takes in two topics in one order. It never learns of a contact before it has seen to every
event that was acknowledged until then:

1. Read what there is of `contacts` and `dnd.events`.
2. Pass a barrier: the view has everything that is acknowledged.
3. Take in the events up to there: work out what follows, commit that together with the position, publish it.
4. Take in the snapshots: the same.

To commit is one transaction of the database: what was learnt, the events that follow, as the bytes they will have in
Kafka, and the position. To publish is to write those to `dnd.events` and, when they are acknowledged, to forget them.
Killed between the two, it publishes them when it starts again, first of all; killed behind the publishing, once more,
which changes nothing, for they have the times and ids they had.

One process at a time does it for a database, by a lock of the database; the others wait to take over. It is far from
the guard: until a hold has come to a contact, the address that was held blocks by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TypeVar

from consumers.sole_work import FIRST_PAUSE_S, LONGEST_PAUSE_S, SoleWork
from gateway.clock import now_ms
from gateway.contract.contacts import Snapshot, Unreadable, read_contact
from gateway.contract.events import decode_event, event_key
from gateway.database import Positions
from gateway.directory.consequences import Learnt, Logged, of_events, of_snapshots
from gateway.directory.directory import Directory
from gateway.directory.writer import DirectoryWriter, Left
from gateway.dnd.model import Subject
from gateway.dnd.record import Record
from gateway.fresh import FreshState
from gateway.metrics import CONTACTS, CONTACTS_UNKNOWN, CONTACTS_UNREADABLE, MIRRORED
from gateway.roles import Services
from gateway.signals.publish import DRAIN_DEADLINE_S, NotAcknowledgedError, Publisher, RefusedError
from gateway.streams.log_reader import LogReader, Stretch, log_reader, read_ahead
from gateway.streams.writing import Unwritten

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

BATCH_RECORDS = 500
"""Taken in by one transaction: the event loop is blocked for some 10 ms."""

BATCH_EVENTS = 500
"""Published at a time."""

NAMED_LIMIT = 5
"""Of what is wrong with one snapshot, in the log."""


def build(services: Services) -> DirectoryRole:
    return DirectoryRole(services)


class DirectoryRole:
    """Keeps the directory, or waits for its turn."""

    def __init__(self, services: Services) -> None:
        """SettingsError: the database's URL is none."""
        self._services = services
        self._fresh = services.fresh_state()
        self._directory = Directory.of(services.settings)
        self._publisher = Publisher(services.clients, services.topics.dnd_events, DRAIN_DEADLINE_S)
        self._sole = SoleWork("contacts are not taken in")

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. It can be ended anywhere: what was not committed is done again."""
        try:
            if not await self._fresh.loaded(stop):
                return
            async with asyncio.TaskGroup() as group:
                working = [
                    group.create_task(self._publisher.run(), name="directory's publisher"),
                    group.create_task(self._sole.keep(self._work), name="directory"),
                ]
                await stop.wait()
                for task in working:
                    task.cancel()
        finally:
            await self._directory.close()

    def problems(self) -> list[str]:
        return self._fresh.problems() + self._sole.problems

    async def _work(self) -> None:
        topics = self._services.topics
        async with self._directory.writer() as writer, AsyncExitStack() as stack:
            self._sole.begun("loading: contacts are taken in")
            readers: list[LogReader] = []
            for topic, committed in ((topics.dnd_events, False), (topics.contacts, True)):
                known = await writer.positions(topic)
                reader = log_reader(self._services.clients, topic, known.topic_id, known.offsets, committed=committed)
                readers.append(await stack.enter_async_context(reader))
            taking_in = TakingIn(self._services, self._fresh, self._directory, writer, self._publisher)
            await taking_in.publish_left()
            await self._serve(taking_in, *readers)

    async def _serve(self, taking_in: TakingIn, events: LogReader, contacts: LogReader) -> None:
        loaded_at = await contacts.ends()
        async with (
            read_ahead(events, BATCH_RECORDS) as next_events,
            read_ahead(contacts, BATCH_RECORDS) as next_contacts,
        ):
            while True:
                if self._sole.problem is not None and _reached(contacts.positions, loaded_at):
                    self._sole.problem = None
                await asyncio.wait([next_events.task(), next_contacts.task()], return_when=asyncio.FIRST_COMPLETED)
                news = await next_events.taken() if next_events.task().done() else None  # 1
                snapshots = await next_contacts.taken() if next_contacts.task().done() else None
                if not (news and news.entries) and not (snapshots and snapshots.entries):
                    continue
                ends = await taking_in.behind_barrier()  # 2
                if news is not None:
                    await taking_in.events(events, news)  # 3
                while not _reached(events.positions, ends):
                    await taking_in.events(events, await next_events.taken())
                if snapshots is not None:
                    await taking_in.snapshots(contacts, snapshots)  # 4


class TakingIn:
    """The steps, on one writer."""

    def __init__(
        self,
        services: Services,
        fresh: FreshState,
        directory: Directory,
        writer: DirectoryWriter,
        publisher: Publisher,
    ) -> None:
        self._topics = services.topics
        self._accounts = services.accounts
        self._metrics = services.metrics
        self._fresh = fresh
        self._records = ViewRecords(fresh)
        self._directory = directory
        self._writer = writer
        self._publisher = publisher

    async def behind_barrier(self) -> Mapping[int, int]:
        """Step 2: returns, once it has passed, up to where the view is."""
        await self._fresh.vouched()
        return dict(enumerate(self._fresh.view.positions()))

    async def events(self, reader: LogReader, stretch: Stretch) -> None:
        """Step 3."""
        if not stretch.entries:
            return
        await self.behind_barrier()  # these may be younger than those the caller's was for
        found: list[Logged] = []
        for entry in stretch.entries:
            with contextlib.suppress(Unreadable):  # counted by the view
                found.append(Logged(decode_event(entry.value, entry.timestamp), entry.timestamp))
        learnt = Learnt()
        if found:
            now = await self._now([logged.event.subject for logged in found])
            async with self._directory.lookups() as lookups:
                learnt = await of_events(found, lookups, self._records, now)
        await self._commit(learnt, Positions(self._topics.dnd_events, reader.topic_id, stretch.positions))

    async def snapshots(self, reader: LogReader, stretch: Stretch) -> None:
        """Step 4."""
        await self.behind_barrier()  # step 3 may have published
        found: list[Snapshot] = []
        for entry in stretch.entries:
            where = f"{self._topics.contacts}-{entry.partition} offset {entry.offset}"
            try:
                snapshot, unknown = read_contact(entry.key, entry.value, entry.timestamp, self._accounts.default_region)
            except Unreadable as error:
                log.warning("%s is no contact: %s", where, error)
                self._metrics.count(CONTACTS_UNREADABLE)
                continue
            if unknown:
                log.info("%s: left out: %s", where, "; ".join(unknown[:NAMED_LIMIT]))
                self._metrics.count(CONTACTS_UNKNOWN, len(unknown))
            found.append(snapshot)
        learnt = Learnt()
        if found:
            now = await self._now([snapshot.subject for snapshot in found])
            async with self._directory.lookups() as lookups:
                learnt = await of_snapshots(found, lookups, self._records, now)
        await self._commit(learnt, Positions(self._topics.contacts, reader.topic_id, stretch.positions))
        self._metrics.count(CONTACTS, len(found))

    async def publish_left(self) -> None:
        """Everything that is committed and not known to be in Kafka, in order."""
        while left := await self._writer.left(BATCH_EVENTS):
            try:
                await self._publish(left)
            except RefusedError:
                for each in left:
                    await self._publish_or_set_aside(each)
            await self._writer.acknowledged(left)
            self._metrics.count(MIRRORED, len(left))

    async def _now(self, subjects: Sequence[Subject]) -> int:
        """By the brokers' clock (ms), not earlier than it is: what a merge brings is younger than a lift that was asked
        for before. The clock may have to be asked for, with a record of one of these."""
        return await _patiently(lambda: self._publisher.now(subjects))

    async def _commit(self, learnt: Learnt, positions: Positions) -> None:
        await self._writer.apply(learnt, positions, now_ms())
        if learnt.events:
            await self.publish_left()

    async def _publish(self, left: Sequence[Left]) -> None:
        """Returns when Kafka has acknowledged all."""
        records = [Unwritten(each.key, each.value) for each in left]
        await _patiently(lambda: self._publisher.write(records))

    async def _publish_or_set_aside(self, event: Left) -> None:
        try:
            await self._publish([event])
        except RefusedError as error:
            log.error("event %d of directory_work is set aside, a contact is not held: %s", event.id, error)  # noqa: TRY400 - no trace
            await self._writer.refused(event, str(error))


class ViewRecords:
    """The view, as the rules ask for it."""

    def __init__(self, fresh: FreshState) -> None:
        self._fresh = fresh

    def get(self, subject: Subject) -> Record:
        return self._fresh.view.get(subject)

    def held(self, subjects: Sequence[Subject]) -> list[Subject]:
        found = self._fresh.view.lookup([event_key(subject) for subject in subjects])
        return [subject for subject, record in zip(subjects, found, strict=True) if record is not None]


async def _patiently(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Until Kafka answers."""
    pause = FIRST_PAUSE_S
    while True:
        try:
            return await ask()
        except NotAcknowledgedError:
            await asyncio.sleep(pause)  # the publisher says why
            pause = min(pause * 2, LONGEST_PAUSE_S)


def _reached(positions: Mapping[int, int], ends: Mapping[int, int]) -> bool:
    return all(positions.get(partition, end) >= end for partition, end in ends.items())
