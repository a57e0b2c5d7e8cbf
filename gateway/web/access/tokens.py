"""JSON web tokens (RFC 7519): who calls, by the signature of a key server that is trusted.

The token says which key has signed it; the key, and not the token, says with which algorithms. So neither `none` nor an
HMAC made with a public key is ever looked at. Issuer, audience and an end (`exp`) are required.
"""

from __future__ import annotations

import jwt
import msgspec
from jwt.exceptions import PyJWTError

from gateway.accounts.model import API_ROLES
from gateway.contract.requests import ID_LIMIT
from gateway.dnd.model import ActorKind
from gateway.web.access.caller import Caller
from gateway.web.access.keys import AGAIN_S, KeyServer
from gateway.web.access.refusals import KeysUnavailable, NotAuthenticated

TOKEN_LIMIT = 16 * 1024
"""Characters: more than a header line of most servers has room for."""

LEEWAY_S = 30
"""Between the clocks of the key server and ours."""

CLAIMED_LOCATIONS_LIMIT = 1_000

_REQUIRED = ["exp", "iss", "aud", "sub"]


class _Claims(msgspec.Struct):
    """What is ours in a token; the rest PyJWT has checked."""

    sub: str
    role: ActorKind
    locations: list[str]


class Tokens:
    """Reads tokens for one issuer and audience."""

    def __init__(self, keys: KeyServer, issuer: str, audience: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience

    async def caller(self, token: str) -> Caller:
        """NotAuthenticated, KeysUnavailable."""
        if len(token) > TOKEN_LIMIT:
            raise NotAuthenticated("the token is too long")
        key_id = _key_id(token)
        key = await self._keys.find(key_id)
        if key is None:
            if self._keys.problem is not None:
                raise KeysUnavailable(int(AGAIN_S))
            raise NotAuthenticated("the token is signed with a key that the key server does not know")
        try:
            payload = jwt.decode(
                token,
                key.public,
                algorithms=list(key.algorithms),
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_S,
                options={"require": _REQUIRED, "strict_aud": False},
            )
        except (PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise NotAuthenticated(f"the token is not valid ({type(error).__name__})") from None
        return _caller(payload)


def looks_like_a_token(text: str) -> bool:
    """Three parts; no API key of ours need look so."""
    return text.count(".") == 2


def _key_id(token: str) -> str:
    try:
        header = jwt.get_unverified_header(token)
    except (PyJWTError, ValueError, TypeError, RecursionError):
        raise NotAuthenticated("the token cannot be read") from None
    key_id = header.get("kid")
    if not isinstance(key_id, str):
        raise NotAuthenticated("the token does not name its key (kid)")
    return key_id


def _caller(payload: dict[str, object]) -> Caller:
    try:
        claims = msgspec.convert(payload, _Claims)
    except msgspec.ValidationError as error:
        raise NotAuthenticated(f"a claim of the token is not as expected: {error}") from None
    if claims.role not in API_ROLES:
        raise NotAuthenticated(f"the claim role: expected one of {', '.join(API_ROLES)}")
    if not 0 < len(claims.sub) <= ID_LIMIT:
        raise NotAuthenticated(f"the claim sub: expected 1 to {ID_LIMIT} characters")
    if len(claims.locations) > CLAIMED_LOCATIONS_LIMIT:
        raise NotAuthenticated(f"the claim locations: expected at most {CLAIMED_LOCATIONS_LIMIT}")
    return Caller(claims.role, f"jwt:{claims.sub}", frozenset(claims.locations))
