"""The accounts file of the demo: every location has an account at every sandbox provider; who may use the API."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gateway.demo.people import Location
from gateway.demo.providers.accounts import MetaNode, ProviderAccounts
from gateway.dnd.model import ActorKind

API_VERSION = "v21.0"
"""Of Meta's Graph API."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys of the contact API: the CRM speaks for its users, the support desk for itself."""

    user: str = field(repr=False)
    support: str = field(repr=False)

    @classmethod
    def new(cls) -> Keys:
        return cls(secrets.token_urlsafe(24), secrets.token_urlsafe(24))


BUSY_MESSAGES = 160
"""What a busy location's account takes in the time of a campaign: about what is sent, so that a bulk send waits."""


def accounts_toml(
    locations: Sequence[Location], providers: ProviderAccounts, api_url: str, keys: Keys, duration_s: float
) -> str:
    """The file. `api_url`: where the providers' APIs are; `duration_s`: how long the campaign takes."""
    busy_rate = BUSY_MESSAGES / duration_s
    return "\n".join([*_locations(locations, providers, api_url, busy_rate), *_meta(providers, api_url), *_keys(keys)])


def _locations(
    locations: Sequence[Location], providers: ProviderAccounts, api_url: str, busy_rate: float
) -> Iterator[str]:
    twilio = {each.location_id: each for each in providers.twilio}
    mailgun = {each.location_id: each for each in providers.mailgun}
    for location in locations:
        table = f"locations.{location.id}"
        yield f"[{table}]"
        yield f"default_region = {_text(location.region)}"
        if location.is_busy:
            yield f"max_per_second = {busy_rate:g}"
        account, domain = twilio[location.id], mailgun[location.id]
        yield f"[{table}.twilio]"
        yield f"account_sid = {_text(account.sid)}"
        yield f"auth_token = {_text(account.auth_token)}"
        yield f"from_number = {_text(account.number)}"
        yield f"public_url = {_text(providers.public_url)}"
        yield f"api_base = {_text(api_url)}"
        yield f"[{table}.mailgun]"
        yield f"signing_key = {_text(domain.signing_key)}"
        yield f"api_key = {_text(domain.api_key)}"
        yield f"domains = [{_text(domain.name)}]"
        yield f"api_base = {_text(api_url)}"
        for hook in providers.hooks:
            if hook.location_id == location.id:
                yield f"[{table}.http.{hook.channel}]"
                yield f"url = {_text(f'{api_url}/hooks/{hook.name}')}"
        yield ""


def _meta(providers: ProviderAccounts, api_url: str) -> Iterator[str]:
    meta = providers.meta
    yield "[meta]"
    yield f"app_secret = {_text(meta.app_secret)}"
    yield f"verify_token = {_text(meta.verify_token)}"
    yield f"api_base = {_text(f'{api_url}/{API_VERSION}')}"
    yield "[meta.pages]"
    yield from map(_node, meta.pages)
    yield "[meta.whatsapp]"
    yield from map(_node, meta.numbers)
    yield ""


def _node(node: MetaNode) -> str:
    return f"{_text(node.id)} = {{ location = {_text(node.location_id)}, token = {_text(node.token)} }}"


def _keys(keys: Keys) -> Iterator[str]:
    for id_, key, role in (("crm", keys.user, ActorKind.USER), ("support-desk", keys.support, ActorKind.SUPPORT)):
        yield "[[api_keys]]"
        yield f"id = {_text(id_)}"
        yield f"sha256 = {_text(hashlib.sha256(key.encode()).hexdigest())}"
        yield f"role = {_text(role)}"
        yield 'locations = ["*"]'
    yield ""


def _text(value: str) -> str:
    """A TOML text: JSON's escapes are TOML's too."""
    return json.dumps(value)
