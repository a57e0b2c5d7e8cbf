"""A throw-away certificate authority, a server and a client certificate for the TLS listeners, made with `openssl`."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from gateway.localkafka.config import LocalKafkaConfig, LocalKafkaError
from gateway.localkafka.external import run_to_end

VALID_DAYS = "30"
"""Longer than any local cluster is used for, short enough to be worthless elsewhere."""

OPENSSL_DEADLINE_S = 30
"""Each call takes some 100 ms."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM texts; the files hold what a client is configured with."""

    authority: str
    server_certificate: str
    server_key: str = field(repr=False)
    authority_file: Path
    client_certificate_file: Path
    client_key_file: Path


def make_certificates(directory: Path, hosts: tuple[str, ...], config: LocalKafkaConfig) -> Certificates | None:
    """Make all of them in `directory` for the given host names and addresses; None when no listener has TLS."""
    if not any(protocol.has_tls for protocol in config.secure_listeners):
        return None
    openssl = shutil.which("openssl")
    if openssl is None:
        raise LocalKafkaError("a TLS listener needs the `openssl` command to make its certificates; it is not on PATH")
    directory.mkdir(parents=True, exist_ok=True)
    authority = directory / "ca.pem"
    _run(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", VALID_DAYS, "-subj", "/CN=sendguard local",
         "-keyout", str(directory / "ca.key"), "-out", str(authority))  # fmt: skip
    names = ",".join(f"IP:{host}" if host.replace(".", "").isdigit() else f"DNS:{host}" for host in hosts)
    server, server_key = _issue(openssl, directory, "server", f"subjectAltName={names}\n")
    client, client_key = _issue(openssl, directory, "client", "extendedKeyUsage=clientAuth\n")
    return Certificates(
        authority=authority.read_text(),
        server_certificate=server.read_text(),
        server_key=server_key.read_text(),
        authority_file=authority,
        client_certificate_file=client,
        client_key_file=client_key,
    )


def _issue(openssl: str, directory: Path, name: str, extensions: str) -> tuple[Path, Path]:
    """A certificate of our authority and its key (PKCS #8, as Kafka wants it)."""
    key, request, certificate, extension_file = (directory / f"{name}.{end}" for end in ("key", "csr", "pem", "ext"))
    extension_file.write_text(extensions)
    _run(openssl, "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN=sendguard local {name}",
         "-keyout", str(key), "-out", str(request))  # fmt: skip
    _run(openssl, "x509", "-req", "-in", str(request), "-CA", str(directory / "ca.pem"),
         "-CAkey", str(directory / "ca.key"), "-CAcreateserial", "-days", VALID_DAYS,
         "-extfile", str(extension_file), "-out", str(certificate))  # fmt: skip
    return certificate, key


def _run(*command: str) -> None:
    run_to_end("openssl", command, OPENSSL_DEADLINE_S)
