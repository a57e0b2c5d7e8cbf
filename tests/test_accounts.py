"""The accounts file: what is read of it, and what stops the start."""

import tomllib
from pathlib import Path

import pytest

from gateway.accounts import Accounts
from gateway.settings import SettingsError

FULL = """
[locations.loc1]
default_region = "US"
keyword_profile = "as_specified"
extra_opt_out_words = ["BAJA"]
[locations.loc1.twilio]
account_sid = "AC1"
auth_token = "env:TWILIO_TOKEN"
[locations.loc2.http.GMB]
url = "https://hooks.example.com/gmb"
[meta]
app_secret = "env:META_SECRET"
[meta.pages]
"1001" = { location = "loc1", token = "env:PAGE_TOKEN" }
[[api_keys]]
id = "crm"
role = "user"
"""


def test_a_location_has_the_region_the_file_gives_it(tmp_path: Path) -> None:
    path = tmp_path / "accounts.toml"
    path.write_text(FULL, encoding="utf-8")
    accounts = Accounts.load(path)
    assert accounts.default_region("loc1") == "US"
    assert accounts.default_region("loc2") is None
    assert accounts.default_region("not in the file") is None


def test_without_a_file_every_location_has_the_defaults() -> None:
    assert Accounts.load(None).default_region("loc1") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[locations.a]\ndefault_region = "UK"', "f: locations.a.default_region: expected a region such as US or MX"),
        ("[locations.a]\ndefault_region = [1]", "f: locations.a.default_region: expected a region such as US or MX"),
        ('[locations.a]\ndefault_regoin = "US"', "f: locations.a.default_regoin: there is no such key; did you mean"),
        ("[location.a]", "f: location: there is no such key; did you mean locations?"),
        ("locations = 1", "f: locations: expected a table for each location"),
        ("[locations]\na = 1", "f: locations.a: expected a table"),
    ],
)
def test_a_wrong_key_or_value_stops_the_start_and_is_named(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as stopped:
        Accounts.parse(tomllib.loads(text), "f")
    assert stopped.value.problems[0].startswith(said)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("[", encoding="utf-8")
    for path in (broken, tmp_path / "missing.toml"):
        with pytest.raises(SettingsError, match=path.name):
            Accounts.load(path)
