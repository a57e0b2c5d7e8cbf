"""Calls made from the OpenAPI document, by Schemathesis: every answer is as the document says."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation.modes import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]


def all_operations(schema: Any, url: str, key: str, mode: GenerationMode, examples: int) -> None:
    """So many calls of each operation by the caller who has the key; most of them concern the contact c1 of loc1."""
    headers = {"Authorization": f"Bearer {key}"}
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=examples,
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
