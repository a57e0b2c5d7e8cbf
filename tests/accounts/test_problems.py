"""What stops the start: every wrong key and value, by its full path and with what was expected."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from gateway.accounts import Accounts
from gateway.dnd.keywords import MOST_WORDS
from gateway.settings import SettingsError
from tests.accounts.files import problems

TWILIO = '[locations.a.twilio]\naccount_sid = "AC1"\nauth_token = "t"\npublic_url = "https://a.example"\n'
MAILGUN = '[locations.a.mailgun]\nsigning_key = "s"\napi_key = "k"\ndomains = ["a.example"]\n'
META = '[meta]\napp_secret = "s"\nverify_token = "v"\n'
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def key(**changed: str) -> str:
    """An API key as TOML, some of it changed."""
    values = {"id": '"k"', "sha256": f'"{"a" * 64}"', "role": '"user"', "locations": '["a"]'} | changed
    return "[[api_keys]]\n" + "".join(f"{name} = {value}\n" for name, value in values.items())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[location.a]", "location: there is no such key; did you mean locations?"),
        ("locations = 1", "locations: expected a table for each location"),
        ("[locations]\na = 1", "locations.a: expected a table"),
        ('[locations.""]', 'locations."": expected an id of 1 to 128 characters'),
        (f"[locations.{'x' * 129}]", f"locations.{'x' * 129}: expected an id of 1 to 128 characters"),
        (
            '[locations.a]\ndefault_regoin = "US"',
            "locations.a.default_regoin: there is no such key; did you mean default_region?",
        ),
        (
            '[locations.a]\ndefault_region = "UK"',
            "locations.a.default_region: expected a region such as US or MX, got 'UK'",
        ),
        (
            "[locations.a]\ndefault_region = [1]",
            "locations.a.default_region: expected a region such as US or MX, got [1]",
        ),
        (
            '[locations."a b\\n"]\nkeyword_profile = "other"',
            "locations.\"a b\\n\".keyword_profile: expected one of as_specified, twilio_aligned, got 'other'",
        ),
        (
            "[locations.a]\nmax_per_second = 0",
            "locations.a.max_per_second: expected a number from 0.01 to 10000, got 0",
        ),
        (
            "[locations.a]\nmax_per_second = nan",
            "locations.a.max_per_second: expected a number from 0.01 to 10000, got nan",
        ),
        (
            "[locations.a]\nmax_per_second = true",
            "locations.a.max_per_second: expected a number from 0.01 to 10000, got True",
        ),
        (
            "[locations.a]\nstart_check_window_s = -1",
            "locations.a.start_check_window_s: expected a number from 0 to 3600, got -1",
        ),
        ("[locations.a]\nrequire_integration = 1", "locations.a.require_integration: expected true or false, got 1"),
        (
            '[locations.a]\nopt_out_channels = ["SMS", "Email"]',
            "locations.a.opt_out_channels[1]: expected one of Call, SMS, WhatsApp, got 'Email'",
        ),
        (
            '[locations.a]\nopt_out_channels = ["Call"]',
            "locations.a.opt_out_channels: expected SMS in it: a keyword always opts out of SMS",
        ),
        ('[locations.a]\nopt_out_channels = ["SMS", "sms"]', "locations.a.opt_out_channels[1]: is there twice"),
        (
            '[locations.a]\nwhatsapp_marketing_optout = "no"',
            "locations.a.whatsapp_marketing_optout: expected one of block, ignore, got 'no'",
        ),
        (
            '[locations.a]\nextra_opt_out_words = "BAJA"',
            f"locations.a.extra_opt_out_words: expected a list of 0 to {MOST_WORDS}, each a text",
        ),
        (
            '[locations.a]\nextra_opt_out_words = ["start"]',
            "locations.a.extra_opt_out_words: 'start': opts in under the profile as_specified, so it cannot opt out",
        ),
        (
            '[locations.a.http.Fax]\nurl = "https://a.example"',
            "locations.a.http.Fax: expected one of Call, Email, SMS, WhatsApp, GMB, FB, got 'Fax'",
        ),
        (
            '[locations.a.http]\nGMB = {url = "https://a.example"}\ngmb = {url = "https://a.example"}',
            "locations.a.http.gmb: is there twice, in two spellings",
        ),
        (TWILIO + 'from_number = "me"', "locations.a.twilio.from_number: expected a phone number as E.164"),
        (TWILIO.replace("AC1", "SK1"), "locations.a.twilio.account_sid: expected an account SID, AC..."),
        (TWILIO + 'messaging_service_sid = "AC1"', "locations.a.twilio.messaging_service_sid: expected a messaging"),
        (MAILGUN.replace('["a.example"]', "[]"), "locations.a.mailgun.domains: expected a list of 1 to 100, each a"),
        (MAILGUN.replace('["a.example"]', '["a@b.example"]'), "locations.a.mailgun.domains[0]: expected a domain such"),
        (META + '[meta.pages]\nx = {location = "a", token = "t"}', "meta.pages.x: expected an id of digits"),
        (META + '[meta.pages]\n1 = {location = "", token = "t"}', "meta.pages.1.location: expected an id of 1 to 128"),
        (META + '[meta.pages]\n1 = {token = "t"}', "meta.pages.1.location: is missing: expected an id of 1 to 128"),
        (
            META + 'pages.1 = {location = "a", token = "t"}\nwhatsapp.1 = {location = "b", token = "t"}',
            "meta.whatsapp.1: is a page too",
        ),
        (key(sha256='"abc"'), "api_keys[0].sha256: expected the 64 hex digits of the SHA-256 of a key"),
        (key(sha256=f'"{EMPTY_SHA256}"'), "api_keys[0].sha256: expected the 64 hex digits of the SHA-256 of a key"),
        (key(role='"contact"'), "api_keys[0].role: expected one of user, agency, support, got 'contact'"),
        (key(locations="[]"), "api_keys[0].locations: expected a list of 1 to 10000, each an id of 1 to 128"),
        (key(locations='["*", "a"]'), 'api_keys[0].locations: expected either ["*"] or ids of locations'),
        (key() + key(sha256=f'"{"b" * 64}"'), "api_keys[1].id: there is another key 'k'"),
        (key() + key(id='"l"'), "api_keys[1].sha256: is that of the key 'k'"),
        ("[api_keys]", "api_keys: expected a list of 0 to 10000, each a table"),
    ],
)
def test_a_wrong_key_or_value_stops_the_start_and_is_named(text: str, said: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith(said)


@pytest.mark.parametrize(
    "url",
    [
        "a.example",
        "ftp://a.example",
        "https://",
        "https://user:pass@a.example",
        "https://a.example:99999",
        "https://a.example/ x",
        "https://a.example/#x",
        "https://a.example/?x=1",
        "https://a.example/?",
        "https://[::1",
        f"https://a.example/{'x' * 2048}",
    ],
)
def test_a_base_url_that_is_none_is_refused_without_being_repeated(url: str) -> None:
    (problem,) = problems(TWILIO + f'api_base = "{url}"')
    assert problem == (
        "locations.a.twilio.api_base: expected a URL such as https://gw.example.com, without user, query and fragment"
    )


@pytest.mark.parametrize("host", ["localhost:1", "api.localhost", "127.0.0.1:9", "[::1]:9"])
def test_http_is_allowed_on_this_machine_only(host: str) -> None:
    text = TWILIO + f'api_base = "http://{host}"'
    Accounts.parse(tomllib.loads(text), "f")
    (problem,) = problems(text.replace(host, "10.0.0.1"))
    assert problem.startswith("locations.a.twilio.api_base: expected https: http is for this machine only")


def test_everything_that_is_wrong_is_named_at_once() -> None:
    named = [
        problem.partition(": ")[0]
        for problem in problems(
            "colour = 1\n[locations.a]\nmax_per_second = 0\n[locations.b.twilio]\nauth_tokn = 1\n"
            '[meta.pages]\n1 = {location = 2}\n[[api_keys]]\nid = ""\n'
        )
    ]
    assert named == [
        "colour",
        "locations.a.max_per_second",
        "locations.b.twilio.auth_tokn",
        "locations.b.twilio.account_sid",
        "locations.b.twilio.auth_token",
        "locations.b.twilio.public_url",
        "meta.app_secret",
        "meta.verify_token",
        "meta.pages.1.location",
        "meta.pages.1.token",
        "api_keys[0].id",
        "api_keys[0].sha256",
        "api_keys[0].role",
        "api_keys[0].locations",
    ]


def test_a_page_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "accounts.toml"
    path.write_text(META + '[meta.pages]\n1 = {location = "a", token = "t"}\n1 = {location = "b", token = "t"}\n')
    with pytest.raises(SettingsError, match="expected TOML"):
        Accounts.load(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[", "expected TOML: "),
        (b"a = '\xff'", "expected TOML in UTF-8, byte 5 is not"),
        (b"a = " + b"[" * 100_000, "expected TOML of a usual shape: RecursionError"),
        (b"a = " + b"1" * 10_000, "expected TOML of a usual shape: ValueError"),
    ],
)
def test_a_file_that_is_not_toml_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "accounts.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError) as stopped:
        Accounts.load(path)
    assert stopped.value.problems[0].startswith(f"{path}: {said}")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "missing", "No such file or directory"), (tmp_path, "not a regular file")):
        with pytest.raises(SettingsError) as stopped:
            Accounts.load(path)
        assert stopped.value.problems == (f"{path}: cannot be read: {said}",)
