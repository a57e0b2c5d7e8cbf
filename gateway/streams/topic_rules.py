"""The contract against the live cluster: what each topic must be set to, and what a difference would cost. No I/O.

`apply` creates topics with what the rules want, `check` compares with it, so both read the same table.
A difference is `refuse` when a hold, a request or a decision could get lost or doubled by it; the service then does not
start. Everything else is `warn`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.contract.topics import FOREVER, Count, Keep, Policy, Topics, TopicSpec
from gateway.settings import REQUEST_RETENTION_MIN_HOURS, TopicSettings

OFFSETS_TOPIC = "__consumer_offsets"
TRANSACTIONS_TOPIC = "__transaction_state"
INTERNAL_TOPICS = (OFFSETS_TOPIC, TRANSACTIONS_TOPIC)
"""Kafka's own: committed offsets and transactions live there. They exist from their first use on."""

DESCRIBE_QUORUM_API = 55
"""Only brokers in KRaft mode answer it."""

SINCE_3_7_API = 74
"""ListClientMetricsResources came with 3.7."""

SINCE_3_8_API = 75
"""DescribeTopicPartitions came with 3.8."""

HOUR_MS = 3_600_000


class Severity(StrEnum):
    REFUSE = "refuse"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it should be. `topic` names a broker where it is about the cluster."""

    topic: str
    what: str
    expected: str
    found: str
    severity: Severity

    def __str__(self) -> str:
        return f"{self.severity}: {self.topic}: {self.what}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True, slots=True)
class LiveTopic:
    """A topic as the brokers describe it. `replicas`: of the partition with the fewest. `configs`: values in force."""

    partitions: int
    replicas: int
    configs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LiveCluster:
    """Topics by name, `unreadable` with what the broker said instead, and the APIs of each broker."""

    topics: Mapping[str, LiveTopic]
    unreadable: Mapping[str, str]
    apis: Mapping[int, frozenset[int]]


@dataclass(frozen=True, slots=True)
class _Rule:
    """One topic configuration. `wanted` is None where the topic leaves it to the broker."""

    config: str
    wanted: Callable[[TopicSpec, TopicSettings], str | None]
    fits: Callable[[str, str], bool]
    refuses: Callable[[TopicSpec, str], bool]
    at_least: bool = False


def _same(found: str, wanted: str) -> bool:
    return found == wanted


def _at_least(found: str, wanted: str) -> bool:
    """For numbers of which FOREVER is the largest."""
    if int(found) == FOREVER:
        return True
    return int(wanted) != FOREVER and int(found) >= int(wanted)


def _carries_guarantee(spec: TopicSpec, _: str) -> bool:
    return spec.carries_guarantee


def _is_truth(spec: TopicSpec, _: str) -> bool:
    return spec.keep is Keep.FOREVER


def _never(_: TopicSpec, __: str) -> bool:
    return False


def _retention(spec: TopicSpec, settings: TopicSettings) -> str | None:
    if spec.policy is Policy.COMPACT:
        return None
    return str(FOREVER if spec.keep is Keep.FOREVER else settings.request_retention_ms)


def _retention_refuses(spec: TopicSpec, found: str) -> bool:
    """Truth never expires; requests not before a day of outage is over."""
    is_requests = spec.count is Count.REQUESTS
    return _is_truth(spec, found) or (is_requests and int(found) < REQUEST_RETENTION_MIN_HOURS * HOUR_MS)


RULES = (
    _Rule("cleanup.policy", lambda spec, _: spec.policy.value, _same, _carries_guarantee),
    _Rule("message.timestamp.type", lambda spec, _: spec.timestamps.value, _same, _is_truth),
    _Rule(
        "min.insync.replicas",
        lambda _, settings: str(settings.min_insync_replicas),
        _at_least,
        _carries_guarantee,
        at_least=True,
    ),
    _Rule("unclean.leader.election.enable", lambda _, __: "false", _same, _carries_guarantee),
    _Rule("retention.ms", _retention, _at_least, _retention_refuses, at_least=True),
    _Rule(
        "retention.bytes",
        lambda spec, _: None if spec.policy is Policy.COMPACT else str(FOREVER),
        _same,
        _carries_guarantee,
    ),
    _Rule("flush.messages", lambda spec, _: "1" if spec.flush_every_record else None, _same, _is_truth),
    _Rule(
        "max.message.bytes", lambda spec, _: str(spec.max_message_bytes), _at_least, _carries_guarantee, at_least=True
    ),
    _Rule("compression.type", lambda _, __: "producer", _same, _never),
)


def wanted_configs(spec: TopicSpec, settings: TopicSettings) -> dict[str, str]:
    """What the topic is created with."""
    wanted = ((rule.config, rule.wanted(spec, settings)) for rule in RULES)
    return {config: value for config, value in wanted if value is not None}


def differences(live: LiveCluster, topics: Topics, settings: TopicSettings) -> list[Difference]:
    """Everything that is not as the contract says, the cluster first, then topic by topic."""
    found = list(_cluster_differences(live))
    for spec in topics.specs:
        found += _topic_differences(spec, live, topics, settings)
    for name in INTERNAL_TOPICS:
        if (internal := live.topics.get(name)) is not None:
            found += _internal_differences(name, internal, settings)
    return found


def _severity(refuses: bool) -> Severity:
    return Severity.REFUSE if refuses else Severity.WARN


def _cluster_differences(live: LiveCluster) -> Iterator[Difference]:
    for node, apis in live.apis.items():
        broker = f"broker {node}"
        if DESCRIBE_QUORUM_API not in apis:
            # The barrier's proof that a leader is not an old one rests on KRaft.
            yield Difference(broker, "metadata mode", "KRaft", "not KRaft", Severity.REFUSE)
        if SINCE_3_7_API not in apis:
            yield Difference(broker, "version", "3.7.1 or newer", "older than 3.7", Severity.REFUSE)
        elif SINCE_3_8_API not in apis:
            # KAFKA-16386: 3.7.0 ends a transactional client with an error it does not expect.
            yield Difference(broker, "version", "3.7.1 or newer", "3.7.0 or 3.7.1, which cannot be told", Severity.WARN)


def _topic_differences(
    spec: TopicSpec, live: LiveCluster, topics: Topics, settings: TopicSettings
) -> Iterator[Difference]:
    if (error := live.unreadable.get(spec.name)) is not None:
        yield Difference(spec.name, "description", "readable", error, _severity(spec.carries_guarantee))
    if (topic := live.topics.get(spec.name)) is None:
        if error is None:
            yield Difference(spec.name, "topic", "exists", "missing", _severity(spec.carries_guarantee))
        return
    yield from _partition_differences(spec, topic, live, topics, settings)
    if topic.replicas < settings.replication_factor:
        expected, found = str(settings.replication_factor), str(topic.replicas)
        yield Difference(spec.name, "replication factor", expected, found, _severity(_is_truth(spec, found)))
    for rule in RULES:
        wanted, value = rule.wanted(spec, settings), topic.configs.get(rule.config)
        if wanted is None or value is None or rule.fits(value, wanted):
            continue
        expected = f"at least {wanted}" if rule.at_least and wanted != str(FOREVER) else wanted
        yield Difference(spec.name, rule.config, expected, value, _severity(rule.refuses(spec, value)))
    if spec.name == topics.decisions:
        yield from _outlived(topic, spec.name, live, topics.requests, Severity.REFUSE)
    if spec.name == topics.receipts:
        for name in topics.outputs:
            yield from _outlived(topic, spec.name, live, name, Severity.WARN)
            yield from _unmatched(topic, spec.name, live, name, settings.count(spec.count))


def _partition_differences(
    spec: TopicSpec, topic: LiveTopic, live: LiveCluster, topics: Topics, settings: TopicSettings
) -> Iterator[Difference]:
    wanted = settings.count(spec.count)
    requests = live.topics.get(topics.requests)
    expected, severity = str(wanted), Severity.WARN
    if spec.count is Count.EVENTS:
        severity = _severity(_is_truth(spec, expected))  # a key's holds would be looked for in another partition
        differs = topic.partitions != wanted
    elif spec.count is Count.OUTPUTS and requests is not None and topic.partitions < requests.partitions:
        expected, severity = (
            f"at least {requests.partitions}, as {topics.requests} has",
            _severity(spec.carries_guarantee),
        )
        differs = True
    else:
        differs = topic.partitions < wanted  # more is growth ahead of the setting
    if differs:
        yield Difference(spec.name, "partitions", expected, str(topic.partitions), severity)


def _unmatched(receipts: LiveTopic, name: str, live: LiveCluster, of: str, wanted: int) -> Iterator[Difference]:
    """Dispatch serves a partition number once every channel's topic has it."""
    output = live.topics.get(of)
    if output is not None and wanted <= output.partitions < receipts.partitions:
        expected = f"as many as {of} has, {output.partitions}"
        yield Difference(name, "partitions", expected, str(receipts.partitions), Severity.WARN)


def _outlived(results: LiveTopic, name: str, live: LiveCluster, of: str, severity: Severity) -> Iterator[Difference]:
    """A group without offsets goes on by what was written last: a decision must not be gone before its request, nor a
    receipt before the forwarded one."""
    given = live.topics.get(of)
    if given is None or not {"retention.ms"} <= results.configs.keys() & given.configs.keys():
        return
    ours, theirs = results.configs["retention.ms"], given.configs["retention.ms"]
    if not _at_least(ours, theirs):
        expected = f"at least {theirs}, that of {of}"
        yield Difference(name, f"retention.ms against {of}", expected, ours, severity)


def _internal_differences(name: str, topic: LiveTopic, settings: TopicSettings) -> Iterator[Difference]:
    if topic.replicas < settings.replication_factor:
        expected = str(settings.replication_factor)
        yield Difference(name, "replication factor", expected, str(topic.replicas), Severity.WARN)
    wanted, value = str(settings.min_insync_replicas), topic.configs.get("min.insync.replicas", "1")
    if not _at_least(value, wanted):
        yield Difference(name, "min.insync.replicas", f"at least {wanted}", value, Severity.WARN)
    if topic.configs.get("unclean.leader.election.enable", "false") != "false":
        # A committed offset that goes back is a second decision.
        yield Difference(name, "unclean.leader.election.enable", "false", "true", Severity.REFUSE)
