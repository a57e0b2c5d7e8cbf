"""The accounts file of the service under test: many locations, so that each test has some of its own.

Every location has an account with Twilio, Mailgun (two sending domains) and a WhatsApp number. A START soon after a
STOP is taken as it came: Twilio is not asked which was sent first, for its API is not here, nor is Meta's, and nobody
is called outside. A `Kind` is what a test asks for when it needs a location with other settings.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

from tests.providers.calls import APP_SECRET, MAILGUN_KEY

PUBLIC_URL = "https://gw.example.com/sg"
"""What Twilio calls, and signs."""

NOWHERE = "http://127.0.0.1:9"
"""Refuses connections: the port of discard."""

TWILIO_TOKEN = "twilio-token"  # noqa: S105 - of the tests
MAILGUN_API_KEY = "mailgun-api-key"

KEYS = {
    "user": ("user", "*"),
    "agency": ("agency", "*"),
    "support": ("support", "*"),
    "other support": ("support", "*"),
}
"""API keys by id: role and location. The key itself is `sk-` and the id."""


class Kind(StrEnum):
    """What a location's settings are."""

    PLAIN = ""
    TWILIO_ALIGNED = 'keyword_profile = "twilio_aligned"'
    MORE_WORDS = 'extra_opt_out_words = ["BAJA", "No más"]'
    ALL_KEYWORD_CHANNELS = 'opt_out_channels = ["SMS", "Call", "WhatsApp"]'
    REQUIRE_INTEGRATION = "require_integration = true"


COUNTS = dict.fromkeys(Kind, 8) | {Kind.PLAIN: 160}
"""Locations of each kind: as many as the tests of one session ask for."""


def location_ids(kind: Kind) -> list[str]:
    return [f"{kind.name.lower().replace('_', '-')}-{number}" for number in range(COUNTS[kind])]


def domains(location_id: str) -> tuple[str, str]:
    """Sending domains of the location."""
    return f"mg.{location_id}.example.com", f"news.{location_id}.example.com"


def number_ids() -> dict[str, str]:
    """The phone_number_id of each location's WhatsApp number."""
    every = [location_id for kind in Kind for location_id in location_ids(kind)]
    return {location_id: str(200_000 + index) for index, location_id in enumerate(every)}


def secret_of(key_id: str) -> str:
    return f"sk-{key_id}"


def accounts_file(mailgun_url: str) -> str:
    """The TOML. `mailgun_url`: where Mailgun's API is."""
    tables = [_location(location_id, kind, mailgun_url) for kind in Kind for location_id in location_ids(kind)]
    numbers = "\n".join(
        f'"{number_id}" = {{ location = "{location_id}", token = "unused" }}'
        for location_id, number_id in number_ids().items()
    )
    app = f'[meta]\napp_secret = "{APP_SECRET}"\nverify_token = "handshake"\napi_base = "{NOWHERE}"\n'
    meta = f"{app}[meta.whatsapp]\n{numbers}\n"
    return "\n".join([*tables, meta, *(_key(*row) for row in KEYS.items())])


def _location(location_id: str, kind: Kind, mailgun_url: str) -> str:
    sending = ", ".join(f'"{domain}"' for domain in domains(location_id))
    return f"""
[locations.{location_id}]
default_region = "US"
start_check_window_s = 0
{kind}
[locations.{location_id}.twilio]
account_sid = "AC1"
auth_token = "{TWILIO_TOKEN}"
public_url = "{PUBLIC_URL}"
api_base = "{NOWHERE}"
[locations.{location_id}.mailgun]
signing_key = "{MAILGUN_KEY}"
api_key = "{MAILGUN_API_KEY}"
api_base = "{mailgun_url}"
domains = [{sending}]
"""


def _key(key_id: str, role_and_location: tuple[str, str]) -> str:
    role, location = role_and_location
    digest = hashlib.sha256(secret_of(key_id).encode()).hexdigest()
    return f'[[api_keys]]\nid = "{key_id}"\nsha256 = "{digest}"\nrole = "{role}"\nlocations = ["{location}"]\n'
