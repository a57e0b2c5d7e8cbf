"""Who is let in to the contact API."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from gateway.accounts import Accounts, LiveAccounts
from gateway.dnd.model import Actor, ActorKind
from gateway.settings import Settings
from gateway.web.access import Access, Caller, Closed, NotAuthenticated, TooManyCalls

KEY = "sk-live-1"


def keys(**of_roles: str) -> dict[str, object]:
    """The content of an accounts file: one key for each role, for loc1."""
    return {
        "api_keys": [
            {"id": role, "sha256": hashlib.sha256(key.encode()).hexdigest(), "role": role, "locations": ["loc1"]}
            for role, key in of_roles.items()
        ]
    }


def access(accounts: Accounts, **values: object) -> Access:
    return Access(Settings.of(**values).api, accounts)


async def test_a_key_is_known_by_its_hash_and_speaks_for_its_role_and_locations() -> None:
    opened = access(Accounts.parse(keys(user=KEY, support="sk-live-2"), "test"))
    caller = await opened.caller(f"Bearer {KEY}")
    assert caller == Caller(ActorKind.USER, "key:user", frozenset({"loc1"}))
    assert caller.actor == Actor(ActorKind.USER, "key:user")
    assert (caller.is_for("loc1"), caller.is_for("loc2")) == (True, False)
    assert (await opened.caller("bearer  sk-live-2 ")).kind is ActorKind.SUPPORT


async def test_a_star_is_every_location() -> None:
    assert Caller(ActorKind.AGENCY, "key:a", frozenset({"*"})).is_for("whatever")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        KEY,
        f"Basic {KEY}",
        f"Bearer {KEY}x",
        f"Bearer {KEY[:-1]}",
        f"Bearer {hashlib.sha256(KEY.encode()).hexdigest()}",
        "Bearer \udcff",
        "Bearer " + "x" * 100_000,
        "Bearer a.b.c",
    ],
)
async def test_who_has_no_key_of_ours_is_not_let_in(header: str | None) -> None:
    with pytest.raises(NotAuthenticated) as refused:
        await access(Accounts.parse(keys(user=KEY), "test")).caller(header)
    assert KEY not in str(refused.value)


async def test_without_keys_and_a_key_server_the_api_is_closed_and_says_so() -> None:
    with pytest.raises(Closed, match="neither API keys nor a key server"):
        await access(Accounts()).caller(f"Bearer {KEY}")


async def test_a_key_that_is_taken_out_of_the_file_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "accounts.toml"
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    path.write_text(f'[[api_keys]]\nid = "crm"\nsha256 = "{digest}"\nrole = "user"\nlocations = ["loc1"]\n')
    accounts = LiveAccounts(path)
    opened = Access(Settings.of().api, accounts)
    await opened.caller(f"Bearer {KEY}")
    path.write_text("")
    accounts.reload_soon()
    await accounts.reload_if_changed()
    with pytest.raises(Closed):
        await opened.caller(f"Bearer {KEY}")


async def test_each_key_has_its_own_rate() -> None:
    opened = access(Accounts.parse(keys(user=KEY, agency="sk-2"), "test"), api_requests_per_second=3)
    for _ in range(3):
        await opened.caller(f"Bearer {KEY}")
    with pytest.raises(TooManyCalls) as refused:
        await opened.caller(f"Bearer {KEY}")
    assert refused.value.retry_after_s == 1
    await opened.caller("Bearer sk-2")
