"""A key server on a real port, and tokens of its keys."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gateway.settings import Settings

ISSUER, AUDIENCE = "https://id.example.com/", "sendguard"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SHORT_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - that it is refused is tested
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()


def jwk(key_id: str, key: PrivateKey, **more: object) -> dict[str, object]:
    """The public half, as a key server publishes it."""
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        made = jwt.algorithms.RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        made = jwt.algorithms.ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        made = jwt.algorithms.OKPAlgorithm.to_jwk(public, as_dict=True)
    return made | {"kid": key_id} | more


def claims(**changes: object) -> dict[str, object]:
    """Of a user of loc1; None takes a claim out."""
    made: dict[str, object] = {
        "sub": "alice",
        "role": "user",
        "locations": ["loc1"],
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": int(time.time()) + 600,
    }
    return {name: value for name, value in (made | changes).items() if value is not None}


def token(key: PrivateKey = EC_KEY, algorithm: str = "ES256", key_id: str | None = "k1", **changes: object) -> str:
    headers = {} if key_id is None else {"kid": key_id}
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers=headers)


@dataclass
class KeyServerThatCounts:
    """Publishes `keys`; answers `status`; `goes` is cleared to let it hang."""

    url: str = ""
    keys: list[dict[str, object]] = field(default_factory=list)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    fetches: int = 0
    goes: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, _: web.Request) -> web.Response:
        self.fetches += 1
        await self.goes.wait()
        return web.Response(status=self.status, text=json.dumps({"keys": self.keys}), headers=self.headers)

    def settings(self, **more: Any) -> Settings:
        return Settings.of(jwt_jwks_url=self.url, jwt_issuer=ISSUER, jwt_audience=AUDIENCE, **more)


@asynccontextmanager
async def key_server(*keys: dict[str, object]) -> AsyncIterator[KeyServerThatCounts]:
    served = KeyServerThatCounts(keys=list(keys))
    served.goes.set()
    app = web.Application()
    app.router.add_get("/jwks", served.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks"
    try:
        yield served
    finally:
        served.goes.set()
        await runner.cleanup()
