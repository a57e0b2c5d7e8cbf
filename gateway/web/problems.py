"""Problem details (RFC 9457): what every answer of 400 and above looks like."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import orjson
from aiohttp import web

PROBLEM_TYPE = "application/problem+json"


def problem(status: int, detail: str = "", headers: Mapping[str, str] | None = None) -> web.Response:
    """The answer. `detail` says to the caller what to do, and nothing that only we should know."""
    details: dict[str, object] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    if detail:
        details["detail"] = detail
    return web.Response(body=orjson.dumps(details), status=status, headers=headers, content_type=PROBLEM_TYPE)
