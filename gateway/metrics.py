"""Every metric, once, as a row of data; and the registry that holds their values.

The hot path calls no client library per message: callers hand over tallies once per batch. What is a state rather than
an event (lag, holding, workers) is asked for when somebody scrapes: owners `watch` a gauge with a function.
Each process object has a registry of its own, so that several can live in one test.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Of `Metrics.exposition`."""

PREFIX = "sendguard_"

BARRIER_BUCKETS_S = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1.0)
"""A round takes 0.5-8 ms and is given up after a second."""

HONOUR_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""An event is applied some ms after Kafka took it; a start that reads the log is not counted."""

CHECK_AGE_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1.0)
"""Of the last check when a provider's call begins: above 0.25 s it is made again."""

WEBHOOK_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Some ms with Kafka, a second and more without; providers give up after 10 to 15 s."""


class Kind(StrEnum):
    """Prometheus' own words."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Spec:
    """One row. `name` is what Prometheus shows; a counter's ends in `_total`. `unit` is empty for a plain count."""

    name: str
    kind: Kind
    what: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    buckets: tuple[float, ...] = ()

    @property
    def full_name(self) -> str:
        return PREFIX + self.name


BUILD = Spec("build_info", Kind.GAUGE, "1; the labels say which version runs.", ("version", "python"))
READY = Spec("ready", Kind.GAUGE, "1 when every role is ready, as /readyz says.")
ACCOUNTS_OUTDATED = Spec(
    "accounts_outdated",
    Kind.GAUGE,
    "1 while the accounts file, as it is now, is wrong and what was in force before it stays; the log says why.",
)
DECISIONS = Spec(
    "decisions_total",
    Kind.COUNTER,
    "Requests decided and committed; cause is the first hold's, empty when there is none.",
    ("channel", "outcome", "cause"),
)
BATCHES = Spec("batches_total", Kind.COUNTER, "Batches of requests decided and committed, one transaction each.")
WORKERS = Spec("workers", Kind.GAUGE, "Partitions of requests this process owns, by what they do.", ("state",))
UNDECIDED_AGE = Spec(
    "oldest_undecided_age_seconds",
    Kind.GAUGE,
    "Age of the oldest request read and not yet decided, 0 when none waits.",
    ("partition",),
    "s",
)
UNDECIDED_RATIO = Spec(
    "oldest_undecided_retention_ratio",
    Kind.GAUGE,
    "That age as part of the topic's retention; at 1 Kafka deletes requests nobody decided.",
    ("partition",),
)
BARRIER_SECONDS = Spec(
    "barrier_seconds",
    Kind.HISTOGRAM,
    "How long a freshness round took that passed.",
    (),
    "s",
    BARRIER_BUCKETS_S,
)
BARRIER_FAILURES = Spec(
    "barrier_failures_total", Kind.COUNTER, "Freshness rounds that did not pass: nothing is decided then.", ("reason",)
)
HOLDING = Spec("holding_seconds", Kind.GAUGE, "Since when no freshness round has passed, 0 while they pass.", (), "s")
HOLDING_TOTAL = Spec("holding_seconds_total", Kind.COUNTER, "All the time in which no freshness round passed.", (), "s")
VIEW_LAG = Spec(
    "view_lag_records",
    Kind.GAUGE,
    "Events below the last known end of dnd.events and not applied yet.",
    ("partition",),
    "records",
)
VIEW_SUBJECTS = Spec("view_subjects", Kind.GAUGE, "Contacts and addresses in the view, held or not.")
EVENTS = Spec("events_applied_total", Kind.COUNTER, "Events of dnd.events applied to the view.")
EVENTS_REPEATED = Spec(
    "events_repeated_total", Kind.COUNTER, "Events whose id had been seen before; they change nothing."
)
EVENTS_UNREADABLE = Spec("events_unreadable_total", Kind.COUNTER, "Records of dnd.events that say nothing we can use.")
EVENTS_UNKNOWN = Spec(
    "events_unknown_words_total", Kind.COUNTER, "Words in readable events that we do not know and left out."
)
LIFTS_REFUSED = Spec(
    "lifts_refused_total", Kind.COUNTER, "Terms of lifts that the causes table does not allow their author."
)
HONOUR_SECONDS = Spec(
    "honour_seconds",
    Kind.HISTOGRAM,
    "From the broker's time of an event to the moment it counts here; the newest event of each batch, while following.",
    (),
    "s",
    HONOUR_BUCKETS_S,
)
STATES = Spec("states_written_total", Kind.COUNTER, "Records written to dnd.state and committed.")
INTEGRATIONS = Spec(
    "integrations", Kind.GAUGE, "Channels of locations whose integration is known, by its status.", ("status",)
)
INTEGRATIONS_UNREADABLE = Spec(
    "integrations_unreadable_total", Kind.COUNTER, "Records of the topic integrations that say nothing we can use."
)
CONTACTS = Spec("contacts_taken_in_total", Kind.COUNTER, "Snapshots of contacts taken into the directory.")
CONTACTS_UNREADABLE = Spec("contacts_unreadable_total", Kind.COUNTER, "Records of contacts that name no contact.")
CONTACTS_UNKNOWN = Spec(
    "contacts_unknown_parts_total",
    Kind.COUNTER,
    "Parts of snapshots that were left out: addresses nothing can be compared with, words we do not know.",
)
MIRRORED = Spec(
    "mirrored_events_total",
    Kind.COUNTER,
    "Events on contacts that followed from their addresses, merges and imports, acknowledged by Kafka.",
)
COMMANDS = Spec(
    "commands_total",
    Kind.COUNTER,
    "Commands of workflows by how they ended; partly and refused have parts that could not be done.",
    ("result",),
)
COMMAND_PARTS_REFUSED = Spec(
    "command_parts_refused_total", Kind.COUNTER, "Parts of workflows' commands that were refused.", ("reason",)
)
CHANGES = Spec("changes_published_total", Kind.COUNTER, "Changes of contacts' DND published and committed.")
CHANGES_MOVED = Spec(
    "changes_moved_events_total",
    Kind.COUNTER,
    "Events of contacts that were in another partition than their key belongs to, and were written to that one.",
)
SIGNALS = Spec(
    "signals_total",
    Kind.COUNTER,
    "What providers told us of people's wishes; kind is the cause of a hold, or opt_in.",
    ("provider", "kind"),
)
SIGNAL_NOTES = Spec(
    "signal_notes_total",
    Kind.COUNTER,
    "Parts of providers' calls that change nothing or were odd, by what they were.",
    ("provider", "note"),
)
SIGNALS_PUBLISHED = Spec(
    "signals_published_total", Kind.COUNTER, "Events of signals acknowledged by Kafka, at once or from the spool."
)
SIGNALS_SPOOLED = Spec(
    "signals_spooled_total", Kind.COUNTER, "Signals put on local disk because Kafka did not take them in time."
)
SPOOL_COUNT = Spec("spool_signals", Kind.GAUGE, "Signals on local disk that Kafka does not have yet.")
SPOOL_AGE = Spec(
    "spool_age_seconds",
    Kind.GAUGE,
    "Since when the oldest of them waits, 0 when none does; so long other processes do not know of it.",
    (),
    "s",
)
SPOOL_UNREADABLE = Spec(
    "spool_unreadable_signals", Kind.GAUGE, "Spooled signals set aside because they cannot be read or written to Kafka."
)
START_CHECKS = Spec(
    "start_checks_total",
    Kind.COUNTER,
    "STARTs close behind a STOP, by what the provider says of the START; only with later does it end anything.",
    ("result",),
)
SENT_KEPT = Spec(
    "sent_messages_kept_total",
    Kind.COUNTER,
    "Messages that providers took, stored from their receipts.",
    ("provider",),
)
RECEIPTS_UNREADABLE = Spec(
    "receipts_unreadable_total", Kind.COUNTER, "Records of outbound.receipts that say nothing we can use."
)
SENT_LOOKUPS = Spec(
    "sent_lookups_total",
    Kind.COUNTER,
    "Failures whose message was looked up; unknown and failed count from the moment they were told.",
    ("result",),
)
RECONCILE_CALLS = Spec(
    "reconcile_calls_total",
    Kind.COUNTER,
    "Pages of lists of who opted out asked from providers, by the status of the answer; none: there was no answer.",
    ("provider", "status"),
)
RECONCILE_READ = Spec(
    "reconcile_entries_total", Kind.COUNTER, "Entries read of providers' lists of who opted out.", ("provider", "list")
)
RECONCILE_PLACED = Spec(
    "reconcile_placed_total",
    Kind.COUNTER,
    "Holds placed because a provider's list had them and we had not.",
    ("provider", "list"),
)
DRIFT = Spec(
    "drift_addresses",
    Kind.GAUGE,
    "Addresses of which a provider's list and our holds differed when they were last compared, by the side.",
    ("location", "provider", "list", "side"),
)
RECONCILE_AGE = Spec(
    "reconcile_age_seconds",
    Kind.GAUGE,
    "Since when the provider's list that was read through longest ago has not been read through again.",
    ("provider",),
    "s",
)
WEBHOOKS = Spec(
    "webhooks_total",
    Kind.COUNTER,
    "Calls of providers by how they ended; spooled is on local disk, unsafe is on neither disk nor Kafka.",
    ("provider", "result"),
)
WEBHOOKS_REFUSED = Spec(
    "webhooks_refused_total",
    Kind.COUNTER,
    "Calls answered with an error (403: not signed); location is empty where there is no account, * for an app.",
    ("provider", "location", "status"),
)
WEBHOOK_SECONDS = Spec(
    "webhook_seconds", Kind.HISTOGRAM, "From a provider's call to our answer.", (), "s", WEBHOOK_BUCKETS_S
)
RECEIPTS = Spec(
    "receipts_total",
    Kind.COUNTER,
    "Final receipts of forwarded requests, committed; each request has one.",
    ("channel", "outcome"),
)
DISPATCH_TRIES = Spec(
    "dispatch_tries_total",
    Kind.COUNTER,
    "Tries to send a message by how they ended; unavailable, not_fresh and not_connected made no call, and wait.",
    ("channel", "result"),
)
DISPATCH_CHECK_AGE = Spec(
    "dispatch_check_age_seconds",
    Kind.HISTOGRAM,
    "How old the last check of a message was when its call to the provider began.",
    (),
    "s",
    CHECK_AGE_BUCKETS_S,
)
DISPATCH_MESSAGES = Spec(
    "dispatch_messages",
    Kind.GAUGE,
    "Forwarded requests read and without a committed receipt (pending); of them in memory, or as offsets (parked).",
    ("state",),
)
DISPATCH_FLYING = Spec("dispatch_tries_under_way", Kind.GAUGE, "Tries under way, of all accounts.")
DISPATCH_ACCOUNTS = Spec(
    "dispatch_accounts",
    Kind.GAUGE,
    "Provider accounts in use; broken: the provider does not know them at present; breaker_open: asked seldom.",
    ("state",),
)
DISPATCH_PASSED_OVER = Spec(
    "dispatch_passed_over_total",
    Kind.COUNTER,
    "Records of outbound.<channel> that the guard has not written: they were never decided, and are not sent.",
)

METRICS: tuple[Spec, ...] = (
    BUILD,
    READY,
    ACCOUNTS_OUTDATED,
    DECISIONS,
    BATCHES,
    WORKERS,
    UNDECIDED_AGE,
    UNDECIDED_RATIO,
    BARRIER_SECONDS,
    BARRIER_FAILURES,
    HOLDING,
    HOLDING_TOTAL,
    VIEW_LAG,
    VIEW_SUBJECTS,
    EVENTS,
    EVENTS_REPEATED,
    EVENTS_UNREADABLE,
    EVENTS_UNKNOWN,
    LIFTS_REFUSED,
    HONOUR_SECONDS,
    STATES,
    INTEGRATIONS,
    INTEGRATIONS_UNREADABLE,
    COMMANDS,
    COMMAND_PARTS_REFUSED,
    CHANGES,
    CHANGES_MOVED,
    CONTACTS,
    CONTACTS_UNREADABLE,
    CONTACTS_UNKNOWN,
    MIRRORED,
    SIGNALS,
    SIGNAL_NOTES,
    SIGNALS_PUBLISHED,
    SIGNALS_SPOOLED,
    SPOOL_COUNT,
    SPOOL_AGE,
    SPOOL_UNREADABLE,
    START_CHECKS,
    SENT_KEPT,
    RECEIPTS_UNREADABLE,
    SENT_LOOKUPS,
    RECONCILE_CALLS,
    RECONCILE_READ,
    RECONCILE_PLACED,
    DRIFT,
    RECONCILE_AGE,
    WEBHOOKS,
    WEBHOOKS_REFUSED,
    WEBHOOK_SECONDS,
    DISPATCH_TRIES,
    DISPATCH_CHECK_AGE,
    DISPATCH_MESSAGES,
    DISPATCH_FLYING,
    DISPATCH_ACCOUNTS,
    DISPATCH_PASSED_OVER,
    RECEIPTS,
)

Labels = TypeVar("Labels", bound=tuple[str, ...])

Samples = Mapping[tuple[str, ...], float]
"""Values by their labels' values, in the order of the row."""

Sample = Callable[[], Samples]


class Metrics:
    """The values of all rows, for one process."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        self._counters = {
            spec: Counter(spec.full_name, spec.what, spec.labels, registry=self.registry)
            for spec in METRICS
            if spec.kind is Kind.COUNTER
        }
        self._histograms = {
            spec: Histogram(spec.full_name, spec.what, spec.labels, buckets=spec.buckets, registry=self.registry)
            for spec in METRICS
            if spec.kind is Kind.HISTOGRAM
        }
        self._watched = _Watched()
        self.registry.register(self._watched)
        self.watch(BUILD, lambda: {(version, platform.python_version()): 1.0})

    def count(self, spec: Spec, amount: float = 1, labels: tuple[str, ...] = ()) -> None:
        """Add to a counter."""
        counter = self._counters[spec]
        (counter.labels(*labels) if labels else counter).inc(amount)

    def count_each(self, spec: Spec, tally: Mapping[Labels, int]) -> None:
        """Add a batch's tally, by label values."""
        counter = self._counters[spec]
        for labels, amount in tally.items():
            counter.labels(*labels).inc(amount)

    def observe(self, spec: Spec, value: float) -> None:
        """Add one value to a histogram."""
        self._histograms[spec].observe(value)

    def watch(self, spec: Spec, sample: Sample) -> None:
        """Ask `sample` for the gauge's values at every scrape; the last watcher of a row counts."""
        self._watched.samples[spec] = sample

    def exposition(self) -> bytes:
        """All values in Prometheus' text format; without the time each series began, which nobody asks for."""
        return generate_latest(_WithoutCreated(self.registry))


class _WithoutCreated(CollectorRegistry):
    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__()
        self._whole = registry

    def collect(self) -> Iterator[Metric]:
        for family in self._whole.collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family


class _Watched(Collector):
    """Gauges whose values are asked for."""

    def __init__(self) -> None:
        self.samples: dict[Spec, Sample] = {}

    def collect(self) -> Iterable[Metric]:
        for spec, sample in self.samples.items():
            family = GaugeMetricFamily(spec.full_name, spec.what, labels=spec.labels)
            for labels, value in sample().items():
                family.add_metric(labels, value)
            yield family
