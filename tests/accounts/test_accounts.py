"""The accounts file: what is read of it, and the look-ups."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from gateway.accounts import Accounts, LocationSettings, MarketingOptOut, MetaApp
from gateway.accounts.forms import rows_of
from gateway.accounts.model import ApiKey, HttpProvider, MailgunAccount, MetaSender, TwilioAccount
from gateway.dnd.keywords import KeywordProfile
from gateway.dnd.model import ActorKind, Channel
from gateway.settings import Secret, SettingsError
from tests.accounts.files import DIGEST, FULL, SECRETS, WHATSAPP_TOKEN, written


@pytest.fixture
def accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Accounts:
    return Accounts.load(written(tmp_path, monkeypatch))


def test_every_setting_of_a_location_is_read(accounts: Accounts) -> None:
    location = accounts.location("loc1")
    assert location.default_region == accounts.default_region("loc1") == "US"
    assert location.keyword_profile is KeywordProfile.TWILIO_ALIGNED
    assert location.extra_opt_out_words == ("BAJA",)
    assert location.max_per_second == 2.5
    assert location.require_integration is True
    assert location.opt_out_channels == {Channel.SMS, Channel.WHATSAPP}
    assert location.whatsapp_marketing_optout is MarketingOptOut.IGNORE
    assert location.start_check_window_s == 20
    assert location.http == {Channel.GMB: HttpProvider(url="https://hooks.example.com/gmb?key=hidden-hook")}


def test_an_account_has_all_its_valid_secrets_the_one_for_our_calls_first(accounts: Accounts) -> None:
    assert accounts.twilio("loc1") == TwilioAccount(
        account_sid="AC1",
        auth_tokens=(Secret(SECRETS["TWILIO_TOKEN"]), Secret(SECRETS["TWILIO_TOKEN_OLD"])),
        public_url="https://gw.example.com",
        from_number="+14155550100",
        messaging_service_sid="MG1",
        api_base="http://127.0.0.1:9001",
    )
    assert accounts.mailgun("loc1") == MailgunAccount(
        signing_keys=(Secret(SECRETS["MG_SIGNING"]),),
        api_key=Secret(SECRETS["MG_KEY"]),
        domains=("mg.example.com", "mg2.example.com"),
        api_base="https://api.eu.mailgun.net",
    )


def test_pages_and_numbers_of_meta_lead_to_their_location_and_token(accounts: Accounts) -> None:
    meta = accounts.meta
    assert meta is not None
    assert meta.pages == {"1001": MetaSender(location_id="loc1", token=Secret(SECRETS["PAGE_TOKEN"]))}
    assert meta.whatsapp["2002"] == MetaSender(location_id="not in the file", token=Secret(WHATSAPP_TOKEN))
    assert (meta.page_of("loc1"), meta.number_of("loc1")) == ("1001", None)
    assert (meta.app_secrets, meta.verify_token) == ((Secret("hidden-meta-app"),), Secret("hidden-meta-verify"))
    assert meta.api_base == "https://graph.facebook.com/v22.0"


def test_an_api_key_is_found_by_its_digest_and_is_for_its_locations_only(accounts: Accounts) -> None:
    crm, desk = accounts.api_keys[DIGEST], accounts.api_keys[b"\x55" * 32]
    assert (crm.id, crm.role, desk.role) == ("crm", ActorKind.USER, ActorKind.SUPPORT)
    assert [crm.is_for("loc1"), crm.is_for("loc2"), crm.is_for("*")] == [True, False, False]
    assert desk.is_for("anywhere")
    assert accounts.api_keys.get(b"") is None


def test_two_locations_may_share_an_account(accounts: Accounts) -> None:
    assert accounts.locations_of_twilio("AC1") == {"loc1", "loc2"}
    assert accounts.locations_of_twilio("AC2") == frozenset()


def test_a_location_that_is_not_in_the_file_has_the_defaults_of_the_contract(accounts: Accounts) -> None:
    location = accounts.location("not in the file")
    assert location == LocationSettings() == Accounts.load(None).location("loc1")
    assert (location.default_region, location.keyword_profile) == (None, KeywordProfile.AS_SPECIFIED)
    assert (location.max_per_second, location.start_check_window_s) == (50, 10)
    assert location.require_integration is False
    assert location.opt_out_channels == {Channel.SMS}
    assert (location.whatsapp_marketing_optout, location.extra_opt_out_words) == (MarketingOptOut.BLOCK, ())
    assert (location.twilio, location.mailgun, location.http) == (None, None, {})


def test_an_account_has_the_providers_public_address_unless_the_file_says_another() -> None:
    given = {"account_sid": "AC1", "auth_token": "t", "public_url": "https://a.example"}
    twilio = Accounts.parse({"locations": {"a": {"twilio": given}}}, "f").twilio("a")
    assert twilio is not None
    assert (twilio.api_base, twilio.from_number) == ("https://api.twilio.com", None)
    secrets = {"signing_key": "s", "api_key": "k", "domains": ["a.example"]}
    mailgun = Accounts.parse({"locations": {"a": {"mailgun": secrets}}}, "f").mailgun("a")
    assert mailgun is not None
    assert mailgun.api_base == "https://api.mailgun.net"
    meta = Accounts.parse({"meta": {"app_secret": "s", "verify_token": "v"}}, "f").meta
    assert meta is not None
    assert meta.api_base == "https://graph.facebook.com/v21.0"


def test_nothing_of_the_accounts_can_be_changed(accounts: Accounts) -> None:
    with pytest.raises(AttributeError):
        accounts.location("loc1").max_per_second = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        accounts.locations["loc1"] = LocationSettings()  # type: ignore[index]
    with pytest.raises(TypeError):
        accounts.api_keys[b""] = accounts.api_keys[DIGEST]  # type: ignore[index]


def test_a_shell_without_the_secrets_can_read_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "accounts.toml"
    path.write_text(FULL, encoding="utf-8")
    with pytest.raises(SettingsError):
        Accounts.load(path)
    accounts = Accounts.load_without_secrets(path)
    assert accounts.default_region("loc1") == "US"
    twilio = accounts.twilio("loc1")
    assert twilio is not None
    assert len({secret.reveal() for secret in twilio.auth_tokens} - {"", "env:TWILIO_TOKEN"}) == 2


@pytest.mark.parametrize("kind", [LocationSettings, TwilioAccount, MailgunAccount, HttpProvider, MetaApp, ApiKey])
def test_every_field_is_a_row_of_the_file(kind: type[Any]) -> None:
    rows = list(rows_of(kind))
    assert [name for name, _ in rows] == [each.name for each in dataclasses.fields(kind)]
    assert all(row.what.endswith(".") for _, row in rows)
