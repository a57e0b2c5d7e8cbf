"""The topics of the contract, as data."""

import pytest

from gateway.contract.topics import Count, Keep, Policy, Timestamps, Topics
from gateway.dnd.model import Channel

TOPICS = Topics()

EVERY_NAME = {
    *("outbound.call", "outbound.email", "outbound.sms", "outbound.whatsapp", "outbound.gmb", "outbound.fb"),
    *("outbound.requests", "outbound.decisions", "outbound.dead", "outbound.receipts"),
    *("dnd.events", "dnd.state", "dnd.changes", "dnd.changes.state", "dnd.commands"),
    *("contacts", "integrations"),
}


def test_the_topics_are_those_of_the_contract_each_once() -> None:
    assert set(TOPICS.names) == EVERY_NAME
    assert len(TOPICS.names) == len(EVERY_NAME)


def test_every_channel_has_its_output_topic() -> None:
    assert [TOPICS.output(channel) for channel in Channel] == list(TOPICS.outputs)
    assert TOPICS.output(Channel.WHATSAPP) == "outbound.whatsapp"


def test_a_prefix_is_put_before_every_name() -> None:
    prefixed = Topics("eu.")
    assert list(prefixed.names) == [f"eu.{name}" for name in TOPICS.names]
    assert prefixed.output(Channel.SMS) == "eu.outbound.sms"
    assert prefixed.spec(prefixed.dnd_events).keep is Keep.FOREVER


def test_the_log_of_holds_is_kept_for_ever_dated_by_the_broker_and_flushed() -> None:
    truth = [spec for spec in TOPICS.specs if spec.keep is Keep.FOREVER]
    assert [spec.name for spec in truth] == ["dnd.events"]
    (events,) = truth
    assert events.policy is Policy.DELETE
    assert events.timestamps is Timestamps.BROKER
    assert events.flush_every_record
    assert events.count is Count.EVENTS


def test_what_is_written_for_a_request_has_the_partitions_and_the_room_of_what_it_reads() -> None:
    requests = TOPICS.spec(TOPICS.requests)
    for name in (*TOPICS.outputs, TOPICS.decisions, TOPICS.dead, TOPICS.receipts):
        assert TOPICS.spec(name).count is Count.OUTPUTS
        assert TOPICS.spec(name).max_message_bytes > requests.max_message_bytes


def test_exactly_the_topics_guard_and_dispatch_rest_on_carry_a_guarantee() -> None:
    carrying = {spec.name for spec in TOPICS.specs if spec.carries_guarantee}
    ours = {TOPICS.requests, *TOPICS.outputs, TOPICS.decisions, TOPICS.dead, TOPICS.dnd_events, TOPICS.receipts}
    assert carrying == ours


def test_a_topic_that_is_not_ours_has_no_row() -> None:
    with pytest.raises(KeyError):
        TOPICS.spec("outbound.instagram")
