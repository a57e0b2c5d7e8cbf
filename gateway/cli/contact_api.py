"""The contact API, as the shell calls it: where SENDGUARD_API_URL says, with SENDGUARD_API_KEY."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from gateway.cli.failing import REFUSED, UNREACHABLE, USAGE, Failure
from gateway.settings import ApiSettings

CALL_DEADLINE_S = 30.0
"""Above what the API itself takes for an answer."""

ANSWER_LIMIT_BYTES = 16 * 1024 * 1024

_COME_AGAIN = frozenset({408, 429, 500, 502, 503, 504})


def call(api: ApiSettings, method: str, path: str, body: bytes | None = None) -> Any:
    """The answer's JSON. Failure: refused, or the API cannot be reached."""
    if api.url is None or api.key is None:
        raise Failure("SENDGUARD_API_URL needs SENDGUARD_API_KEY", USAGE)
    return asyncio.run(_call(URL(api.url.rstrip("/") + path, encoded=True), api.key.reveal(), method, body))


def path(*segments: str) -> str:
    """Below /v1, each segment encoded."""
    return "/v1/" + "/".join(quote(segment, safe="") for segment in segments)


async def _call(url: URL, key: str, method: str, body: bytes | None) -> Any:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    timeout = aiohttp.ClientTimeout(total=CALL_DEADLINE_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, read_bufsize=ANSWER_LIMIT_BYTES) as session,
            session.request(method, url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            content = await answer.read()
    except (aiohttp.ClientError, OSError) as error:
        raise Failure(
            f"the API at {url.origin()} cannot be reached: {error or type(error).__name__}", UNREACHABLE
        ) from error
    try:
        read = json.loads(content)
    except ValueError:
        read = {}
    if 200 <= answer.status < 300:
        return read
    said = read if isinstance(read, dict) else {}
    words = ": ".join(str(said[name]) for name in ("title", "detail") if said.get(name))
    code = UNREACHABLE if answer.status in _COME_AGAIN else REFUSED
    raise Failure(f"the API answered {answer.status}" + (f": {words}" if words else ""), code)
