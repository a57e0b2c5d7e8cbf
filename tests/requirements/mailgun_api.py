"""Mailgun's API, as far as a clean-up calls it. It answers by how the address begins, and remembers the calls."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

Called = tuple[str, str]
"""A method, and the decoded path."""

UNDELIVERABLE, BROKEN = "nobody.", "broken."
"""How addresses begin that take no mail, and whose removal from a list fails for good."""


class MailgunApi:
    """`calls` in their order; `listed`: addresses that are on every list until they are taken off."""

    def __init__(self) -> None:
        self.calls: list[Called] = []
        self.url = ""

    def of(self, address: str) -> list[Called]:
        """The calls about one address."""
        return [called for called in self.calls if address in called[1]]

    def answer(self, method: str, target: str) -> tuple[int, dict[str, object]]:
        split = urlsplit(target)
        path, query = unquote(split.path), parse_qs(split.query)
        address = query.get("address", [path.rpartition("/")[2]])[0]
        self.calls.append((method, f"{path}?{address}" if query else path))
        if method == "GET":
            result = "undeliverable" if address.startswith(UNDELIVERABLE) else "deliverable"
            return 200, {"address": address, "result": result, "risk": "low", "reason": []}
        if address.startswith(BROKEN):
            return 401, {"message": "Invalid private key"}
        if "/unsubscribes/" in path:
            return 404, {"message": "Address not found in unsubscribers table"}
        return 200, {"message": "Bounced address has been removed", "address": address}


@contextmanager
def mailgun_api() -> Iterator[MailgunApi]:
    """Serving on a free port of this machine."""
    api = MailgunApi()

    class Handler(BaseHTTPRequestHandler):
        def do_DELETE(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing on stderr."""

        def _answer(self) -> None:
            status, said = api.answer(self.command, self.path)
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever, name="Mailgun's API")
    serving.start()
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        serving.join()
