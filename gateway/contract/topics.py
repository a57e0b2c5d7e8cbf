"""The topics, as data: names, partition counts, and every topic setting a guarantee rests on.

Broker time (`LogAppendTime`) is demanded wherever retention or the fold counts on it: a sender's clock must not be able
to age a request out of the log before it is decided, nor a decision before its request.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.dnd.model import Channel

EVENT_LIMIT_BYTES = 1024 * 1024
"""Largest event: its evidence is bounded to some KiB by whoever writes it; the limit brokers have by default."""

REQUEST_LIMIT_BYTES = 4 * 1024 * 1024
"""Largest record (compressed batch) taken in: four times a request's limit, so that one too big is refused by us."""

OUTPUT_LIMIT_BYTES = 5 * 1024 * 1024
"""Largest record of what we write: a request of the largest size still fits with our headers."""

FOREVER = -1
"""`retention.ms` and `retention.bytes` of what is never deleted."""


class Count(StrEnum):
    """Which setting says how many partitions a topic has."""

    REQUESTS = "request_partitions"
    OUTPUTS = "output_partitions"
    EVENTS = "event_partitions"
    OTHERS = "other_partitions"


class Policy(StrEnum):
    """`cleanup.policy`."""

    DELETE = "delete"
    COMPACT = "compact"


class Timestamps(StrEnum):
    """`message.timestamp.type`: who dates a record."""

    SENDER = "CreateTime"
    BROKER = "LogAppendTime"


class Keep(StrEnum):
    """How long records of a topic that is not compacted stay."""

    FOREVER = "forever"
    AS_REQUESTS = "request_retention_hours"


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One row. `carries_guarantee`: the guard or dispatch rests on it, so a difference there may refuse the start."""

    name: str
    key: str
    what: str
    count: Count
    policy: Policy
    timestamps: Timestamps
    max_message_bytes: int
    keep: Keep = Keep.AS_REQUESTS
    flush_every_record: bool = False
    carries_guarantee: bool = False


class Topics:
    """All topics of the contract, their names behind `prefix` (so that several gateways can share a cluster)."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.requests = f"{prefix}outbound.requests"
        self.decisions = f"{prefix}outbound.decisions"
        self.dead = f"{prefix}outbound.dead"
        self.receipts = f"{prefix}outbound.receipts"
        self.dnd_events = f"{prefix}dnd.events"
        self.dnd_state = f"{prefix}dnd.state"
        self.dnd_changes = f"{prefix}dnd.changes"
        self.dnd_changes_state = f"{prefix}dnd.changes.state"
        self.dnd_commands = f"{prefix}dnd.commands"
        self.contacts = f"{prefix}contacts"
        self.integrations = f"{prefix}integrations"
        self._outputs = {channel: f"{prefix}outbound.{channel.lower()}" for channel in Channel}
        self.specs: tuple[TopicSpec, ...] = (
            *self._requests_and_outputs(),
            *self._truth(),
            *self._surroundings(),
        )

    def output(self, channel: Channel) -> str:
        """Where forwarded requests of the channel go."""
        return self._outputs[channel]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The topics of all channels."""
        return tuple(self._outputs.values())

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(spec.name for spec in self.specs)

    def spec(self, name: str) -> TopicSpec:
        """The row of a topic by its full name; KeyError when the contract does not know it."""
        for spec in self.specs:
            if spec.name == name:
                return spec
        raise KeyError(name)

    def _requests_and_outputs(self) -> list[TopicSpec]:
        def ours(name: str, what: str) -> TopicSpec:
            return TopicSpec(
                name,
                "key of the request",
                what,
                Count.OUTPUTS,
                Policy.DELETE,
                Timestamps.BROKER,
                OUTPUT_LIMIT_BYTES,
                carries_guarantee=True,
            )

        return [
            TopicSpec(
                self.requests,
                "contact id (any key or none is accepted)",
                "senders' requests",
                Count.REQUESTS,
                Policy.DELETE,
                Timestamps.BROKER,
                REQUEST_LIMIT_BYTES,
                carries_guarantee=True,
            ),
            *(ours(name, f"forwarded {channel} requests") for channel, name in self._outputs.items()),
            ours(self.decisions, "one decision for every request"),
            ours(self.dead, "unreadable requests with the reason in headers"),
        ]

    def _truth(self) -> list[TopicSpec]:
        return [
            TopicSpec(
                self.dnd_events,
                "subject",
                "every place and lift, kept for ever",
                Count.EVENTS,
                Policy.DELETE,
                Timestamps.BROKER,
                EVENT_LIMIT_BYTES,
                keep=Keep.FOREVER,
                flush_every_record=True,
                carries_guarantee=True,
            ),
            TopicSpec(
                self.dnd_state,
                "subject",
                "the folded record of each subject, for other stream consumers",
                Count.EVENTS,
                Policy.COMPACT,
                Timestamps.SENDER,
                OUTPUT_LIMIT_BYTES,
            ),
        ]

    def _surroundings(self) -> list[TopicSpec]:
        def row(name: str, key: str, what: str, policy: Policy, count: Count = Count.OTHERS) -> TopicSpec:
            return TopicSpec(name, key, what, count, policy, Timestamps.SENDER, EVENT_LIMIT_BYTES)

        delete, compact = Policy.DELETE, Policy.COMPACT
        return [
            # As many partitions as the events have: a change keeps the partition number of the event that caused it.
            row(self.dnd_changes, "contact id", "a contact's DND changed", delete, Count.EVENTS),
            row(
                self.dnd_changes_state,
                "[location_id, contact_id]",
                "the last status published per contact",
                compact,
                Count.EVENTS,
            ),
            row(self.dnd_commands, "contact id", "workflow actions that set a contact's DND", delete),
            row(self.contacts, "[location_id, contact_id]", "CRM snapshots of contacts", compact),
            row(self.integrations, "[location_id, channel]", "channels connected and disconnected", compact),
            TopicSpec(
                self.receipts,
                "key of the request",
                "what became of every forwarded request",
                Count.OUTPUTS,
                delete,
                Timestamps.BROKER,
                OUTPUT_LIMIT_BYTES,
                carries_guarantee=True,
            ),
        ]
