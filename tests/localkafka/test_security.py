"""The secure listeners, reached by an independent client."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from gateway.localkafka import LocalKafka, LocalKafkaConfig, LocalKafkaError, SecurityProtocol
from gateway.localkafka.certificates import make_certificates
from tests.localkafka.clients import QUIET, create_topic, produce, read

REFUSED_WITHIN_S = 3.0


@pytest.fixture(scope="module")
def secured() -> Iterator[LocalKafka]:
    protocols = (SecurityProtocol.SSL, SecurityProtocol.SASL_PLAINTEXT, SecurityProtocol.SASL_SSL)
    with LocalKafka(LocalKafkaConfig(secure_listeners=protocols)) as kafka:
        yield kafka


def credentials(kafka: LocalKafka, protocol: SecurityProtocol) -> dict[str, str]:
    """What a client of this listener is configured with."""
    settings = {"security.protocol": protocol.value}
    if protocol.has_tls:
        assert kafka.certificates is not None
        settings["ssl.ca.location"] = str(kafka.certificates.authority_file)
    if protocol.has_sasl:
        settings |= {
            "sasl.mechanism": "PLAIN",
            "sasl.username": kafka.config.sasl_username,
            "sasl.password": kafka.config.sasl_password,
        }
    return settings


def is_refused(kafka: LocalKafka, protocol: SecurityProtocol, settings: dict[str, str]) -> bool:
    admin = AdminClient({**QUIET, "bootstrap.servers": kafka.bootstrap_for(protocol), **settings})
    try:
        admin.list_topics(timeout=REFUSED_WITHIN_S)
    except KafkaException:
        return True
    return False


@pytest.mark.parametrize("protocol", [SecurityProtocol.SSL, SecurityProtocol.SASL_PLAINTEXT, SecurityProtocol.SASL_SSL])
def test_a_client_with_the_right_credentials_writes_and_reads(
    secured: LocalKafka, protocol: SecurityProtocol, fresh_name: str
) -> None:
    bootstrap, settings = secured.bootstrap_for(protocol), credentials(secured, protocol)
    create_topic(bootstrap, fresh_name, **settings)
    produce(bootstrap, fresh_name, [b"secret"], **settings)
    assert read(bootstrap, fresh_name, 1, **settings) == [b"secret"]


@pytest.mark.parametrize("protocol", [SecurityProtocol.SASL_PLAINTEXT, SecurityProtocol.SASL_SSL])
def test_a_wrong_password_is_refused(secured: LocalKafka, protocol: SecurityProtocol) -> None:
    assert not is_refused(secured, protocol, credentials(secured, protocol))
    assert is_refused(secured, protocol, credentials(secured, protocol) | {"sasl.password": "wrong"})


@pytest.mark.parametrize("protocol", [SecurityProtocol.SSL, SecurityProtocol.SASL_SSL])
def test_a_client_that_does_not_know_the_authority_refuses_the_broker(
    secured: LocalKafka, protocol: SecurityProtocol
) -> None:
    settings = credentials(secured, protocol)
    assert not is_refused(secured, protocol, settings)
    del settings["ssl.ca.location"]
    assert is_refused(secured, protocol, settings)


def test_a_client_without_tls_does_not_get_through_a_tls_listener(secured: LocalKafka) -> None:
    assert is_refused(secured, SecurityProtocol.SSL, {"security.protocol": "PLAINTEXT"})


def test_a_client_may_show_its_certificate(secured: LocalKafka) -> None:
    assert secured.certificates is not None
    own = {
        "ssl.certificate.location": str(secured.certificates.client_certificate_file),
        "ssl.key.location": str(secured.certificates.client_key_file),
    }
    assert not is_refused(secured, SecurityProtocol.SSL, credentials(secured, SecurityProtocol.SSL) | own)


def test_tls_without_openssl_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    config = LocalKafkaConfig(secure_listeners=(SecurityProtocol.SSL,))
    with pytest.raises(LocalKafkaError, match="needs the `openssl` command"):
        make_certificates(tmp_path, ("localhost",), config)
