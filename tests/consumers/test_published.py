"""The local copy of what was published, and how it is brought up to date."""

from __future__ import annotations

from pathlib import Path

import pytest

from consumers.published import Published
from gateway.contract.changes import PublishedState, encode_state, state_key
from gateway.dnd.model import Cause, Scope, Subject, SubjectKind
from gateway.dnd.status import Status
from gateway.dnd.visible import Visible
from gateway.localkafka import LocalKafka
from gateway.streams.catching_up import Place, catch_up
from gateway.streams.settled import wait_settled
from tests.kafka.outside import Given, Outsider, clients_for

CONTACTS = [Subject("loc1", SubjectKind.CONTACT, f"c{number}") for number in range(4)]
KEYS = [state_key(contact) for contact in CONTACTS]


def value(number: int, next_offset: int) -> bytes:
    state = PublishedState(visible=Visible({Scope.SMS: frozenset({Cause.MANUAL})}), next_offset=next_offset)
    return encode_state(CONTACTS[number], state, Status.PARTIAL)


@pytest.fixture
def published(tmp_path: Path) -> Published:
    return Published(tmp_path / "changes")


def offsets(published: Published, partition: int = 0) -> list[int]:
    return [published.get(partition, key).next_offset for key in KEYS]


def test_what_was_put_is_there_after_a_restart_and_only_in_its_partition(published: Published, tmp_path: Path) -> None:
    published.put(0, {KEYS[0]: value(0, 7)})
    published.close()
    again = Published(tmp_path / "changes")
    assert (offsets(again, 0), offsets(again, 1)) == ([7, 0, 0, 0], [0, 0, 0, 0])
    again.close()


def test_a_damaged_copy_is_made_anew(published: Published, tmp_path: Path) -> None:
    published.close()
    (tmp_path / "changes" / "CURRENT").write_bytes(b"nonsense\n")
    again = Published(tmp_path / "changes")
    assert offsets(again) == [0, 0, 0, 0]
    again.close()


async def test_the_newest_state_of_each_contact_counts_and_later_only_the_rest_is_read(
    kafka: LocalKafka, published: Published, fresh_name: str
) -> None:
    outsider, clients = Outsider.of(kafka), clients_for(kafka)
    outsider.create(fresh_name, 2)
    outsider.produce(
        fresh_name, [Given(value(0, 1), KEYS[0]), Given(value(1, 2), KEYS[1]), Given(value(0, 3), KEYS[0])]
    )
    outsider.produce(fresh_name, [Given(b"somebody else's", KEYS[2]), Given(None, KEYS[1]), Given(b"x", None)])
    outsider.produce(fresh_name, [Given(value(3, 9), KEYS[3])], 1)
    await catch_up(clients, fresh_name, 0, published.copy(0))
    assert offsets(published) == [3, 2, 0, 0]
    place = published.copy(0).place
    assert place is not None
    assert place.next_offset == 6
    outsider.produce(fresh_name, [Given(value(2, 5), KEYS[2])], transactional_id=fresh_name)
    await wait_settled(clients, [fresh_name], 0)
    await catch_up(clients, fresh_name, 0, published.copy(0))
    assert offsets(published) == [3, 2, 5, 0]
    published.close()


async def test_a_topic_that_was_recreated_or_cut_is_copied_anew(
    kafka: LocalKafka, published: Published, fresh_name: str
) -> None:
    outsider, clients = Outsider.of(kafka), clients_for(kafka)
    outsider.create(fresh_name)
    outsider.produce(fresh_name, [Given(value(1, 2), KEYS[1])])
    for stale in (Place("another", 1), Place("another", 0)):
        published.copy(0).take([], stale)
        published.put(0, {KEYS[0]: value(0, 7)})
        published.put(1, {KEYS[0]: value(0, 7)})
        await catch_up(clients, fresh_name, 0, published.copy(0))
        assert offsets(published) == [0, 2, 0, 0]
        assert offsets(published, 1) == [7, 0, 0, 0], "another partition's is left alone"
    published.close()
