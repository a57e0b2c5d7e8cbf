"""What the answers of one barrier round add up to."""

from __future__ import annotations

import pytest

from gateway.streams.quorum import Known, NotFreshError, Round
from gateway.streams.wire import PartitionLeadership, TopicMetadata

EPOCH = 7


def led_by(leader: int, epoch: int = EPOCH, replicas: tuple[int, ...] = (1, 2, 3)) -> PartitionLeadership:
    return PartitionLeadership(leader, epoch, replicas)


def says(*partitions: PartitionLeadership) -> TopicMetadata:
    return TopicMetadata(0, "id", dict(enumerate(partitions)))


def round_of(*partitions: PartitionLeadership, confirmations: int) -> Round:
    return Round(Known(dict(enumerate(partitions)), confirmations))


@pytest.mark.parametrize("confirmations", [0, 1, 2])
def test_it_takes_the_end_and_so_many_other_replicas(confirmations: int) -> None:
    asked = round_of(led_by(1), confirmations=confirmations)
    asked.ends[0] = 10
    for heard, node in enumerate((1, 2, 3)):
        assert asked.complete() == (heard > confirmations), "the leader's own word is no confirmation"
        asked.heard(node, says(led_by(1)))
    assert asked.complete()


def test_without_confirmations_somebody_must_still_have_told_the_topics_id() -> None:
    asked = round_of(led_by(1, replicas=(1,)), confirmations=0)
    asked.ends[0] = 10
    assert not asked.complete()
    asked.heard(1, says(led_by(1, replicas=(1,))))
    assert asked.complete()


def test_confirmed_leaders_without_their_ends_are_not_enough() -> None:
    asked = round_of(led_by(1), led_by(2), confirmations=1)
    for node in (1, 2, 3):
        asked.heard(node, says(led_by(1), led_by(2)))
    asked.ends[1] = 10
    assert not asked.complete()
    assert asked.missing() == "no end offset for partitions [0]"


def test_every_partition_needs_its_own_confirmations() -> None:
    asked = round_of(led_by(1), led_by(2), confirmations=1)
    asked.ends.update({0: 10, 1: 20})
    asked.heard(1, says(led_by(1), led_by(2)))
    assert not asked.complete(), "broker 1 confirms the leader of partition 1, but not itself"
    assert asked.missing() == "too few replicas confirm the leaders"
    asked.heard(2, says(led_by(1), led_by(2)))
    assert asked.complete()


def test_a_broker_that_holds_no_replica_confirms_nothing() -> None:
    asked = round_of(led_by(1, replicas=(1, 2, 3)), confirmations=1)
    asked.ends[0] = 10
    asked.heard(4, says(led_by(1)))
    assert not asked.complete()


DISSENT = {
    "another leader": led_by(2),
    "another epoch of the same leader": led_by(1, EPOCH + 1),
    "an older epoch": led_by(1, EPOCH - 1),
    "no leader": led_by(-1),
    "another replica set": led_by(1, replicas=(1, 2, 4)),
    "a replica more": led_by(1, replicas=(1, 2, 3, 4)),
}


@pytest.mark.parametrize("heard", DISSENT.values(), ids=DISSENT)
@pytest.mark.parametrize("node", [1, 2, 4])
def test_any_dissent_ends_the_round_whoever_says_it(node: int, heard: PartitionLeadership) -> None:
    asked = round_of(led_by(3), led_by(1), confirmations=0)
    asked.ends.update({0: 10, 1: 20})
    with pytest.raises(NotFreshError, match="of partition 1"):
        asked.heard(node, says(led_by(3), heard))


def test_a_broker_that_does_not_know_a_partition_dissents() -> None:
    with pytest.raises(NotFreshError, match="of partition 1"):
        round_of(led_by(1), led_by(1), confirmations=1).heard(2, says(led_by(1)))


def test_a_partition_that_nobody_asked_for_changes_nothing() -> None:
    """The count of partitions is compared where the answer is read."""
    asked = round_of(led_by(1), confirmations=1)
    asked.ends[0] = 10
    asked.heard(2, says(led_by(1), led_by(2)))
    assert asked.complete()


def test_k_confirmations_include_one_that_knows_whoever_was_unaware() -> None:
    """The proof behind k = RF - min ISR, by counting: an event acknowledged under another leader is known to at least
    min ISR of the replicas other than the old leader, so of any k others at least one knows."""
    for factor in range(1, 8):
        for min_isr in range(1, factor + 1):
            others, confirmations = factor - 1, factor - min_isr
            unaware = max(0, others - min_isr)
            assert confirmations > unaware or others < min_isr, "else the event could not have been acknowledged"
