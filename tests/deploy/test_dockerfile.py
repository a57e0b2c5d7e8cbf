"""The image: from the locks alone, without tools to build with, as a user without rights, and it says if it lives."""

from __future__ import annotations

import asyncio
import re
import sys

import pytest

from gateway.cli import main
from gateway.metrics import Metrics
from gateway.settings import Settings, load
from gateway.web.server import HttpServer
from tests.deploy.files import DEPLOY, ROOT, Instruction, entry_points, image_environment, stages

PINNED_PYTHON = re.compile(r"python:(3\.\d+)\.\d+-slim-\w+( AS \w+)?")

INSTALLS = re.compile(r"\b(apt-get|apt|apk|pip\S* (?:--python \S+ )?(install|wheel|download)|gcc|make)\b")


def of(word: str) -> list[Instruction]:
    """Instructions of the stage that is shipped."""
    return [each for each in stages()[-1] if each.word == word]


def copied() -> list[str]:
    """Paths that come from the repository."""
    found = [each.rest.split() for stage in stages() for each in stage if each.word == "COPY"]
    return [source for words in found if not words[0].startswith("--from=") for source in words[:-1]]


def test_what_is_copied_is_there_and_goes_to_the_engine() -> None:
    passed = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert copied()
    assert [path for path in copied() if not (ROOT / path).exists()] == []
    assert [path for path in copied() if f"!{path}" not in passed] == []


def test_nothing_else_goes_to_the_engine() -> None:
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    assert patterns[0] == "*"
    assert {pattern[1:] for pattern in patterns if pattern.startswith("!")} == set(copied())


def test_everything_is_installed_from_a_lock_with_hashes_or_was_made_here() -> None:
    commands = [
        command.strip()
        for stage in stages()
        for each in stage
        if each.word == "RUN"
        for command in each.rest.split("&&")
        if re.search(r"\bpip\b.* install\b", command)
    ]
    from_locks = [command for command in commands if "--no-index" not in command]
    assert len(from_locks) == 2
    for command in from_locks:
        assert "--require-hashes" in command
        assert "--only-binary=:all:" in command
        lock = command.rpartition("-r ")[2]
        assert lock in copied()
        assert "--hash=sha256:" in (ROOT / lock).read_text()
    shipped = [command for command in from_locks if "/opt/sendguard/" in command]
    assert [command.rpartition("-r ")[2] for command in shipped] == ["requirements.lock"]


def test_the_base_is_pinned_and_the_same_in_both_stages() -> None:
    bases = [stage[0].rest for stage in stages()]
    assert len(bases) == 2
    found = [PINNED_PYTHON.fullmatch(base) for base in bases]
    assert all(found), bases
    assert len({base.partition(" ")[0] for base in bases}) == 1
    assert f'requires-python = ">={found[0][1] if found[0] else ""}"' in (ROOT / "pyproject.toml").read_text()


def test_nothing_that_builds_or_installs_is_in_the_stage_that_is_shipped() -> None:
    runs = [each.rest for each in of("RUN")]
    assert [run for run in runs if INSTALLS.search(run)] == []
    assert any("pip uninstall --yes pip setuptools wheel" in run for run in runs)
    built = [each.rest for each in stages()[0] if each.word == "RUN"]
    assert any("venv --without-pip /opt/sendguard" in run for run in built)


def test_it_runs_as_a_user_who_owns_the_data_directory_alone() -> None:
    (user,) = of("USER")
    assert user.rest not in ("root", "0")
    (run,) = of("RUN")
    data = image_environment()["SENDGUARD_DATA_DIR"]
    assert f"install --directory --mode=0700 --owner={user.rest} --group={user.rest} {data}" in run.rest
    assert [each.rest for each in of("VOLUME")] == [data]
    words = [each.word for each in stages()[-1]]
    assert words.index("RUN") < words.index("USER") < words.index("ENTRYPOINT")


def test_sigterm_goes_to_our_process() -> None:
    (entry_point,), (command,), (signal,) = of("ENTRYPOINT"), of("CMD"), of("STOPSIGNAL")
    assert set(entry_point.exec_form()) <= entry_points()[0]
    assert command.exec_form()[0] in main.commands
    assert signal.rest == "SIGTERM"


def test_what_the_image_sets_are_settings() -> None:
    settings = load(image_environment())
    assert settings.http.host == "0.0.0.0"  # noqa: S104 - of the container, whose ports compose binds
    assert {each.rest for each in of("EXPOSE")} == {str(settings.http.port)}


@pytest.fixture
def health_check() -> list[str]:
    (check,) = of("HEALTHCHECK")
    command = Instruction("HEALTHCHECK", check.rest[check.rest.index("CMD ") :]).exec_form()
    assert command[0] == "python"
    return [sys.executable, *command[1:]]


async def exit_code(command: list[str], port: int) -> int:
    variables = {"SENDGUARD_HTTP_PORT": str(port), "http_proxy": "http://127.0.0.1:1"}
    check = await asyncio.create_subprocess_exec(*command, env=variables, stderr=asyncio.subprocess.DEVNULL)
    return await check.wait()


async def test_the_health_check_passes_while_the_service_answers_and_fails_when_nobody_does(
    health_check: list[str],
) -> None:
    server = HttpServer(Settings.of(http_port=0).http, list, Metrics("1"))
    await server.start()
    try:
        assert await exit_code(health_check, server.port) == 0
    finally:
        await server.stop()
    assert await exit_code(health_check, server.port) != 0
