"""What the directory and the providers add to the door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from gateway.dnd.model import Event, Subject, SubjectKind
from gateway.dnd.record import Mark
from gateway.localkafka import LocalKafka
from gateway.providers.signals import OptIn
from gateway.signals.door import Accepted
from gateway.signals.publish import now_ms
from gateway.signals.spool import Spool
from tests.signals.people import PHONE, code_30004, start, stop
from tests.signals.scene import Knows, Log, door_to, publisher_on


class OneContact:
    """A directory in which one contact has every address."""

    async def follow(self, event: Event) -> Sequence[Event]:
        contact = Subject(event.subject.location_id, SubjectKind.CONTACT, "c1")
        return [replace(event, subject=contact, event_id=f"{event.event_id}:c1")]


async def test_events_on_contacts_go_with_that_of_the_address(kafka: LocalKafka, fresh_name: str, spool: Spool) -> None:
    """The hook of the directory, at the door and from the spool."""
    log = Log.on(kafka, fresh_name)
    contact = Subject("loc1", SubjectKind.CONTACT, "c1")
    async with publisher_on(kafka, log.topic) as publisher:
        door = door_to(publisher, spool, contacts=OneContact())
        assert await door.accept([stop("SM1")], now_ms()) == Accepted(2)
    assert log.ids() == {PHONE: ["SM1"], contact: ["SM1:c1"]}


class Says:
    """A provider that knows which was sent last, or does not."""

    def __init__(self, answer: bool | None, window_ms: int = 10_000) -> None:
        self.answer, self._window_ms, self.asked = answer, window_ms, 0

    def window_ms(self, location_id: str) -> int:
        return self._window_ms

    async def sent_after(self, start: OptIn, stop: Mark) -> bool | None:
        self.asked += 1
        return self.answer


@pytest.mark.parametrize(
    ("provider", "stays"), [(Says(True), False), (Says(False), True), (Says(None), True), (Says(None, 0), False)]
)
async def test_a_start_close_behind_a_stop_counts_if_the_provider_says_that_it_was_sent_later(
    kafka: LocalKafka, fresh_name: str, spool: Spool, provider: Says, stays: bool
) -> None:
    """R13, R18: unknown or equal = stays held."""
    log = Log.on(kafka, fresh_name)
    now = now_ms()
    async with publisher_on(kafka, log.topic) as publisher:
        await door_to(publisher, spool).accept([stop("SM1"), code_30004("c", now - 9)], now)
        door = door_to(publisher, spool, Knows(log.record(PHONE)), start_check=provider)
        assert await door.accept([start("SM2")], now + 3_000) == Accepted(1)
    assert log.holds(PHONE) == stays
    assert len(dict(log.record(PHONE).holds())) == stays
