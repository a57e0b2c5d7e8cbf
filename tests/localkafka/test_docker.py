"""The Docker backend, as far as it goes without an engine.

What the engine is asked is recorded. The brokers' configuration is proved on a JVM of this machine, the start script
with stand-ins for Kafka's scripts.
"""

import socket
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from gateway.localkafka import Backend, Broker, LocalKafkaConfig, LocalKafkaError, SecurityProtocol
from gateway.localkafka.archive import with_archive
from gateway.localkafka.artifacts import kafka_version
from gateway.localkafka.container_process import LOG_DIR, START_SCRIPT
from gateway.localkafka.docker_cluster import DockerCluster, alias, container_layout
from gateway.localkafka.docker_engine import engine_answers
from gateway.localkafka.installation import install
from gateway.localkafka.java import find_java
from gateway.localkafka.jvm_flags import broker_command
from gateway.localkafka.jvm_process import JvmProcess
from gateway.localkafka.owner import Watchdog
from gateway.localkafka.ports import free_ports
from gateway.localkafka.properties import render, server_properties
from gateway.localkafka.storage import format_directory, new_id
from tests.localkafka.needs import needs_java
from tests.localkafka.recording_engine import RecordingEngine, serving


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[RecordingEngine]:
    """At DOCKER_HOST; the reaper, a container of its own that must be talked to, stays away.

    Whether the tests themselves run in a container must not matter.
    """
    monkeypatch.setattr("testcontainers.core.docker_client.utils.inside_container", lambda: False)
    monkeypatch.setattr("testcontainers.core.container.c.ryuk_disabled", True)
    monkeypatch.setenv("HOME", str(tmp_path))
    recording = RecordingEngine()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine")
    with serving(recording, tmp_path / "engine"):
        yield recording


@pytest.fixture
def closed_cluster(engine: RecordingEngine) -> Iterator[list[DockerCluster]]:
    """Clusters put here are closed before the engine goes away."""
    clusters: list[DockerCluster] = []
    yield clusters
    for cluster in clusters:
        cluster.close()


def test_an_engine_that_answers_is_seen(engine: RecordingEngine) -> None:
    assert engine_answers()
    assert "GET /_ping" in engine.calls


def test_an_engine_that_refuses_the_ping_does_not_count(engine: RecordingEngine) -> None:
    engine.refused.add("/_ping")
    assert not engine_answers()


@pytest.mark.parametrize("host", ["tcp://127.0.0.1:{closed}", "unix://{missing}", "unix://{dead}"])
def test_a_configured_engine_that_is_not_there_does_not_count(
    host: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as abandoned:
        abandoned.bind(str(tmp_path / "dead"))
    places = {"closed": next(free_ports()), "missing": tmp_path / "missing", "dead": tmp_path / "dead"}
    monkeypatch.setenv("DOCKER_HOST", host.format(**places))
    assert not engine_answers()


def test_a_container_gets_image_ports_network_and_configuration(
    engine: RecordingEngine, closed_cluster: list[DockerCluster]
) -> None:
    config = LocalKafkaConfig(secure_listeners=(SecurityProtocol.SASL_PLAINTEXT,), heap_mib=333)
    cluster = DockerCluster(config)
    closed_cluster.append(cluster)
    (broker,) = cluster.brokers
    broker.start(wait=False)

    (container,) = engine.containers.values()
    asked = container.created_with
    assert asked["Image"] == f"apache/kafka:{kafka_version()}"
    assert asked["Entrypoint"] == ["/bin/bash", "-c", START_SCRIPT]
    assert "User" not in asked or not asked["User"]
    assert f"CLUSTER_ID={cluster.cluster_id}" in asked["Env"]
    assert "KAFKA_HEAP_OPTS=-Xmx333m" in asked["Env"]
    assert asked["HostConfig"]["PortBindings"] == {
        "9092/tcp": [{"HostIp": "127.0.0.1", "HostPort": broker.address.rpartition(":")[2]}],
        "9093/tcp": [
            {
                "HostIp": "127.0.0.1",
                "HostPort": broker.address_for(SecurityProtocol.SASL_PLAINTEXT).rpartition(":")[2],
            }
        ],
    }
    (network,) = engine.networks
    assert asked["NetworkingConfig"]["EndpointsConfig"][network]["Aliases"] == ["broker-1"]
    written = container.files["/etc/sendguard/server.properties"].decode()
    assert f"PLAINTEXT://{broker.address}" in written
    assert "/etc/sendguard/log4j2.properties" in container.files


def test_brokers_of_a_container_cluster_know_each_other_by_name() -> None:
    layout = container_layout(2, 3, "127.0.0.1", {SecurityProtocol.PLAINTEXT: 29092})
    properties = server_properties(LocalKafkaConfig(brokers=3), layout)
    assert properties["controller.quorum.voters"] == "1@broker-1:19093,2@broker-2:19093,3@broker-3:19093"
    assert properties["listeners"] == "INTERNAL://:19092,PLAINTEXT://:9092,CONTROLLER://:19093"
    assert properties["advertised.listeners"] == "INTERNAL://broker-2:19092,PLAINTEXT://127.0.0.1:29092"
    assert properties["inter.broker.listener.name"] == "INTERNAL"
    assert properties["log.dirs"] == LOG_DIR


def test_what_is_done_to_a_broker_is_done_to_its_container(
    engine: RecordingEngine, closed_cluster: list[DockerCluster]
) -> None:
    cluster = DockerCluster(LocalKafkaConfig())
    closed_cluster.append(cluster)
    (broker,) = cluster.brokers
    assert not broker.is_running()
    broker.start(wait=False)
    engine.calls.clear()
    broker.freeze()
    assert broker.is_running()
    broker.thaw()
    broker.kill()
    assert not broker.is_running()
    broker.start(wait=False)
    broker.freeze()
    broker.stop()
    assert [call for call in engine.calls if not call.startswith("GET")] == [
        "POST /containers/container-1/pause",
        "POST /containers/container-1/unpause",
        "POST /containers/container-1/kill SIGKILL",
        "POST /containers/container-1/start",
        "POST /containers/container-1/pause",
        "POST /containers/container-1/unpause",
        "POST /containers/container-1/kill SIGTERM",
    ]


def test_nothing_is_left_of_a_closed_cluster(engine: RecordingEngine) -> None:
    cluster = DockerCluster(LocalKafkaConfig(brokers=3))
    for broker in cluster.brokers:
        broker.start(wait=False)
    assert len(engine.containers) == 3
    cluster.close()
    assert engine.containers == {}
    assert engine.networks == set()
    assert not cluster.data_dir.exists()
    assert "DELETE /containers/container-1 v=['True']" in engine.calls


def test_given_data_is_written_by_the_user_to_the_users_directory(
    engine: RecordingEngine, closed_cluster: list[DockerCluster], tmp_path: Path
) -> None:
    cluster = DockerCluster(LocalKafkaConfig(data_dir=tmp_path / "data"))
    closed_cluster.append(cluster)
    cluster.brokers[0].start(wait=False)
    (container,) = engine.containers.values()
    assert container.created_with["HostConfig"]["Binds"] == [f"{tmp_path}/data/broker-1:/var/lib/kafka/data:rw"]
    assert container.created_with["User"] == f"{tmp_path.stat().st_uid}:{tmp_path.stat().st_gid}"
    assert container.created_with["Entrypoint"] == ["/bin/bash", "-c", START_SCRIPT]


def test_an_engine_that_refuses_is_quoted_with_the_way_out(
    engine: RecordingEngine, closed_cluster: list[DockerCluster]
) -> None:
    cluster = DockerCluster(LocalKafkaConfig(backend=Backend.DOCKER))
    closed_cluster.append(cluster)
    engine.refused.add("/containers/create")
    with pytest.raises(LocalKafkaError, match=r"(?s)could not start the broker: .*refused.*SENDGUARD_KAFKA_BACKEND"):
        cluster.brokers[0].start()


def test_a_cluster_that_cannot_be_set_up_leaves_no_directory(
    engine: RecordingEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    engine.refused.add("/networks/create")
    with pytest.raises(LocalKafkaError, match="could not set up the cluster"):
        DockerCluster(LocalKafkaConfig())
    assert list(tmp_path.glob("sendguard-kafka-*")) == []


@needs_java
def test_the_containers_configuration_starts_a_real_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wildcard binds, names of other containers and the listener between brokers: all of it but the engine."""
    free = free_ports()
    client_port = next(free)  # outside a container one port is both the broker's and the host's
    for name, port in (("CLIENT_PORT", client_port), ("INTERNAL_PORT", next(free)), ("CONTROLLER_PORT", next(free))):
        monkeypatch.setattr(f"gateway.localkafka.docker_cluster.{name}", port)
    layout = container_layout(1, 1, "127.0.0.1", {SecurityProtocol.PLAINTEXT: client_port})
    config = LocalKafkaConfig(server_properties={"log.dirs": str(tmp_path / "data")})
    (tmp_path / "server.properties").write_text(render(server_properties(config, layout)))
    (tmp_path / "log4j2.properties").write_text(files("gateway.localkafka").joinpath("log4j2.properties").read_text())
    (tmp_path / "hosts").write_text(f"127.0.0.1 {alias(1)} {socket.gethostname()}\n")
    (tmp_path / "tmp").mkdir()

    java = find_java()
    assert java is not None
    installation = with_archive(install(java, None))
    cluster_id = new_id()
    format_directory(tmp_path / "data", installation.template, cluster_id, 1)
    command = broker_command(config, installation, tmp_path)
    command.insert(1, f"-Djdk.net.hosts.file={tmp_path / 'hosts'}")  # in place of the containers' network
    watchdog = Watchdog()
    process = JvmProcess(command, tmp_path, tmp_path / "broker.log", watchdog)
    broker = Broker(1, cluster_id, process, {SecurityProtocol.PLAINTEXT: layout.listeners[1].advertised}, 60.0)
    try:
        broker.start()
    finally:
        broker.kill()
        watchdog.dismiss()


def run_start_script(tmp_path: Path, format_exit: int = 0) -> tuple[int, list[str]]:
    """Exit code, and what Kafka's scripts were called with."""
    calls = tmp_path / "calls"
    calls.touch()
    scripts = tmp_path / "opt"
    scripts.mkdir(exist_ok=True)
    for name, ending in (("kafka-storage.sh", f"exit {format_exit}"), ("kafka-server-start.sh", "exit 7")):
        (scripts / name).write_text(f'#!/bin/sh\necho {name} "$@" >>{calls}\n{ending}\n')
        (scripts / name).chmod(0o755)
    script = START_SCRIPT.replace("/opt/kafka/bin", str(scripts)).replace(LOG_DIR, str(tmp_path / "data"))
    done = subprocess.run(["/bin/bash", "-c", script], env={"CLUSTER_ID": "an-id"}, check=False)
    return done.returncode, calls.read_text().splitlines()


FORMAT = "kafka-storage.sh format -t an-id -c /etc/sendguard/server.properties"
SERVE = "kafka-server-start.sh /etc/sendguard/server.properties"


def test_a_new_container_formats_its_storage_and_serves(tmp_path: Path) -> None:
    assert run_start_script(tmp_path) == (7, [FORMAT, SERVE])


def test_a_restarted_container_keeps_its_storage(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "meta.properties").touch()
    assert run_start_script(tmp_path) == (7, [SERVE])


def test_a_container_whose_format_fails_ends(tmp_path: Path) -> None:
    assert run_start_script(tmp_path, format_exit=3) == (3, [FORMAT])
