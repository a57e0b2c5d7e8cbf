"""The service in this process, against a real Kafka."""

import asyncio
import json
import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

import gateway.app
from gateway.app import DiedError, RefusedError, Service, serve
from gateway.contract.topics import Topics
from gateway.dnd.model import Actor, ActorKind, Cause, Channel, Place, Scope, Subject, SubjectKind
from gateway.fresh import view_directory
from gateway.localkafka import LocalKafka
from gateway.roles import Build, Role, Services
from gateway.settings import Settings
from gateway.streams.clients import Clients
from gateway.streams.group import MembershipError
from gateway.streams.identity import cluster_id
from gateway.streams.topics import apply
from gateway.streams.writing import event_record, writer
from gateway.view.errors import ViewLocked
from gateway.view.operator import discard
from gateway.view.table import View
from gateway.web.server import AddressInUseError
from tests.running import Outside, get, request, running, sample, serving, settings_for, started, until


@pytest.fixture
def settings(kafka: LocalKafka, tmp_path: Path, fresh_name: str) -> Settings:
    return settings_for(kafka, tmp_path, fresh_name)


async def hold(settings: Settings, subject: Subject, scope: Scope = Scope.SMS) -> None:
    """A hold that Kafka has acknowledged."""
    place = Place(f"test:{subject.id}", subject, (scope,), (Cause.MANUAL,), 1_763_900_000_000, Actor(ActorKind.USER))
    async with writer(Clients(settings.kafka), Topics(settings.topics.prefix).dnd_events) as to_log:
        await to_log.write([event_record(place, place.at)])


async def refused(settings: Settings, roles: list[str]) -> None:
    """A service that should not run."""
    async with asyncio.timeout(30):
        await serve(settings, roles, asyncio.Event())


async def test_requests_are_forwarded_unless_the_contact_or_the_address_is_held(settings: Settings) -> None:
    outside = Outside.of(settings)
    async with running(settings, "guard"):
        await hold(settings, Subject("loc1", SubjectKind.PHONE, "+14155550001"))
        await hold(settings, Subject("loc1", SubjectKind.CONTACT, "c2"), Scope.ALL)
        await asyncio.to_thread(outside.send, [request(number) for number in range(4)])
        decisions = await asyncio.to_thread(outside.decisions, 4)
        forwarded = await asyncio.to_thread(outside.committed, outside.topics.output(Channel.SMS), 2)
    assert [(each["request_id"], each["outcome"]) for each in decisions] == [
        ("r-0", "forwarded"),
        ("r-1", "dropped"),
        ("r-2", "dropped"),
        ("r-3", "forwarded"),
    ]
    assert [reason["subject"] for each in decisions for reason in each["reasons"]] == ["address", "contact"]
    assert [json.loads(record.value()) for record in forwarded] == [request(0), request(3)]
    headers = dict(forwarded[1].headers())
    assert headers["sender"] == b"test"
    assert headers["sg-decision-id"].decode() == f"{outside.topics.requests}-0-3" == decisions[3]["decision_id"]


async def test_what_cannot_be_read_goes_to_the_dead_letters_and_the_stream_goes_on(settings: Settings) -> None:
    outside = Outside.of(settings)
    async with running(settings, "guard"):
        await asyncio.to_thread(outside.send, [b"not json", request(1, channel="Instagram"), request(2)])
        decisions = await asyncio.to_thread(outside.decisions, 3)
        dead = await asyncio.to_thread(outside.committed, outside.topics.dead, 2)
    assert [each["outcome"] for each in decisions] == ["invalid", "invalid", "forwarded"]
    assert dead[0].value() == b"not json"
    assert dict(dead[1].headers())["sg-reason-field"] == b"channel"


async def test_a_changed_accounts_file_decides_without_a_restart(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A number without its country code cannot be compared until the location has a region."""
    caplog.set_level(logging.INFO, "gateway.accounts")
    accounts = tmp_path / "accounts.toml"
    accounts.write_text("")
    settings = settings_for(kafka, tmp_path / "data", fresh_name, accounts=str(accounts))
    outside = Outside.of(settings)
    async with running(settings, "guard") as service:
        await asyncio.to_thread(outside.send, [request(1, to="(415) 555-0001")])
        await asyncio.to_thread(outside.decisions, 1)
        accounts.write_text('[locations.loc1]\ndefault_region = "US"\n')
        service.reload_accounts()
        await until(lambda: "accounts: changed" in caplog.text)
        await asyncio.to_thread(outside.send, [request(2, to="(415) 555-0001")])
        decisions = await asyncio.to_thread(outside.decisions, 2)
    assert [each["outcome"] for each in decisions] == ["invalid", "forwarded"]


async def test_a_metric_tells_that_the_accounts_file_cannot_be_taken(
    kafka: LocalKafka, tmp_path: Path, fresh_name: str
) -> None:
    accounts = tmp_path / "accounts.toml"
    accounts.write_text("")

    def outdated() -> float | None:
        return sample(service.metrics.exposition().decode(), "sendguard_accounts_outdated")

    async with running(settings_for(kafka, tmp_path / "data", fresh_name, accounts=str(accounts)), "guard") as service:
        for text, expected in (("", 0), ("[locations", 1), ("[locations.loc1]\n", 0)):
            accounts.write_text(text)
            service.reload_accounts()
            await until(lambda expected=expected: outdated() == expected)  # type: ignore[misc]  # a loop's variable


async def test_metrics_tell_what_was_decided_and_how_fast_a_hold_was_honoured(settings: Settings) -> None:
    outside = Outside.of(settings)
    async with running(settings, "guard") as service:
        await hold(settings, Subject("loc1", SubjectKind.CONTACT, "c1"))
        await asyncio.to_thread(outside.send, [request(0), request(1)])
        await asyncio.to_thread(outside.decisions, 2)
        await until(lambda: sample(service.metrics.exposition().decode(), "sendguard_batches_total"))
        status, text = await get(service, "/metrics")
    assert status == 200
    decided = "sendguard_decisions_total"
    assert sample(text, decided, channel="SMS", outcome="forwarded", cause="") == 1
    assert sample(text, decided, channel="SMS", outcome="dropped", cause="manual") == 1
    assert sample(text, "sendguard_honour_seconds_count") == 1
    assert sample(text, "sendguard_events_applied_total") == 1
    assert sample(text, "sendguard_workers", state="serving") == 2
    assert sample(text, "sendguard_view_lag_records", partition="0") == 0
    assert sample(text, "sendguard_oldest_undecided_age_seconds", partition="0") == 0
    assert sample(text, "sendguard_ready") == 1
    assert (sample(text, "sendguard_barrier_seconds_count") or 0) > 0


async def test_a_compacted_log_of_events_refuses_the_start_and_is_named(settings: Settings) -> None:
    await apply(settings)
    outside = Outside.of(settings)
    await asyncio.to_thread(outside.change, outside.topics.dnd_events, cleanup_policy="compact")
    with pytest.raises(RefusedError, match=r"dnd\.events: cleanup\.policy: expected delete, found compact"):
        await refused(settings, ["guard"])


async def test_missing_topics_refuse_the_start(settings: Settings) -> None:
    with pytest.raises(RefusedError, match="missing"):
        await refused(settings, ["guard"])


async def test_without_a_broker_it_keeps_trying_says_so_and_stops_when_told(tmp_path: Path) -> None:
    settings = Settings.of(kafka_bootstrap_servers="127.0.0.1:1", http_port=0, data_dir=tmp_path)
    async with started(settings, "guard") as service:
        await until(lambda: "cannot be reached" in str(service.problems()))
        assert (await get(service, "/livez"))[0] == 200
        status, body = await get(service, "/readyz")
    assert status == 503
    assert json.loads(body)["reasons"][0]["role"] == "service"


async def test_a_role_is_named_with_the_reason_why_it_is_not_ready(settings: Settings) -> None:
    await apply(settings)
    async with started(settings, "guard", "http") as service:
        await until(lambda: service.problems() and service.problems()[0].role == "guard")
        await until(lambda: not service.problems())


async def test_a_second_process_on_one_data_directory_is_refused(settings: Settings) -> None:
    async with running(settings, "guard"):
        with pytest.raises(ViewLocked, match="data directory of its own"):
            await refused(settings, ["guard"])


async def test_a_second_process_with_our_instance_id_ends_us(
    settings: Settings, kafka: LocalKafka, tmp_path: Path
) -> None:
    """K19."""
    await apply(settings)
    first = Service(settings, ["guard"])
    running_first = asyncio.create_task(first.run(asyncio.Event()), name="first")
    await until(lambda: not first.problems())
    other = settings_for(kafka, tmp_path / "other", settings.topics.prefix.removesuffix("."))
    async with started(other, "guard") as second:
        await until(lambda: not second.problems())
        with pytest.raises(ExceptionGroup) as caught:
            await asyncio.wait_for(running_first, 30)
    assert isinstance(caught.value.exceptions[0], MembershipError)


async def test_a_guard_that_stops_leaves_its_partitions_to_the_others_at_once(
    settings: Settings, kafka: LocalKafka, tmp_path: Path
) -> None:
    """They hear of it with their next heartbeat, which comes five times within a session time-out."""
    prefix = settings.topics.prefix.removesuffix(".")
    long, stop = {"session_timeout_ms": 30_000}, asyncio.Event()
    one = settings_for(kafka, tmp_path / "a", prefix, instance_id="a", **long)
    async with running(one, "guard", stop=stop) as first:
        other = settings_for(kafka, tmp_path / "b", prefix, instance_id="b", **long)
        async with started(other, "guard") as second:
            await until(lambda: (serving(first), serving(second)) == (1, 1))
            stop.set()
            async with asyncio.timeout(15):
                await until(lambda: serving(second) == 2)


async def test_a_view_of_another_cluster_waits_for_the_operator_and_goes_on_by_itself(settings: Settings) -> None:
    await apply(settings)
    topic = Topics(settings.topics.prefix).dnd_events
    View.open(view_directory(settings), topic=topic, partitions=2, cluster_id="another").close()
    async with started(settings, "guard") as service:
        await until(lambda: "built from cluster_id 'another'" in str(service.problems()))
        discard(view_directory(settings))
        await until(lambda: not service.problems())


async def test_a_guard_that_cannot_decide_leaves_the_partitions_to_one_that_can(
    settings: Settings, kafka: LocalKafka, tmp_path: Path
) -> None:
    """Here because its view was built from a topic that was re-created; the same goes for one that is still loading."""
    other = settings_for(kafka, tmp_path / "b", settings.topics.prefix.removesuffix("."), instance_id="b")
    async with running(settings, "guard") as able:
        cluster = await cluster_id(Clients(settings.kafka))
        topic = Topics(settings.topics.prefix).dnd_events
        view = View.open(view_directory(other), topic=topic, partitions=2, cluster_id=cluster)
        view.bind("a topic that is gone")
        view.close()
        async with started(other, "guard") as unable:
            await until(lambda: "sendguard view republish" in str(unable.problems()))
            assert (serving(able), serving(unable)) == (2, None)


async def test_a_taken_port_is_refused_with_the_name_of_the_setting(settings: Settings, kafka: LocalKafka) -> None:
    port = int(kafka.bootstrap_servers.split(",")[0].rpartition(":")[2])
    taken = settings_for(kafka, settings.data_dir, "unused", http_port=port)
    with pytest.raises(AddressInUseError, match="SENDGUARD_HTTP_PORT"):
        await refused(taken, ["http"])


class EndsByItself:
    """A role that returns, or dies, without being told."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    async def run(self, stop: asyncio.Event) -> None:
        if self._error is not None:
            raise self._error

    def problems(self) -> list[str]:
        return []


class NeverEnds:
    """A role that does not hear `stop`."""

    async def run(self, stop: asyncio.Event) -> None:
        await asyncio.Event().wait()

    def problems(self) -> list[str]:
        return []


def only(role: Role) -> Mapping[str, Build]:
    def build(_: Services) -> Role:
        return role

    return {"only": build}


@pytest.mark.parametrize(
    ("role", "died"),
    [
        (EndsByItself(), "the role only has ended by itself"),
        (EndsByItself(OSError("disk full")), "disk full"),
    ],
)
async def test_a_role_that_ends_by_itself_ends_the_service(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, role: EndsByItself, died: str
) -> None:
    monkeypatch.setattr(gateway.app, "find_roles", lambda _: only(role))
    await apply(settings)
    with pytest.raises(ExceptionGroup) as caught:
        await Service(settings).run(asyncio.Event())
    assert [died in str(error) for error in caught.value.exceptions] == [True]


async def test_a_role_that_does_not_stop_is_an_error_and_not_waited_for_without_end(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway.app, "find_roles", lambda _: only(NeverEnds()))
    monkeypatch.setattr(gateway.app, "STOP_DEADLINE_S", 0.1)
    await apply(settings)
    with pytest.raises(ExceptionGroup) as caught:
        async with started(settings) as service:
            await until(lambda: not service.problems())
    assert isinstance(caught.value.exceptions[0], DiedError)
