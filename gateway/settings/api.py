"""Settings of the contact API: who may call it, and how the command line finds it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from gateway.settings.rows import number, row
from gateway.settings.secret import Secret

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts to which nothing leaves this machine, so that http will do."""


class ApiSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The contact API. API keys are in the accounts file."""

    jwt_jwks_url: Annotated[
        str | None, row("jwt_jwks_url", "Key server (JWKS) whose tokens open the contact API; unset: API keys alone.")
    ] = None
    jwt_issuer: Annotated[str | None, row("jwt_issuer", "Issuer (iss) that tokens must name.")] = None
    jwt_audience: Annotated[str | None, row("jwt_audience", "Audience (aud) that tokens must name.")] = None
    requests_per_second: Annotated[
        int,
        number("api_requests_per_second", "Calls of the contact API by one key or token in a second.", ge=1, le=10_000),
    ] = 50
    url: Annotated[
        str | None,
        row("api_url", "Where `sendguard dnd` finds the contact API; unset: it reads and writes dnd.events itself."),
    ] = None
    key: Annotated[Secret | None, row("api_key", "API key or token of `sendguard dnd`.")] = None


def contradictions(api: ApiSettings) -> Iterator[str]:
    """A token that names neither issuer nor audience may have been made for somebody else."""
    if api.jwt_jwks_url is not None and not (api.jwt_issuer and api.jwt_audience):
        yield "jwt_issuer, jwt_audience: expected both with jwt_jwks_url"
    for key, url in (("jwt_jwks_url", api.jwt_jwks_url), ("api_url", api.url)):
        if url is not None and not _is_safe(url):
            yield f"{key}: expected the URL of a server with https, or with http on this machine (localhost)"


def _is_safe(url: str) -> bool:
    try:
        split = urlsplit(url)
        split.port  # noqa: B018 - raises for what is no port
    except ValueError:
        return False
    if "@" in split.netloc or not split.hostname:
        return False
    return split.scheme == "https" or (split.scheme == "http" and split.hostname in LOOPBACK)
