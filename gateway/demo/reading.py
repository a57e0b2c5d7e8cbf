"""Reading back what the topics hold, for the audit."""

from __future__ import annotations

from collections import defaultdict

from gateway.contract.topics import Topics
from gateway.demo.audit import History
from gateway.demo.calls import CallLog
from gateway.dnd.model import Channel
from gateway.streams.clients import Clients
from gateway.streams.tap import Tapped, tap


async def read_history(clients: Clients, topics: Topics, calls: CallLog) -> History:
    """Everything committed so far. KafkaUnreachableError.

    Consequences are read before what they rest on: a call made meanwhile would have no record, and a decision an event
    it knows of missing, in what is read.
    """
    called = calls.read()
    records: dict[str, list[Tapped]] = defaultdict(list)
    for watched in ((topics.decisions, *topics.outputs, topics.dead), (topics.requests, topics.dnd_events)):
        async with tap(clients, watched) as tapped:
            async for batch in tapped.read_to_end():
                for record in batch:
                    records[record.topic].append(record)
    return History(
        requests=records[topics.requests],
        decisions=records[topics.decisions],
        outputs={channel: records[topics.output(channel)] for channel in Channel},
        dead=records[topics.dead],
        events=records[topics.dnd_events],
        calls=called,
    )
