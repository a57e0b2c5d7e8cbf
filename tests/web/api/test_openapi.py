"""The OpenAPI document and the handlers say the same."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation.modes import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.dnd.model import Cause, Scope
from gateway.web.api.problem_types import ProblemType
from gateway.web.api.routes import ROUTES
from tests.contacts.people import CONTACT, EMAIL, PHONE, place
from tests.web.api.serving import KEYS, Api

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

EXAMPLES = 12
"""Of each operation, role and mode."""


async def document(api: Api) -> dict[str, Any]:
    answer = await api.call("GET", "/openapi.json", key=None)
    assert answer.status == 200
    found: dict[str, Any] = answer.body
    return found


async def test_every_path_that_is_served_is_in_the_document_and_the_other_way_round(quick: Api) -> None:
    described = {
        (method.upper(), path) for path, operations in (await document(quick))["paths"].items() for method in operations
    }
    assert described == {(route.method, route.path) for route in ROUTES}
    for method, path in described:
        answer = await quick.call(method, re.sub(r"{\w+}", "x", path), key=None)
        assert answer.status == 401, (method, path)


async def test_every_problem_is_documented_with_what_the_caller_does(quick: Api) -> None:
    text = (await document(quick))["info"]["description"]
    names = [kind.value.name for kind in ProblemType]
    assert len(set(names)) == len(names)
    for kind in ProblemType:
        assert f"| `{kind.urn}` | {kind.status} |" in text


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("role", ["agency", "support"])
async def test_whatever_is_sent_is_answered_as_the_document_says(quick: Api, role: str, mode: GenerationMode) -> None:
    """Schemathesis: bodies and paths made from the document, those that fit it and those that do not."""
    quick.directory.entries["c1"] = (PHONE, EMAIL)
    await quick.gateway.told(
        place(PHONE, Scope.SMS, Cause.KEYWORD_OPT_OUT),
        place(CONTACT, Scope.SMS, Cause.KEYWORD_OPT_OUT),
        place(EMAIL, Scope.EMAIL, Cause.BOUNCE),
    )
    schema = schemathesis.openapi.from_dict(await document(quick))
    await asyncio.to_thread(_all_operations, schema, quick.url, KEYS[role], mode)


def _all_operations(schema: Any, url: str, key: str, mode: GenerationMode) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
            deadline=None,
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def test(case: Any) -> None:
            if "location_id" in case.path_parameters and len(case.path_parameters["location_id"]) % 4:
                case.path_parameters["location_id"] = "loc1"  # anything else ends at the door
            if "contact_id" in case.path_parameters and len(case.path_parameters["contact_id"]) % 4:
                case.path_parameters["contact_id"] = "c1"
            case.call_and_validate(base_url=url, headers=headers, checks=CHECKS)

        test()
