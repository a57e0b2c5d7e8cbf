"""Docker or Maven, and what is said when there is neither."""

from pathlib import Path

import pytest

from gateway.localkafka.artifacts import cache_directory, jars_directory
from gateway.localkafka.backend import (
    BACKEND_VARIABLE,
    choose_backend,
    explain_missing,
    make_cluster,
    missing_for_maven,
)
from gateway.localkafka.config import Backend, LocalKafkaConfig, LocalKafkaError
from gateway.localkafka.docker_engine import engine_answers
from gateway.localkafka.java import Java, find_java


def yes() -> bool:
    return True


def no() -> bool:
    return False


def must_not_be_asked() -> bool:
    raise AssertionError("the engine was asked although the backend is given")


@pytest.fixture(autouse=True)
def no_backend_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(BACKEND_VARIABLE, raising=False)


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Neither Docker nor Java nor Maven, and an empty cache."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "TESTCONTAINERS_HOST_OVERRIDE", "JAVA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr("gateway.localkafka.docker_engine.USUAL_SOCKET", tmp_path / "docker.sock")
    (tmp_path / "bin").mkdir()
    return tmp_path


def put_program(machine: Path, name: str, script: str) -> None:
    program = machine / "bin" / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_docker_is_taken_when_an_engine_answers() -> None:
    assert choose_backend(LocalKafkaConfig(), yes) is Backend.DOCKER


def test_maven_is_taken_when_no_engine_answers() -> None:
    assert choose_backend(LocalKafkaConfig(), no) is Backend.MAVEN


def test_the_environment_chooses_without_asking_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BACKEND_VARIABLE, "maven")
    assert choose_backend(LocalKafkaConfig(), must_not_be_asked) is Backend.MAVEN


def test_the_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BACKEND_VARIABLE, "maven")
    assert choose_backend(LocalKafkaConfig(backend=Backend.DOCKER), must_not_be_asked) is Backend.DOCKER


def test_an_unknown_backend_is_named_with_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BACKEND_VARIABLE, "podman")
    with pytest.raises(LocalKafkaError, match="must be docker or maven, not 'podman'"):
        choose_backend(LocalKafkaConfig(), must_not_be_asked)


def test_a_bare_machine_is_told_everything_it_lacks(bare_machine: Path) -> None:
    assert not engine_answers()
    with pytest.raises(LocalKafkaError) as refused:
        make_cluster(LocalKafkaConfig())
    said = str(refused.value)
    assert "Docker engine: none answers" in said
    assert "Java 17 or newer (looked in JAVA_HOME and on PATH) and Maven (no `mvn` on PATH)" in said


def test_only_what_is_missing_is_named(bare_machine: Path) -> None:
    put_program(bare_machine, "mvn", "exit 0")
    assert missing_for_maven(LocalKafkaConfig(), None) == ["Java 17 or newer (looked in JAVA_HOME and on PATH)"]
    assert "Maven (no" not in explain_missing(missing_for_maven(LocalKafkaConfig(), None))


def test_maven_is_not_needed_once_the_jars_are_in_the_cache(bare_machine: Path) -> None:
    java = Java("java", 17, "any")
    assert missing_for_maven(LocalKafkaConfig(), java) == ["Maven (no `mvn` on PATH)"]
    jars_directory(cache_directory(None)).mkdir(parents=True)
    assert missing_for_maven(LocalKafkaConfig(), java) == []


@pytest.mark.parametrize(
    ("script", "version"),
    [
        ("echo 'openjdk version \"17.0.15\" 2025-04-15' >&2", 17),
        ("echo 'openjdk version \"25\" 2025-09-16' >&2", 25),
        ("echo 'openjdk version \"11.0.2\" 2019-01-15' >&2", None),
        ("echo 'java version \"1.8.0_202\"' >&2", None),
        ("echo 'Unable to locate a Java Runtime.' >&2; exit 1", None),  # the stub of macOS
    ],
)
def test_java_counts_from_version_17(bare_machine: Path, script: str, version: int | None) -> None:
    put_program(bare_machine, "java", script)
    found = find_java()
    assert (found.version if found else None) == version


def test_a_java_home_that_is_too_old_does_not_hide_a_newer_one(
    bare_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = bare_machine / "old"
    (old / "bin").mkdir(parents=True)
    put_program(old, "java", "echo 'java version \"1.8.0_202\"' >&2")
    put_program(bare_machine, "java", "echo 'openjdk version \"21.0.1\"' >&2")
    monkeypatch.setenv("JAVA_HOME", str(old))
    found = find_java()
    assert found is not None
    assert found.version == 21
