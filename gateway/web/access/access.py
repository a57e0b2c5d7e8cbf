"""The door of the contact API: from the header of a call to the caller, or a refusal.

1. `Authorization: Bearer <key or token>`. 2. A key: its SHA-256 is in the accounts file, which is followed as it
changes. 3. Else a token, if there is a key server. 4. The caller's rate.

What is kept of a key is its digest, so the look-up compares digests: who measures how long it takes learns something
of the digest of what they sent, which they know, and nothing of the keys.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac

from gateway.accounts import Lookups
from gateway.settings import ApiSettings
from gateway.web.access.caller import Caller
from gateway.web.access.keys import KeyServer
from gateway.web.access.rate import RateLimits
from gateway.web.access.refusals import Closed, NotAuthenticated
from gateway.web.access.tokens import Tokens, looks_like_a_token

SCHEME = "bearer"
CREDENTIALS_LIMIT = 16 * 1024
"""Characters of a header that is looked at."""


class Access:
    """`caller` from any number of calls while `run` runs."""

    def __init__(self, settings: ApiSettings, accounts: Lookups) -> None:
        self._accounts = accounts
        self._rates = RateLimits(settings.requests_per_second)
        self._keys: KeyServer | None = None
        self._tokens: Tokens | None = None
        if settings.jwt_jwks_url is not None:
            self._keys = KeyServer(settings.jwt_jwks_url)
            self._tokens = Tokens(self._keys, settings.jwt_issuer or "", settings.jwt_audience or "")

    async def run(self) -> None:
        """Keeps the key server's keys, until cancelled."""
        if self._keys is not None:
            await self._keys.run()
        else:
            await asyncio.Event().wait()

    async def caller(self, authorization: str | None) -> Caller:
        """Who calls, by the header. A `Refusal`."""
        caller = await self._known(authorization)
        await self._rates.pass_(caller.id)
        return caller

    async def _known(self, authorization: str | None) -> Caller:
        keys = self._accounts.api_keys
        if not keys and self._tokens is None:
            raise Closed
        scheme, _, credentials = (authorization or "").strip().partition(" ")
        credentials = credentials.strip()
        if scheme.lower() != SCHEME or not credentials:
            raise NotAuthenticated("expected the header Authorization: Bearer <key or token>")
        if len(credentials) > CREDENTIALS_LIMIT:
            raise NotAuthenticated("the key is too long")
        digest = hashlib.sha256(credentials.encode(errors="surrogateescape")).digest()
        key = keys.get(digest)
        if key is not None and hmac.compare_digest(key.digest, digest):
            return Caller(key.role, f"key:{key.id}", key.locations)
        if self._tokens is not None and looks_like_a_token(credentials):
            return await self._tokens.caller(credentials)
        raise NotAuthenticated("the key is not known")
