"""What the directory and the providers add to the door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from gateway.clock import now_ms
from gateway.dnd.model import Event, Scope, Subject, SubjectKind
from gateway.dnd.record import EMPTY, Mark
from gateway.localkafka import LocalKafka
from gateway.providers.signals import OptIn
from gateway.signals.door import Accepted, SpooledReceipt
from gateway.signals.publish import Publisher
from gateway.signals.resolve import Known, resolve
from gateway.signals.spool import Spool
from tests.kafka.outside import clients_for
from tests.signals.people import PHONE, code_30004, start, stop
from tests.signals.scene import Knows, Log, SameClock, door_to, drained, publisher_on


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


async def test_one_word_that_holds_on_several_channels_is_asked_for_once(
    kafka: LocalKafka, fresh_name: str, spool: Spool
) -> None:
    log, provider = Log.on(kafka, fresh_name), Says(None)
    scopes = (Scope.SMS, Scope.CALL)
    async with publisher_on(kafka, log.topic) as publisher:
        await door_to(publisher, spool).accept([replace(stop("SM1"), scopes=scopes)], now_ms())
        door = door_to(publisher, spool, Knows(log.record(PHONE)), start_check=provider)
        assert await door.accept([replace(start("SM2"), scopes=scopes)], now_ms()) == Accepted(1)
    assert {scope for (scope, _), _ in log.record(PHONE).holds()} == set(scopes)
    assert provider.asked == 1


async def test_a_stop_that_comes_while_the_provider_is_asked_is_not_lifted(
    kafka: LocalKafka, fresh_name: str, spool: Spool
) -> None:
    """R18: through another gateway; this START could not know of it."""
    log = Log.on(kafka, fresh_name)
    began = now_ms()
    now = [began - 3_000]

    class Slow(Says):
        async def sent_after(self, start: OptIn, stop_: Mark) -> bool | None:
            now[0] = began + 200
            await door_to(publisher, spool, Knows(EMPTY)).accept([stop("SM3")], now[0])
            now[0] = began + 500
            return await super().sent_after(start, stop_)

    async with publisher_on(kafka, log.topic, brokers=SameClock(lambda: now[0])) as publisher:
        await door_to(publisher, spool, Knows(EMPTY)).accept([stop("SM1")], now[0])
        now[0], known = began, Knows(log.record(PHONE))
        door = door_to(publisher, spool, known, start_check=Slow(True))
        assert await door.accept([start("SM2")], began) == Accepted(1)
    assert log.holds(PHONE)


@pytest.mark.parametrize(("stopped_before_ms", "stays"), [(10_001, False), (9_000, True), (0, True)])
async def test_without_a_barrier_a_start_leaves_what_it_would_have_to_ask_for(
    kafka: LocalKafka, fresh_name: str, spool: Spool, stopped_before_ms: int, stays: bool
) -> None:
    """Unknown = stays held. Nobody is asked, for nobody knows for what."""
    log, provider = Log.on(kafka, fresh_name), Says(True)
    now = now_ms()
    async with publisher_on(kafka, log.topic, brokers=SameClock(lambda: now - stopped_before_ms)) as publisher:
        await door_to(publisher, spool, Knows(EMPTY)).accept([stop("SM1")], now - stopped_before_ms)
        door = door_to(publisher, spool, start_check=provider)
        assert await door.accept([start("SM2")], now) == Accepted(1)
    assert log.holds(PHONE) == stays
    assert provider.asked == 0


@pytest.mark.parametrize(("stopped_before_ms", "stays"), [(10_001, False), (9_000, True)])
async def test_a_spooled_start_leaves_what_it_would_have_to_ask_for(
    kafka: LocalKafka, fresh_name: str, spool: Spool, stopped_before_ms: int, stays: bool
) -> None:
    log, now = Log.on(kafka, fresh_name), now_ms()
    never_started = Publisher(clients_for(kafka), log.topic, deadline_s=0.1)
    assert await door_to(never_started, spool, start_check=Says(True)).accept([start("SM2")], now) == SpooledReceipt(1)
    async with publisher_on(kafka, log.topic) as publisher:
        await publisher.publish(resolve(stop("SM1"), Known(EMPTY, fresh=True), now - stopped_before_ms, 0))
    await drained(kafka, log.topic, spool, start_check=Says(True))
    assert log.holds(PHONE) == stays
