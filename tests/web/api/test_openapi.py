"""The OpenAPI document and the handlers say the same."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
import schemathesis
from schemathesis.generation.modes import GenerationMode

from gateway.dnd.model import Cause, Scope
from gateway.web.api.problem_types import ProblemType
from gateway.web.api.routes import ROUTES
from tests.contacts.people import CONTACT, EMAIL, PHONE, place
from tests.web.api.made_calls import all_operations
from tests.web.api.serving import KEYS, Api

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
    await asyncio.to_thread(all_operations, schema, quick.url, KEYS[role], mode, EXAMPLES)
