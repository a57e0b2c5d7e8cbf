"""One call of the API, from its first byte to the answer.

1. Who calls: no key 401, too often 429. 2. What is in the path: 422. 3. Whether the key is for the location: 404, as
for a path that is not there, so that nobody finds out which locations there are. 4. Whether the role may: 403. 5. The
body: 400, 408, 413, 422. 6. The handler. Nothing is read of a body, and nothing looked up, for somebody who may not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from aiohttp import web
from aiohttp.hdrs import AUTHORIZATION

from gateway.contacts import NotAvailable, NotEnlisted, NotPermanent
from gateway.dnd.model import BadAddress
from gateway.signals.publish import RefusedError
from gateway.web.access import Access, Caller, Closed, KeysUnavailable, Refusal, TooManyCalls
from gateway.web.api.bodies import decode, named, read
from gateway.web.api.problem_types import FieldError, ProblemError, ProblemType, invalid, not_available
from gateway.web.api.routes import PARAMETERS, Route

Body = TypeVar("Body")

COME_AGAIN_S = 2
"""Asked for with a 503: an election of leaders is over then."""

CHALLENGE = {"WWW-Authenticate": "Bearer"}
"""RFC 9110: a 401 has one."""


@dataclass(frozen=True, slots=True)
class Call(Generic[Body]):
    """A call that is let in. `parameters` are those of the path and behind it, checked."""

    route: Route
    caller: Caller
    parameters: Mapping[str, str]
    body: Body

    @property
    def location_id(self) -> str:
        return self.parameters["location_id"]

    @property
    def contact_id(self) -> str:
        return self.parameters["contact_id"]


Handler = Callable[[Call[Any]], Awaitable[msgspec.Struct]]
"""Step 6. ProblemError, and what `_problem` knows."""


def served(route: Route, access: Access, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
    """What aiohttp calls."""

    async def serve(request: web.Request) -> web.Response:
        try:
            call = await _call(route, access, request)
            try:
                answer = await handler(call)  # 6
            except _KNOWN as error:
                raise _problem(error) from error
        except ProblemError as problem:
            return problem.answer()
        return web.Response(body=msgspec.json.encode(answer), status=route.status, content_type="application/json")

    return serve


async def _call(route: Route, access: Access, request: web.Request) -> Call[Any]:
    try:
        caller = await access.caller(request.headers.get(AUTHORIZATION))  # 1
    except Refusal as refusal:
        raise _refused(refusal) from None
    given = dict(request.match_info) | {name: text for name, text in request.query.items() if name in route.query}
    parameters = {name: _parameter(name, text) for name, text in given.items()}  # 2
    if not caller.is_for(parameters["location_id"]):  # 3
        raise ProblemError(ProblemType.NOT_FOUND)
    if caller.kind not in route.roles:  # 4
        raise ProblemError(ProblemType.ROLE_TOO_LOW, f"expected one of the roles {', '.join(route.roles)}")
    return Call(route, caller, parameters, await _body(route, request))


async def _body(route: Route, request: web.Request) -> object:
    """Step 5."""
    if route.body is None:
        return None
    body = await read(request, route.body_limit_bytes)
    if route.takes_raw:
        return body
    return decode(body or b"{}" if route.body_optional else body, route.body)


def _parameter(name: str, text: str) -> str:
    try:
        return str(msgspec.convert(text, PARAMETERS[name]))
    except msgspec.ValidationError as error:
        raise invalid(name, named(str(error)).errors[0].expected) from None


def _refused(refusal: Refusal) -> ProblemError:
    match refusal:
        case TooManyCalls(retry_after_s=seconds):
            return ProblemError(ProblemType.TOO_MANY_CALLS, str(refusal), headers={"Retry-After": str(seconds)})
        case KeysUnavailable(retry_after_s=seconds):
            return ProblemError(ProblemType.KEYS_UNAVAILABLE, str(refusal), headers={"Retry-After": str(seconds)})
        case Closed():
            return ProblemError(ProblemType.CLOSED, str(refusal), headers=CHALLENGE)
        case _:
            return ProblemError(ProblemType.NOT_AUTHENTICATED, str(refusal), headers=CHALLENGE)


_KNOWN = (NotAvailable, NotEnlisted, NotPermanent, BadAddress, RefusedError)


def _problem(error: Exception) -> ProblemError:
    """What the parts behind the handlers say, as an answer."""
    match error:
        case NotEnlisted(channels=channels) | NotPermanent(channels=channels):
            kind = ProblemType.NOT_ENLISTED if isinstance(error, NotEnlisted) else ProblemType.NOT_PERMANENT
            expected = "a channel that is connected" if isinstance(error, NotEnlisted) else "active or inactive"
            return ProblemError(
                kind, str(error), errors=[FieldError(f"dndSettings.{channel}", expected) for channel in channels]
            )
        case BadAddress():
            return invalid("address", str(error))
        case RefusedError():
            return invalid("", "something that can be written as an event")
        case _:
            return not_available(str(error), COME_AGAIN_S)
