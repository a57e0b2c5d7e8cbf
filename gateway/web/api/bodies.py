"""Bodies of calls: read within limits, and decoded into the type of the route, or refused with the field named."""

from __future__ import annotations

import asyncio
import re
from typing import TypeVar

import msgspec
from aiohttp import web

from gateway.web.api.problem_types import ProblemError, ProblemType, invalid

BODY_DEADLINE_S = 5.0

Body = TypeVar("Body")

_FAULT = re.compile(r"^(?P<what>.*?)(?: - at `\$?\.?(?P<path>.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_EXPECTED = re.compile(r"Expected (?P<what>.*)", re.DOTALL)
_SHOWN = 100
"""Characters of a field's name that are repeated."""


async def read(request: web.Request, limit: int) -> bytes:
    """The whole body. ProblemError."""
    too_large = ProblemError(ProblemType.TOO_LARGE, f"at most {limit} bytes", close=True)
    if (request.content_length or 0) > limit:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_DEADLINE_S):
            while chunk := await request.content.readany():
                body += chunk
                if len(body) > limit:
                    raise too_large
    except TimeoutError:
        detail = f"it was not complete within {BODY_DEADLINE_S:g} s"
        raise ProblemError(ProblemType.TOO_SLOW, detail, close=True) from None
    except (web.RequestPayloadError, ConnectionError):
        raise ProblemError(ProblemType.CUT_SHORT, close=True) from None
    return bytes(body)


def decode(body: bytes, kind: type[Body]) -> Body:
    """The typed body. ProblemError names the field."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise named(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProblemError(ProblemType.NOT_JSON, str(error)) from None


def named(fault: str) -> ProblemError:
    """What msgspec says, as field and expectation."""
    matched = _FAULT.match(fault)
    what, path = (matched["what"], matched["path"] or "") if matched else (fault, "")
    if missing := _MISSING.fullmatch(what):
        return invalid(_below(path, missing["name"]), "it to be there")
    if unknown := _UNKNOWN.fullmatch(what):
        return invalid(_below(path, unknown["name"]), "no such field")
    expected = _EXPECTED.fullmatch(what)
    return invalid(path[:_SHOWN], expected["what"] if expected else _lower(what))


def _below(path: str, name: str) -> str:
    return f"{path}.{name[:_SHOWN]}" if path else name[:_SHOWN]


def _lower(what: str) -> str:
    """`Invalid enum value 'x'`: the value is the caller's, and may be long."""
    return "one of the words of the schema" if what.startswith("Invalid enum value") else what[:_SHOWN]
