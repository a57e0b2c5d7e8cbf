"""Reading back what the topics hold, for the audit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from gateway.contract.topics import Topics
from gateway.demo.audit.held import Sighting
from gateway.demo.audit.history import History
from gateway.demo.providers.request_log import RequestLog
from gateway.dnd.model import Channel
from gateway.streams.clients import Clients
from gateway.streams.tap import Tapped, tap


async def read_history(clients: Clients, topics: Topics, calls: RequestLog, seen: Sequence[Sighting]) -> History:
    """Everything committed so far. KafkaUnreachableError.

    Consequences are read before what they rest on: a call made meanwhile would have no record, and a decision an event
    it knows of missing, in what is read.
    """
    called = calls.read()
    records: dict[str, list[Tapped]] = defaultdict(list)
    consequences = (topics.receipts,), (topics.decisions, *topics.outputs, topics.dead)
    for watched in (*consequences, (topics.requests, topics.dnd_events)):
        async with tap(clients, watched) as tapped:
            async for batch in tapped.read_to_end():
                for record in batch:
                    records[record.topic].append(record)
    return History(
        requests=records[topics.requests],
        decisions=records[topics.decisions],
        outputs={channel: records[topics.output(channel)] for channel in Channel},
        dead=records[topics.dead],
        receipts=records[topics.receipts],
        events=records[topics.dnd_events],
        calls=called,
        seen=[*seen],
    )
