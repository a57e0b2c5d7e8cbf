"""The Maven artifacts and what is made of them, in a cache of our own."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.localkafka import Backend, LocalKafka, LocalKafkaConfig
from gateway.localkafka.archive import archive_file, with_archive
from gateway.localkafka.artifacts import cache_directory, jars_directory, kafka_version
from gateway.localkafka.config import LocalKafkaError, Tuning
from gateway.localkafka.external import run_to_end
from gateway.localkafka.installation import Installation, install
from gateway.localkafka.java import Java, find_java
from gateway.localkafka.jvm_flags import broker_command
from tests.localkafka.needs import needs_java

pytestmark = needs_java

PATIENCE_S = 240.0
"""Two cold starts at the same time: Maven, the format, the archive."""

START = """
import sys
from pathlib import Path
from gateway.localkafka import Backend, LocalKafka, LocalKafkaConfig
with LocalKafka(LocalKafkaConfig(backend=Backend.MAVEN, cache_dir=Path(sys.argv[1]))) as kafka:
    print(kafka.bootstrap_servers)
"""


@pytest.fixture(scope="module")
def java() -> Java:
    found = find_java()
    assert found is not None
    return found


def test_two_first_starts_at_the_same_time_share_one_cache(tmp_path: Path) -> None:
    starts = [
        subprocess.Popen([sys.executable, "-c", START, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    ends = [start.communicate(timeout=PATIENCE_S) for start in starts]
    assert [start.returncode for start in starts] == [0, 0], ends
    assert len({address for address, _ in ends}) == 2
    cache = cache_directory(tmp_path)
    archive = next(cache.glob("classes-*.jsa"))
    assert {entry.name for entry in cache.iterdir()} == {jars_directory(cache).name, "formatted", "lock", archive.name}
    assert archive.stat().st_size > 0


def test_a_maven_that_fails_is_quoted_and_leaves_no_half_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, java: Java
) -> None:
    maven = tmp_path / "mvn"
    maven.write_text("#!/bin/sh\necho 'Could not resolve dependencies'\nexit 1\n")
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalKafkaError, match=r"(?s)Maven.*failed with exit code 1.*Could not resolve"):
        install(java, tmp_path / "cache")
    assert not jars_directory(cache_directory(tmp_path / "cache")).exists()


def test_a_java_that_cannot_write_an_archive_is_asked_once(tmp_path: Path, java: Java) -> None:
    crashing = tmp_path / "java"
    crashing.write_text("#!/bin/sh\necho run >>runs\nexit 1\n")
    crashing.chmod(0o755)
    good = install(java, None)
    (tmp_path / "cache").mkdir()
    bad = Installation(tmp_path / "cache", Java(str(crashing), 17, "crashing"), good.class_path, good.template)
    assert with_archive(bad) == bad
    crashing.unlink()
    assert with_archive(bad) == bad


def test_a_damaged_archive_only_costs_time(tmp_path: Path, java: Java) -> None:
    good = install(java, None)
    cache = cache_directory(tmp_path)
    cache.mkdir(parents=True)
    for shared in (jars_directory(good.cache), good.template):
        (cache / shared.name).symlink_to(shared)
    archive_file(install(java, tmp_path)).write_bytes(b"no archive" * 1000)
    with LocalKafka(LocalKafkaConfig(backend=Backend.MAVEN, cache_dir=tmp_path)) as kafka:
        assert kafka.brokers[0].is_running()


def test_a_cache_is_found_where_the_user_keeps_such_things(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_directory(None) == tmp_path / "xdg" / "sendguard" / f"kafka-{kafka_version()}"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_directory(None) == tmp_path / ".cache" / "sendguard" / f"kafka-{kafka_version()}"


def test_kafka_is_a_version_4() -> None:
    assert kafka_version().startswith("4.")


def test_a_benchmark_has_the_full_compiler_and_a_fast_start_has_not(tmp_path: Path) -> None:
    installation = Installation(tmp_path, Java("java", 17, "any"), "a.jar", tmp_path)
    fast = broker_command(LocalKafkaConfig(), installation, tmp_path)
    benchmark = broker_command(LocalKafkaConfig(tuning=Tuning.BENCHMARK), installation, tmp_path)
    assert "-XX:TieredStopAtLevel=1" in fast
    assert "-XX:TieredStopAtLevel=1" not in benchmark
    assert "-Xmx1024m" in benchmark


def test_a_program_that_is_missing_or_hangs_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalKafkaError, match="The tool cannot be run"):
        run_to_end("The tool", [str(tmp_path / "nothing")], 1.0)
    with pytest.raises(LocalKafkaError, match="The tool did not end within 0 s"):
        run_to_end("The tool", [sys.executable, "-c", "input()"], 0.01)
