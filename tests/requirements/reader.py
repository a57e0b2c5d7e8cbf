"""What comes out of the service, read with an independent client (librdkafka) in `read_committed`."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, KafkaError, Message, TopicPartition

from tests.faults.reading import reader
from tests.requirements.process import Found, until

OUTPUTS = {
    "Call": "outbound.call",
    "Email": "outbound.email",
    "SMS": "outbound.sms",
    "WhatsApp": "outbound.whatsapp",
    "GMB": "outbound.gmb",
    "FB": "outbound.fb",
}
"""By channel, where forwarded requests go."""

DECISIONS, DEAD, EVENTS, CHANGES = "outbound.decisions", "outbound.dead", "dnd.events", "dnd.changes"
POLL_S = 0.02
CHUNK = 1_000
ANSWER_S = 10.0


@dataclass(frozen=True, slots=True)
class Record:
    key: bytes | None
    value: bytes
    headers: dict[str, bytes]

    @property
    def json(self) -> Any:
        return json.loads(self.value)


class Reader:
    """Follows every topic that others read, from its beginning."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._client = reader(bootstrap, "read_committed")
        self._prefix = prefix
        self._through: dict[tuple[str, int], int] = defaultdict(int)
        self._records: dict[str, list[Record]] = {
            name: [] for name in (DECISIONS, DEAD, EVENTS, CHANGES, *OUTPUTS.values())
        }
        self._decisions: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._outputs: dict[str, list[tuple[str, Record]]] = defaultdict(list)
        known = self._client.list_topics(timeout=ANSWER_S).topics
        self._partitions = [(name, number) for name in self._records for number in known[prefix + name].partitions]
        self._client.assign(
            [TopicPartition(prefix + name, number, OFFSET_BEGINNING) for name, number in self._partitions]
        )

    def close(self) -> None:
        self._client.close()

    def decision(self, request_id: str) -> dict[str, Any]:
        """The only decision on the request, once it is there."""
        (found,) = self.wait(f"a decision on {request_id}", lambda: self._decisions.get(request_id))
        return found

    def forwarded(self, decision_id: str) -> tuple[str, Record]:
        """The channel's topic and the only record in it that this decision forwarded, once it is there."""
        (found,) = self.wait(f"what {decision_id} forwards", lambda: self._outputs.get(decision_id))
        return found

    def dead(self, decision_id: str) -> Record:
        """The dead letter of the decision, once it is there."""
        return self.wait(f"the dead letter of {decision_id}", lambda: self._dead(decision_id))

    def first(self, name: str, fits: Callable[[Any], bool]) -> Any:
        """The first JSON value of the topic that fits, once it is there."""
        return self.wait(f"a record in {name}", lambda: next((each for each in self._values(name) if fits(each)), None))

    def all(self, name: str, fits: Callable[[Any], bool]) -> list[Any]:
        """Every JSON value that fits, of all that is in the topic now."""
        self._catch_up(name)
        return [each for each in self._values(name) if fits(each)]

    def wait(self, what: str, look: Callable[[], Found | None]) -> Found:
        def polled() -> Found | None:
            self._poll()
            return look()

        found = look()
        return until(what, polled) if found is None else found

    def balance(self) -> None:
        """Each request has one decision; what was decided to go out went out, once, and nothing else did (R2)."""
        for name in self._records:
            self._catch_up(name)
        assert all(len(found) == 1 for found in self._decisions.values())
        forwarded = {
            each["decision_id"]: OUTPUTS[each["channel"]]
            for (each,) in self._decisions.values()
            if each["outcome"] == "forwarded"
        }
        assert {decision_id: name for decision_id, ((name, _),) in self._outputs.items()} == forwarded

    def _values(self, name: str) -> Iterator[Any]:
        return (record.json for record in self._records[name])

    def _dead(self, decision_id: str) -> Record | None:
        wanted = decision_id.encode()
        return next((each for each in self._records[DEAD] if each.headers.get("sg-decision-id") == wanted), None)

    def _catch_up(self, name: str) -> None:
        ends = {
            place: self._client.get_watermark_offsets(TopicPartition(self._prefix + name, place[1]), ANSWER_S)[1]
            for place in self._partitions
            if place[0] == name
        }
        self.wait(
            f"{name} to its end",
            lambda: all(self._through[place] >= end for place, end in ends.items()) or None,
        )

    def _poll(self) -> None:
        for message in self._client.consume(CHUNK, POLL_S):
            name, offset = (message.topic() or "").removeprefix(self._prefix), message.offset() or 0
            place = name, message.partition() or 0
            if (error := message.error()) is None:
                self._through[place] = max(self._through[place], offset + 1)
                self._take(name, _record(message))
            else:
                assert error.code() == KafkaError._PARTITION_EOF, error
                self._through[place] = max(self._through[place], offset)

    def _take(self, name: str, record: Record) -> None:
        self._records[name].append(record)
        if name == DECISIONS and (request_id := record.json["request_id"]) is not None:
            self._decisions[request_id].append(record.json)
        if name in OUTPUTS.values():
            self._outputs[record.headers["sg-decision-id"].decode()].append((name, record))


def _record(message: Message) -> Record:
    headers: Any = message.headers() or []  # pairs, in a message that was read
    return Record(
        _bytes(message.key()), _bytes(message.value()) or b"", {name: value or b"" for name, value in headers}
    )


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
