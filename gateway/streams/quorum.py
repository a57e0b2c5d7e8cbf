"""What the answers of one barrier round add up to. Pure: no clock, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.streams.wire import PartitionLeadership, TopicMetadata


class NotFreshError(Exception):
    """Freshness cannot be vouched for now; nothing may be decided. The caller may ask again."""


class RoundEnd(StrEnum):
    """How a round ended, for counting; `Barrier.holding` has the words."""

    PASSED = "passed"
    NO_ANSWER = "no_answer"
    ERROR = "error"
    NOT_CONFIRMED = "not_confirmed"
    BEHIND = "behind"


@dataclass(frozen=True, slots=True)
class Known:
    """What rounds rely on: the leaders as last learnt, and how many other replicas must name each of them."""

    leaders: Mapping[int, PartitionLeadership]
    confirmations: int


class Round:
    """Collects end offsets and confirmations; complete when every partition has its end and enough of them."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._confirmed = dict.fromkeys(known.leaders, 0)
        self._identified = False
        self.ends: dict[int, int] = {}

    def heard(self, node: int, metadata: TopicMetadata) -> None:
        """One broker's word on who leads. Any dissent ends the round (NotFreshError): leadership is moving."""
        self._identified = True
        for partition, known in self._known.leaders.items():
            if metadata.partitions.get(partition) != known:
                raise NotFreshError(f"broker {node} knows another leader or replica set of partition {partition}")
            if node != known.leader and node in known.replicas:
                self._confirmed[partition] += 1

    def complete(self) -> bool:
        """Whether the ends may be relied on. At least one broker must have told the topic's id, whatever k is."""
        return (
            self._identified
            and self.ends.keys() == self._known.leaders.keys()
            and all(count >= self._known.confirmations for count in self._confirmed.values())
        )

    def missing(self) -> str:
        """What is not there, in words."""
        if unanswered := sorted(self._known.leaders.keys() - self.ends.keys()):
            return f"no end offset for partitions {unanswered}"
        return "too few replicas confirm the leaders"
