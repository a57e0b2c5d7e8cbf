"""Health over HTTP."""

import json
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest

from gateway.metrics import Metrics
from gateway.settings import Settings
from gateway.web.health import Problem
from gateway.web.server import AddressInUseError, HttpServer

ANY_PORT = Settings.of(http_port=0).http


@pytest.fixture
def problems() -> list[Problem]:
    return []


@pytest.fixture
async def url(problems: list[Problem]) -> AsyncIterator[str]:
    server = HttpServer(ANY_PORT, lambda: problems, Metrics("1"))
    await server.start()
    yield f"http://127.0.0.1:{server.port}"
    await server.stop()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


async def test_livez_answers_whatever_is_not_ready(
    url: str, session: aiohttp.ClientSession, problems: list[Problem]
) -> None:
    problems.append(Problem("guard", "loading"))
    async with session.get(f"{url}/livez") as answer:
        assert answer.status == 200


async def test_readyz_is_200_without_problems(url: str, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{url}/readyz") as answer:
        assert (answer.status, await answer.json()) == (200, {"ready": True, "reasons": []})


async def test_readyz_is_503_with_every_reason_by_role(
    url: str, session: aiohttp.ClientSession, problems: list[Problem]
) -> None:
    problems += [Problem("guard", "holding: state is stale: no answer within 1 s"), Problem("guard", "partition 3: x")]
    async with session.get(f"{url}/readyz") as answer:
        assert answer.status == 503
        assert (await answer.json())["reasons"] == [
            {"role": "guard", "reason": "holding: state is stale: no answer within 1 s"},
            {"role": "guard", "reason": "partition 3: x"},
        ]


async def test_metrics_are_in_the_text_format_of_prometheus(url: str, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{url}/metrics") as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "sendguard_build_info" in await answer.text()


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("POST", "/livez", 405)])
async def test_errors_are_problem_details(
    url: str, session: aiohttp.ClientSession, method: str, path: str, status: int
) -> None:
    async with session.request(method, f"{url}{path}") as answer:
        assert answer.status == status
        assert answer.content_type == "application/problem+json"
        details = json.loads(await answer.text())
        assert (details["status"], details["type"]) == (status, "about:blank")
        assert ("Allow" in answer.headers) == (status == 405)


async def test_a_taken_port_names_the_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings.of(http_port=taken.getsockname()[1])
        with pytest.raises(AddressInUseError, match="SENDGUARD_HTTP_PORT"):
            await HttpServer(settings.http, list, Metrics("1")).start()
