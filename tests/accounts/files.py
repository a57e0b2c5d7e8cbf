"""Accounts files for tests: one that uses every key, and how to change one of its values."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gateway.accounts import Accounts
from gateway.settings import SettingsError

KEY = "sesame-of-the-crm"
DIGEST = hashlib.sha256(KEY.encode()).digest()

SECRETS = {
    "TWILIO_TOKEN": "hidden-twilio-new",
    "TWILIO_TOKEN_OLD": "hidden-twilio-old",
    "MG_SIGNING": "hidden-mailgun-signing",
    "MG_KEY": "hidden-mailgun-key",
    "META_SECRET": "hidden-meta-app",
    "META_VERIFY": "hidden-meta-verify",
    "PAGE_TOKEN": "hidden-page",
}
"""In the environment."""

WHATSAPP_TOKEN = "hidden-whatsapp"  # noqa: S105 - of nobody
"""In a file beside the accounts."""

FULL = f"""
[locations.loc1]
default_region = "US"
keyword_profile = "twilio_aligned"
extra_opt_out_words = ["BAJA"]
max_per_second = 2.5
require_integration = true
opt_out_channels = ["SMS", "WhatsApp"]
whatsapp_marketing_optout = "ignore"
start_check_window_s = 20
[locations.loc1.twilio]
account_sid = "AC1"
auth_token = ["env:TWILIO_TOKEN", "env:TWILIO_TOKEN_OLD"]
from_number = "+14155550100"
messaging_service_sid = "MG1"
api_base = "http://127.0.0.1:9001"
public_url = "https://gw.example.com/"
[locations.loc1.mailgun]
signing_key = "env:MG_SIGNING"
api_key = "env:MG_KEY"
api_base = "https://api.eu.mailgun.net"
domains = ["MG.example.com", "mg2.example.com"]
[locations.loc1.http.GMB]
url = "https://hooks.example.com/gmb?key=hidden-hook"
[locations.loc2.twilio]
account_sid = "AC1"
auth_token = "env:TWILIO_TOKEN"
public_url = "https://gw.example.com"
[meta]
app_secret = "env:META_SECRET"
verify_token = "env:META_VERIFY"
api_base = "https://graph.facebook.com/v22.0"
[meta.pages]
"1001" = {{ location = "loc1", token = "env:PAGE_TOKEN" }}
[meta.whatsapp]
"2002" = {{ location = "not in the file", token = "file:whatsapp.token" }}
[[api_keys]]
id = "crm"
sha256 = "{DIGEST.hex().upper()}"
role = "user"
locations = ["loc1"]
[[api_keys]]
id = "desk"
sha256 = "{"5" * 64}"
role = "support"
locations = ["*"]
"""


def written(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str = FULL) -> Path:
    """The file, with all its secrets where it says they are."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    (folder / "whatsapp.token").write_text(f"{WHATSAPP_TOKEN}\n", encoding="utf-8")
    path = folder / "accounts.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(text: str) -> tuple[str, ...]:
    """What is wrong with the text, without the file's name."""
    with pytest.raises(SettingsError) as stopped:
        Accounts.parse(tomllib.loads(text), "f")
    assert all(problem.startswith("f: ") for problem in stopped.value.problems)
    return tuple(problem.removeprefix("f: ") for problem in stopped.value.problems)


def content(text: str = FULL) -> dict[str, Any]:
    return tomllib.loads(text)
