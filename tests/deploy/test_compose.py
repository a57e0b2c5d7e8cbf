"""The compose file: every role once, from real settings, on brokers that hold what the guarantees rest on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest

from gateway.accounts.accounts import attempt
from gateway.app import STOP_DEADLINE_S
from gateway.database import database_url
from gateway.settings import Settings, load
from gateway.web.server import SHUTDOWN_S
from tests.deploy.files import (
    DATA,
    DEPLOY,
    compose,
    entry_points,
    environment,
    image_environment,
    mounts,
    our_processes,
    our_services,
    roles,
    seconds,
    services,
    variables,
    variables_of_compose,
)

WITH_DATABASE = {"http", "directory", "commands", "changes", "receipts", "reconcile"}
"""Roles that read or write the directory: apart, each would have a SQLite file of its own, and see nobody else's."""

THEIR_DATA = {
    "apache/kafka": "/var/lib/kafka/data",
    "postgres": "/var/lib/postgresql",
    "prom/prometheus": "/prometheus",
    "grafana/grafana": "/var/lib/grafana",
}
"""Where the images of others keep what must outlive a container; PostgreSQL's from 18 on."""

PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+(\.\d+)?")


def settings_of(name: str) -> Settings:
    return load(environment(our_services()[name]))


def repository(image: str) -> str:
    return image.partition(":")[0]


@pytest.mark.parametrize("name", our_services())
def test_every_variable_of_ours_is_a_setting_with_a_good_value(name: str) -> None:
    settings = settings_of(name)  # an unknown name is an error
    assert settings.topics.replication_factor == 3
    assert settings.data_dir == Path(DATA)


def test_every_role_there_is_runs_and_no_other() -> None:
    started = set(chain.from_iterable(roles(service) for service in our_processes().values()))
    assert started == entry_points()[1]
    assert [name for name, service in our_processes().items() if len(roles(service)) != 1] == []


def test_there_are_two_guards_so_that_one_can_die() -> None:
    assert Counter(chain.from_iterable(map(roles, our_processes().values())))["guard"] >= 2


def test_every_process_has_a_name_of_its_own_that_a_new_container_keeps() -> None:
    assert {name: settings_of(name).instance_id for name in our_processes()} == {name: name for name in our_processes()}


def test_every_process_has_a_data_volume_of_its_own() -> None:
    volumes = {name: mounts(service).get(DATA) for name, service in our_processes().items()}
    assert volumes == {name: name for name in our_processes()}
    assert image_environment()["SENDGUARD_DATA_DIR"] == DATA


@pytest.mark.parametrize("name", sorted(services().keys() - our_services().keys()))
def test_what_others_keep_is_on_a_volume(name: str) -> None:
    service = services()[name]
    assert mounts(service).get(THEIR_DATA[repository(service["image"])]) == name


def test_volumes_are_declared_and_used_by_one_service_each() -> None:
    used = [
        source
        for service in services().values()
        for source in mounts(service).values()
        if not source.startswith((".", "/"))
    ]
    assert sorted(used) == sorted(compose()["volumes"])


def test_what_is_mounted_from_here_is_there_and_cannot_be_written() -> None:
    found = {source for service in services().values() for source in mounts(service).values() if source[0] in "./"}
    assert found
    assert [source for source in found if not source.endswith(":ro")] == []
    assert [source for source in found if not (DEPLOY / source.removesuffix(":ro")).is_dir()] == []


def test_the_accounts_file_is_mounted_as_a_folder_and_is_right() -> None:
    for name, service in our_services().items():
        path = settings_of(name).accounts
        assert path is not None
        source = mounts(service)[str(path.parent)]  # a single file would not be seen to be exchanged
        accounts = attempt(DEPLOY / source.removesuffix(":ro") / path.name).result()
        assert not accounts.api_keys


def test_images_of_others_are_pinned() -> None:
    images = [service["image"] for name, service in services().items() if name not in our_services()]
    assert [image for image in images if not PINNED.fullmatch(image)] == []


def test_ports_are_open_to_this_machine_alone() -> None:
    ports = [port for service in services().values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []
    assert f"127.0.0.1:8080:{settings_of('http').http.port}" in services()["http"]["ports"]


def test_what_a_service_waits_for_comes_to_pass() -> None:
    for name, service in services().items():
        for other, waited in service.get("depends_on", {}).items():
            awaited = services()[other]
            if waited["condition"] == "service_healthy":
                assert "test" in awaited["healthcheck"], f"{name} waits for {other}"
            else:
                assert waited["condition"] == "service_completed_successfully"
                assert awaited["restart"] == "on-failure", f"{name} waits for {other}"


def test_topics_are_applied_once_all_brokers_are_there_and_before_anything_of_ours() -> None:
    one_shot = our_services()["topics"]
    brokers = {name for name, service in services().items() if repository(service["image"]) == "apache/kafka"}
    assert len(brokers) == 3
    assert one_shot["command"] == ["topics", "apply"]
    assert one_shot["depends_on"].keys() == brokers
    assert all("topics" in service["depends_on"] for service in our_processes().values())


def test_who_needs_the_database_has_it_and_sending_does_not_wait_for_it() -> None:
    postgres = services()["postgres"]["environment"]
    for name, service in our_processes().items():
        url, needs = settings_of(name).database_url, bool(WITH_DATABASE & set(roles(service)))
        assert (url is not None) == needs == ("postgres" in service["depends_on"]), name
        if url is not None:
            found = database_url(url, Path(DATA))
            assert (found.host, found.database, found.username, found.password) == (
                "postgres",
                postgres["POSTGRES_DB"],
                postgres["POSTGRES_USER"],
                postgres["POSTGRES_PASSWORD"],
            )


@pytest.mark.parametrize("name", our_services())
def test_our_processes_can_do_nothing_but_their_work_and_have_time_to_finish_it(name: str) -> None:
    service = our_services()[name]
    assert service["read_only"]
    assert service["tmpfs"] == ["/tmp"]  # noqa: S108 - a container's
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"]
    assert "privileged" not in service
    assert "user" not in service
    assert seconds(service["stop_grace_period"]) > STOP_DEADLINE_S + SHUTDOWN_S


def test_there_is_no_secret_here_and_nothing_starts_without_those_of_the_operator() -> None:
    template = variables(DEPLOY / "env.example")
    assert set(template.values()) == {""}
    assert variables_of_compose() == {(name, True) for name in template}
    assert "/.env" in (DEPLOY / ".gitignore").read_text().splitlines()
    empty = compose(dict.fromkeys(template, ""))["services"]
    secrets = [
        value
        for service in empty.values()
        for name, value in service.get("environment", {}).items()
        if re.search("PASSWORD|SECRET|TOKEN|_KEY", name)
    ]
    assert len(secrets) == len(template)
    assert not any(secrets)
    assert "PASSWORD" not in "".join(variables(DEPLOY / "sendguard.env"))


def _has_compose() -> bool:
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "compose", "version"], capture_output=True).returncode == 0


@pytest.mark.skipif(not _has_compose(), reason="docker compose is not installed")
def test_docker_compose_takes_it(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("".join(f"{name}=x\n" for name, _ in variables_of_compose()))
    command = ["docker", "compose", "--env-file", str(file), "--file", str(DEPLOY / "compose.yml"), "config", "--quiet"]
    said = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))
    assert said.returncode == 0, said.stderr
