"""The key server's keys (JWKS, RFC 7517): fetched, kept, and fetched again.

Theory of operation. One task fetches; calls only look the keys up. It fetches at start, every REFRESH_S, and when a
token names a key that is not known, but never more often than every AGAIN_S: whoever sends tokens with invented key ids
causes one fetch in that time, not one each. A fetch that succeeds replaces all keys, so a key that was withdrawn is not
known any more; one that fails leaves them, so an outage of the key server locks nobody out whose key is known.

Only public keys for the algorithms below are taken. A secret shared with the key server (`oct`) is not among them:
with it, whoever can check a token could make one. An RSA key below RSA_BITS is not taken either.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

log = logging.getLogger(__name__)

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

ALGORITHMS: Mapping[tuple[str, str], tuple[str, ...]] = MappingProxyType(
    {
        ("RSA", ""): ("RS256", "RS384", "RS512"),
        ("EC", "P-256"): ("ES256",),
        ("EC", "P-384"): ("ES384",),
        ("EC", "P-521"): ("ES512",),
        ("OKP", "Ed25519"): ("EdDSA",),
    }
)
"""By type and curve of a key: all that a token may be signed with."""

RSA_BITS = 2048
"""RFC 7518, 3.3: a key of this size or larger MUST be used."""

REFRESH_S = 600.0
"""A withdrawn key is not taken any longer than this, while the key server answers."""

AGAIN_S = 10.0
"""Between two fetches, however many tokens with unknown keys there are."""

FETCH_DEADLINE_S = 3.0
"""A call with an unknown key waits for it."""

BODY_LIMIT_BYTES = 1024 * 1024
KEYS_LIMIT = 100
"""Key servers publish two to ten."""


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key, and what may be checked with it."""

    public: PublicKey
    algorithms: tuple[str, ...]


class FetchError(Exception):
    """The key server did not give a set of keys; the text says why."""


class KeyServer:
    """`find` from any number of calls while `run` runs."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: Mapping[str, VerifyingKey] = {}
        self._wanted = asyncio.Event()
        self._turn = asyncio.Condition()
        self._ended = 0
        self._last_end = float("-inf")
        self.problem: str | None = "the keys have not been fetched yet"
        """Why the last fetch failed; None when it did not."""

    async def run(self) -> None:
        """Fetches, until cancelled."""
        timeout = aiohttp.ClientTimeout(total=FETCH_DEADLINE_S)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
            while True:
                self._wanted.clear()
                await self._fetch(session)
                try:
                    await asyncio.wait_for(self._wanted.wait(), REFRESH_S)
                except TimeoutError:
                    continue
                await asyncio.sleep(max(0.0, self._last_end + AGAIN_S - time.monotonic()))

    async def find(self, key_id: str) -> VerifyingKey | None:
        """The key; one that is not known is fetched for, if there was no fetch just now. None = it is not there, or
        nobody could be asked, which `problem` says."""
        if (known := self._keys.get(key_id)) is not None:
            return known
        if time.monotonic() - self._last_end < AGAIN_S:
            return None
        try:
            async with asyncio.timeout(FETCH_DEADLINE_S + 1.0), self._turn:
                seen = self._ended
                self._wanted.set()
                await self._turn.wait_for(lambda: self._ended > seen)
        except TimeoutError:
            return None
        return self._keys.get(key_id)

    async def _fetch(self, session: aiohttp.ClientSession) -> None:
        before = self.problem
        try:
            self._keys = read_keys(await _body(session, self._url))
            self.problem = None
        except FetchError as error:
            self.problem = str(error)
        if self.problem is None and before is not None:
            log.info("key server: %d keys", len(self._keys))
        elif self.problem is not None and self.problem != before:
            log.warning("key server: %s; %d keys stay known", self.problem, len(self._keys))
        self._last_end = time.monotonic()
        async with self._turn:
            self._ended += 1
            self._turn.notify_all()


async def _body(session: aiohttp.ClientSession, url: str) -> bytes:
    """Redirects are not followed: the address that was set is the one that is trusted."""
    try:
        async with session.get(url, allow_redirects=False) as answer:
            if answer.status != 200:
                raise FetchError(f"it answered {answer.status}")
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > BODY_LIMIT_BYTES:
                    raise FetchError(f"its answer is larger than {BODY_LIMIT_BYTES} bytes")
            return bytes(body)
    except TimeoutError:
        raise FetchError(f"it did not answer within {FETCH_DEADLINE_S:g} s") from None
    except (aiohttp.ClientError, OSError) as error:
        raise FetchError(f"it cannot be reached ({type(error).__name__})") from None


def read_keys(body: bytes) -> Mapping[str, VerifyingKey]:
    """The keys of a set that we can use, by id; FetchError when it is no set of keys, or none of them can be used."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise FetchError("its answer is not JSON") from None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > KEYS_LIMIT:
        raise FetchError(f"its answer has no list `keys` of at most {KEYS_LIMIT}")
    keys: dict[str, VerifyingKey] = {}
    for each in listed:
        key = _verifying_key(each) if isinstance(each, dict) else None
        if key is not None and isinstance(each.get("kid"), str):
            keys[each["kid"]] = key
    if not keys:
        raise FetchError("none of its keys can be used")
    return MappingProxyType(keys)


def _verifying_key(jwk: dict[str, Any]) -> VerifyingKey | None:
    if jwk.get("use", "sig") != "sig":
        return None
    possible = ALGORITHMS.get((str(jwk.get("kty")), "" if jwk.get("kty") == "RSA" else str(jwk.get("crv"))), ())
    algorithms = tuple(each for each in possible if jwk.get("alg") in (None, each))
    if not algorithms:
        return None
    try:
        public = PyJWK(jwk, algorithms[0]).key
    except (PyJWTError, ValueError, TypeError, KeyError):
        return None
    if isinstance(public, RSAPublicKey):
        return VerifyingKey(public, algorithms) if public.key_size >= RSA_BITS else None
    return VerifyingKey(public, algorithms) if isinstance(public, EllipticCurvePublicKey | Ed25519PublicKey) else None
