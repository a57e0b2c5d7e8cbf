"""One table of attacks for every provider that signs with HMAC-SHA256, and the vectors they are checked against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from gateway.providers.mailgun import webhooks as mailgun
from gateway.providers.meta import webhooks as meta
from gateway.providers.signals import BadSignature
from tests.providers.calls import APP_SECRET, MAILGUN_KEY, encoded, hex_hmac

SIGNED = b"1529006854a8ce0edb2dd8301dee6c2405235584e45aa91d1e9f979f3de0"


@dataclass(frozen=True)
class Attempt:
    """What is signed (for Mailgun its timestamp and token), the signature given, and the keys we know."""

    signed: bytes
    signature: str | None
    keys: tuple[str, ...]


def to_mailgun(attempt: Attempt) -> None:
    given = {"timestamp": attempt.signed[:10].decode(), "token": attempt.signed[10:].decode()}
    signature = given if attempt.signature is None else given | {"signature": attempt.signature}
    mailgun.verify(encoded({"signature": signature, "event-data": {}}), attempt.keys)


def to_mailgun_of_a_subaccount(attempt: Attempt) -> None:
    given = {"timestamp": attempt.signed[:10].decode(), "token": attempt.signed[10:].decode(), "signature": "0" * 64}
    signature = given if attempt.signature is None else given | {"parent-signature": attempt.signature}
    mailgun.verify(encoded({"signature": signature, "event-data": {}}), attempt.keys)


def to_meta(attempt: Attempt) -> None:
    meta.verify(attempt.signed, None if attempt.signature is None else f"sha256={attempt.signature}", attempt.keys)


DOORS = pytest.mark.parametrize("door", [to_mailgun, to_mailgun_of_a_subaccount, to_meta])

SIGNATURE = hex_hmac("key-of-tests", SIGNED)


def forged(
    signed: bytes = SIGNED, signature: str | None = SIGNATURE, keys: tuple[str, ...] = ("key-of-tests",)
) -> Attempt:
    """An attempt that would be good, but for what is given."""
    return Attempt(signed, signature, keys)


FORGED = {
    "missing": forged(signature=None),
    "empty": forged(signature=""),
    "truncated": forged(signature=SIGNATURE[:-1]),
    "half": forged(signature=SIGNATURE[:32]),
    "longer": forged(signature=SIGNATURE + "0"),
    "one digit changed": forged(signature=("1" if SIGNATURE[0] != "1" else "2") + SIGNATURE[1:]),
    "not hexadecimal": forged(signature="g" * 64),
    "not ascii": forged(signature="é" * 64),
    "half an emoji": forged(signature="\ud83d"),
    "prefix twice": forged(signature=f"sha256={SIGNATURE}"),
    "wrong prefix": forged(signature=f"sha1={SIGNATURE}"),
    "signed text changed": forged(signed=SIGNED + b"0"),
    "wrong key": forged(keys=("another key",)),
    "no key": forged(keys=()),
    "empty key": forged(keys=("",), signature=hex_hmac("", SIGNED)),
    "an empty key beside a good one": forged(keys=("", "key-of-tests"), signature=hex_hmac("", SIGNED)),
}


@DOORS
@pytest.mark.parametrize("attempt", FORGED.values(), ids=FORGED.keys())
def test_what_is_not_signed_under_a_known_key_is_refused(door: Callable[[Attempt], None], attempt: Attempt) -> None:
    with pytest.raises(BadSignature) as refused:
        door(attempt)
    assert "key-of-tests" not in str(refused.value)
    assert SIGNATURE not in str(refused.value)


@DOORS
@pytest.mark.parametrize(
    "keys", [("key-of-tests",), ("the next key", "key-of-tests"), ("key-of-tests", "the former key")]
)
def test_a_signature_under_any_of_the_keys_is_good_while_they_are_rotated(
    door: Callable[[Attempt], None], keys: tuple[str, ...]
) -> None:
    door(forged(keys=keys))


def test_the_vectors_of_the_documentation_are_met() -> None:
    """Computed apart from this code."""
    given = {
        "timestamp": "1529006854",
        "token": "a8ce0edb2dd8301dee6c2405235584e45aa91d1e9f979f3de0",
        "signature": "2df0e54f503d31abdc1519117a730ae38748e41e86f9ae25431dbd26059468af",
    }
    mailgun.verify(encoded({"signature": given, "event-data": {}}), (MAILGUN_KEY,))
    header = "sha256=e6e9d7a842a48e17f43a34d6125d0d933e2aab92ee37f0993a4d493b50e3d438"
    meta.verify(b'{"object":"page","entry":[]}', header, (APP_SECRET,))


def test_meta_signs_the_bytes_and_not_what_they_say() -> None:
    """The same JSON, spelt without the escapes that Meta uses, is another body."""
    body = b'{"object":"page","entry":[],"name":"\\u00e9"}'
    header = f"sha256={hex_hmac(APP_SECRET, body)}"
    meta.verify(body, header, (APP_SECRET,))
    with pytest.raises(BadSignature):
        meta.verify('{"object":"page","entry":[],"name":"é"}'.encode(), header, (APP_SECRET,))


@pytest.mark.parametrize("header", ["", SIGNATURE, f"SHA256={SIGNATURE}", f"sha1={SIGNATURE}", f" sha256={SIGNATURE}"])
def test_meta_without_its_prefix_is_refused(header: str) -> None:
    with pytest.raises(BadSignature):
        meta.verify(SIGNED, header, ("key-of-tests",))


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{", b"\xff", b"{}", b'{"signature":null}', b'{"signature":{"token":"t"}}', b"[" * 9999],
)
def test_a_mailgun_body_without_a_signature_in_it_is_refused(body: bytes) -> None:
    with pytest.raises(BadSignature):
        mailgun.verify(body, (MAILGUN_KEY,))


def test_moving_the_border_between_timestamp_and_token_does_not_make_a_call_new() -> None:
    """The signature covers both as one text, so it stays good; the replay memory must know the call all the same."""

    def call(border: int) -> bytes:
        parts = {"timestamp": SIGNED[:border].decode(), "token": SIGNED[border:].decode()}
        return encoded({"signature": parts | {"signature": hex_hmac("k", SIGNED)}, "event-data": {}})

    moved = [mailgun.verify(call(border), ("k",)) for border in (10, 9, 11)]
    assert len({envelope.replay_key for envelope in moved}) == 1
    assert moved[0].signed_at == 1_529_006_854_000
    assert moved[1].signed_at is None
