"""A throw-away certificate authority, a server and a client certificate for the TLS listeners, made with `openssl`."""

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from gateway.localkafka.config import LocalKafkaError

VALID_DAYS = "30"
"""Longer than any local cluster is used for, short enough to be worthless elsewhere."""

OPENSSL_DEADLINE_S = 30
"""Each call takes some 10 ms."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM texts; the files hold what a client is configured with."""

    authority: str
    server_certificate: str
    server_key: str = field(repr=False)
    authority_file: Path
    client_certificate_file: Path
    client_key_file: Path


def make_certificates(directory: Path, hosts: tuple[str, ...]) -> Certificates:
    """Make all of them in `directory` for the given host names and addresses."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise LocalKafkaError("a TLS listener needs the `openssl` command to make its certificates; it is not on PATH")
    directory.mkdir(parents=True, exist_ok=True)
    authority, authority_key = directory / "ca.pem", directory / "ca.key"
    _run(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", VALID_DAYS, "-subj", "/CN=sendguard local CA",
         "-keyout", str(authority_key), "-out", str(authority))  # fmt: skip
    names = ",".join(f"IP:{host}" if host.replace(".", "").isdigit() else f"DNS:{host}" for host in hosts)
    for name, extension in (("server", f"subjectAltName={names}\n"), ("client", "extendedKeyUsage=clientAuth\n")):
        key, request, certificate = (directory / f"{name}.{suffix}" for suffix in ("key", "csr", "pem"))
        extensions = directory / f"{name}.ext"
        extensions.write_text(extension)
        _run(openssl, "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN=sendguard local {name}",
             "-keyout", str(key), "-out", str(request))  # fmt: skip
        _run(openssl, "x509", "-req", "-in", str(request), "-CA", str(authority), "-CAkey", str(authority_key),
             "-CAcreateserial", "-days", VALID_DAYS, "-extfile", str(extensions), "-out", str(certificate))  # fmt: skip
    return Certificates(
        authority=authority.read_text(),
        server_certificate=(directory / "server.pem").read_text(),
        server_key=(directory / "server.key").read_text(),
        authority_file=authority,
        client_certificate_file=directory / "client.pem",
        client_key_file=directory / "client.key",
    )


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=OPENSSL_DEADLINE_S, check=False)  # noqa: S603
    if done.returncode != 0:
        raise LocalKafkaError(f"openssl failed: {done.stderr.strip()[-500:]}")
