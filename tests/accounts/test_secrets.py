"""Secrets by reference, and that none is ever shown."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.accounts import Accounts
from gateway.accounts.references import SECRET_LIMIT_BYTES
from gateway.settings import Secret, SettingsError
from tests.accounts.files import FULL, SECRETS, written

META = '[meta]\nverify_token = "v"\napp_secret = '


def secret(folder: Path, written_as: str) -> Secret:
    path = folder / "accounts.toml"
    path.write_text(f"{META}{written_as!r}\n", encoding="utf-8")
    meta = Accounts.load(path).meta
    assert meta is not None
    return meta.app_secrets[0]


def refused(folder: Path, written_as: str) -> str:
    with pytest.raises(SettingsError) as stopped:
        secret(folder, written_as)
    (problem,) = stopped.value.problems
    return problem.removeprefix(f"{folder / 'accounts.toml'}: ")


@pytest.mark.parametrize(
    ("content", "value"), [("x", "x"), ("x\n", "x"), ("x\r\n", "x"), ("a b:c=\n", "a b:c="), ("€\n", "€")]
)
def test_a_secret_in_a_file_is_its_content_without_one_line_break(tmp_path: Path, content: str, value: str) -> None:
    (tmp_path / "token").write_bytes(content.encode())
    assert secret(tmp_path, "file:token").reveal() == value
    assert secret(tmp_path, f"file:{tmp_path / 'token'}").reveal() == value


def test_a_secret_is_the_environments_or_the_text_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SECRET", "from the environment")
    assert secret(tmp_path, "env:SOME_SECRET").reveal() == "from the environment"
    assert secret(tmp_path, "other:text").reveal() == "other:text"


@pytest.mark.parametrize(
    ("written_as", "said"),
    [
        ("env:NOT_THERE_AT_ALL", "env:NOT_THERE_AT_ALL: there is no such environment variable"),
        ("env:EMPTY", "env:EMPTY is empty"),
        ("file:none", "file:none: cannot be read: No such file or directory"),
        ("file:.", "file:.: not a regular file"),
        ("file:latin", "file:latin: not UTF-8"),
        ("file:large", f"file:large: larger than {SECRET_LIMIT_BYTES} bytes"),
        ("file:blank", "file:blank is empty"),
        ("file:two", "file:two has white space around it, or a line break"),
        ("file:breaks", "file:breaks has white space around it, or a line break"),
        ("", "is empty"),
        (" hidden", "has white space around it"),
    ],
)
def test_a_secret_that_cannot_be_used_is_named_by_its_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written_as: str, said: str
) -> None:
    monkeypatch.setenv("EMPTY", "")
    (tmp_path / "latin").write_bytes(b"hidden\xff")
    (tmp_path / "large").write_bytes(b"hidden" * SECRET_LIMIT_BYTES)
    (tmp_path / "blank").write_bytes(b" \n")
    (tmp_path / "breaks").write_bytes(b"hidden\n\n")
    (tmp_path / "two").write_bytes(b"hidden\nhidden\n")
    problem = refused(tmp_path, written_as)
    assert problem.startswith(f"meta.app_secret: {said}")
    assert "hidden" not in problem


def wrong_files() -> Iterator[str]:
    """Every line of the file spoilt in some way, the secrets written into it."""
    plain = re.sub(r'"(env|file):([^"]*)"', lambda found: f'"{SECRETS.get(found[2], "hidden-whatsapp")}"', FULL)
    assert plain.count("hidden") > len(SECRETS)
    lines = plain.splitlines()
    for number, line in enumerate(lines):
        for spoilt in (
            line.replace(" = ", " = = ", 1),
            line.replace(" = ", "x = ", 1),
            line.replace('"', "", 1),
            re.sub(r'"([^"]*)"$', r'["\1", 1]', line),
            re.sub(r"= (.*)$", r"= [{x = \1}]", line),
            re.sub(r"= .*$", '= "hidden-value"', line),
            re.sub(r"= .*$", '= "https://hidden:hidden@a.example"', line),
            re.sub(r"= .*$", '= " hidden\\n"', line),
            f"{line}\n{line}",
        ):
            yield "\n".join([*lines[:number], spoilt, *lines[number + 1 :]])


def test_no_secret_is_in_what_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = Accounts.load(written(tmp_path, monkeypatch))
    locations = list(accounts.locations.values())
    printed = [accounts, *locations, *[each.twilio for each in locations], accounts.meta, *accounts.api_keys.values()]
    assert all("hidden" not in f"{each} {each!r}" for each in printed)


# A word, a number or a region has no room for a secret; what is written there in place of one is repeated.
REPEATED = {"default_region", "keyword_profile", "max_per_second", "require_integration", "opt_out_channels", "role"}
REPEATED |= {"whatsapp_marketing_optout", "start_check_window_s"}


def refusal(path: Path) -> SettingsError | None:
    try:
        Accounts.load(path)
    except SettingsError as error:
        return error
    return None


def test_no_secret_is_in_an_error_wherever_the_file_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = [error for text in wrong_files() if (error := refusal(written(tmp_path, monkeypatch, text)))]
    assert len(refusals) > 100
    for error in refusals:
        problems = [each for each in error.problems if each.split(": ")[1].rpartition(".")[2] not in REPEATED]
        assert "hidden" not in "\n".join(problems)
        if len(problems) == len(error.problems):
            printed = "".join(traceback.format_exception(error)) + repr(error.__cause__) + repr(error.__context__)
            assert "hidden" not in printed
