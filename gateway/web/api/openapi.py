"""The OpenAPI document (3.1), made from the routes and the types that calls are checked by."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.web.api.problem_types import Problem, ProblemType
from gateway.web.api.routes import PARAMETERS, Route
from gateway.web.problems import PROBLEM_TYPE

JSON = "application/json"
_REFERENCE = "#/components/schemas/{name}"


def document(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """The whole document."""
    bodies = [route.body for route in routes if route.body is not None]
    types: list[type[msgspec.Struct]] = list(dict.fromkeys([*(route.answer for route in routes), *bodies, Problem]))
    references, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    schemas = dict(zip(types, references, strict=True))
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for route in routes:
        paths[route.path][route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "sendguard: contact DND",
            "version": version,
            "description": "Shows and changes whether messages may go out to a contact. In `dndSettings`, `active` "
            "means that DND is on: nothing goes out. Times are milliseconds since 1970 (UTC).\n\n" + _problem_table(),
        },
        "security": [{"bearer": []}],
        "paths": dict(paths),
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, or a JSON web token."}
            },
        },
    }


def _operation(route: Route, schemas: dict[type[msgspec.Struct], dict[str, Any]]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "description": f"Roles: {', '.join(route.roles)}.",
        "parameters": [_parameter(name, "path") for name in re.findall(r"{(\w+)}", route.path)]
        + [_parameter(name, "query") for name in route.query],
        "responses": _responses(route, schemas),
    }
    if route.body is not None:
        described["requestBody"] = {
            "required": not route.body_optional,
            "content": {JSON: {"schema": schemas[route.body]}},
        }
    return described


def _parameter(name: str, where: str) -> dict[str, Any]:
    schema = msgspec.json.schema(PARAMETERS[name])
    if "$ref" in schema:  # an enum: one use of it needs no component
        (schema,) = schema["$defs"].values()
    return {"name": name, "in": where, "required": where == "path", "schema": schema}


def _responses(route: Route, schemas: dict[type[msgspec.Struct], dict[str, Any]]) -> dict[str, Any]:
    by_status: dict[int, list[ProblemType]] = defaultdict(list)
    for kind in route.all_problems():
        by_status[kind.status].append(kind)
    responses: dict[str, Any] = {
        str(route.status): {"description": "Done.", "content": {JSON: {"schema": schemas[route.answer]}}}
    }
    for status, kinds in sorted(by_status.items()):
        responses[str(status)] = {
            "description": " ".join(f"{kind.value.title} (`{kind.urn}`)." for kind in kinds),
            "content": {PROBLEM_TYPE: {"schema": schemas[Problem]}},
        }
        if any(kind in WITH_RETRY_AFTER for kind in kinds):
            responses[str(status)]["headers"] = {
                "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}
            }
    return responses


WITH_RETRY_AFTER = frozenset(
    {ProblemType.TOO_MANY_CALLS, ProblemType.NOT_AVAILABLE, ProblemType.KEYS_UNAVAILABLE, ProblemType.UNFINISHED}
)


def _problem_table() -> str:
    rows = [f"| `{kind.urn}` | {kind.status} | {kind.value.title} | {kind.value.caller_does} |" for kind in ProblemType]
    return "\n".join(["| problem | status | what | what helps |", "|---|---|---|---|", *rows])
