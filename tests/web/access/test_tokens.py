"""Tokens: what of them counts, and whose signature."""

from __future__ import annotations

import base64
import hmac
import json
import time

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounts import Accounts
from gateway.dnd.model import ActorKind
from gateway.web.access import Access, Caller, KeysUnavailable, NotAuthenticated
from gateway.web.access import keys as fetching
from gateway.web.access.keys import FetchError, read_keys
from tests.running import until
from tests.signals.scene import at_work
from tests.web.access.serving import EC_KEY, ED_KEY, RSA_KEY, SHORT_RSA_KEY, claims, jwk, key_server, token


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(RSA_KEY, "RS256"), (RSA_KEY, "RS512"), (EC_KEY, "ES256"), (ED_KEY, "EdDSA")],
)
async def test_a_token_of_the_key_server_speaks_for_its_claims(key: object, algorithm: str) -> None:
    async with key_server(jwk("k1", key)) as server:  # type: ignore[arg-type]
        access = Access(server.settings().api, Accounts())
        async with at_work(access.run()):
            given_token = token(key, algorithm, role="support", locations=["*"])  # type: ignore[arg-type]
            assert await access.caller(f"Bearer {given_token}") == Caller(
                ActorKind.SUPPORT, "jwt:alice", frozenset({"*"})
            )


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _with_header(**header: str) -> str:
    return ".".join(_encoded(json.dumps(part).encode()) for part in (header | {"kid": "k1"}, claims()))


def _signed_with_the_public_key() -> str:
    """The classic: an HMAC whose secret is what everybody can read at the key server."""
    secret = EC_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = _with_header(alg="HS256")
    return f"{signed}.{_encoded(hmac.digest(secret, signed.encode(), 'sha256'))}"


@pytest.mark.parametrize(
    "bad",
    [
        _with_header(alg="none") + ".",
        _signed_with_the_public_key(),
        token(exp=int(time.time()) - 3600),
        token(exp=None),
        token(nbf=int(time.time()) + 3600),
        token(iss="https://else.example.com/"),
        token(iss=None),
        token(aud="other"),
        token(aud=None),
        token(sub=None),
        token(sub=""),
        token(role="workflow"),
        token(role="contact"),
        token(role=None),
        token(locations="*"),
        token(locations=None),
        token(key_id=None),
        token(RSA_KEY, "RS256"),
        token(ED_KEY, "EdDSA"),
        token(key_id="k-of-nobody"),
        token()[:-4],
        token() + "x" * 20_000,
        "a.b.c",
        "..",
    ],
)
async def test_a_token_that_is_not_in_order_is_refused(bad: str) -> None:
    async with key_server(jwk("k1", EC_KEY)) as server:
        access = Access(server.settings().api, Accounts())
        async with at_work(access.run()):
            with pytest.raises(NotAuthenticated):
                await access.caller(f"Bearer {bad}")


async def test_keys_that_are_secrets_or_too_short_or_for_something_else_are_not_taken() -> None:
    secret = {"kty": "oct", "kid": "k1", "k": base64.urlsafe_b64encode(b"x" * 32).decode()}
    useless = [secret, jwk("k2", SHORT_RSA_KEY), jwk("k3", EC_KEY, use="enc"), jwk("k4", RSA_KEY, alg="HS256"), {}, 7]
    with pytest.raises(FetchError, match="none of its keys"):
        read_keys(json.dumps({"keys": useless}).encode())
    assert set(read_keys(json.dumps({"keys": [*useless, jwk("k5", ED_KEY)]}).encode())) == {"k5"}


@given(
    st.binary()
    | st.recursive(st.none() | st.text(), lambda inner: st.lists(inner)).map(lambda x: json.dumps(x).encode())
)
def test_whatever_a_key_server_says_is_keys_or_refused(body: bytes) -> None:
    with pytest.raises(FetchError):
        read_keys(body)


async def test_a_new_key_is_fetched_when_a_token_names_it_and_an_old_one_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetching, "AGAIN_S", 0.0)
    async with key_server(jwk("k1", EC_KEY)) as server:
        access = Access(server.settings().api, Accounts())
        async with at_work(access.run()):
            await access.caller(f"Bearer {token()}")
            server.keys = [jwk("k2", ED_KEY)]
            await access.caller(f"Bearer {token(ED_KEY, 'EdDSA', 'k2')}")
            with pytest.raises(NotAuthenticated):
                await access.caller(f"Bearer {token()}")


async def test_tokens_with_invented_keys_do_not_make_us_ask_the_key_server_each_time() -> None:
    async with key_server(jwk("k1", EC_KEY)) as server:
        access = Access(server.settings().api, Accounts())
        async with at_work(access.run()):
            await access.caller(f"Bearer {token()}")
            for number in range(20):
                with pytest.raises(NotAuthenticated):
                    await access.caller(f"Bearer {token(key_id=f'invented-{number}')}")
        assert server.fetches == 1


async def test_while_the_key_server_is_down_known_keys_go_on_and_others_are_asked_to_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetching, "AGAIN_S", 0.0)
    async with key_server(jwk("k1", EC_KEY)) as server:
        access = Access(server.settings().api, Accounts())
        async with at_work(access.run()):
            await access.caller(f"Bearer {token()}")
            server.status = 500
            with pytest.raises(KeysUnavailable):
                await access.caller(f"Bearer {token(ED_KEY, 'EdDSA', 'k2')}")
            await access.caller(f"Bearer {token()}")


async def test_a_key_server_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "FETCH_DEADLINE_S", 0.1)
    async with key_server(jwk("k1", EC_KEY)) as server:
        server.goes.clear()
        access = Access(server.settings().api, Accounts())
        async with at_work(access.run()):
            with pytest.raises(KeysUnavailable):
                await access.caller(f"Bearer {token()}")


async def test_a_redirect_of_the_key_server_is_not_followed() -> None:
    async with key_server(jwk("k1", EC_KEY)) as other, key_server() as server:
        server.status, server.headers = 302, {"Location": other.url}
        access = Access(server.settings().api, Accounts())
        async with at_work(access.run()):
            await until(lambda: server.fetches)
            with pytest.raises(KeysUnavailable):
                await access.caller(f"Bearer {token()}")
        assert other.fetches == 0
