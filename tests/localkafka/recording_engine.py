"""A Docker engine that records what it is asked and only pretends to run containers."""

import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class RecordedContainer:
    created_with: dict[str, Any]
    status: str = "created"
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass
class RecordingEngine:
    """`calls` are method and path, without the API version. A path in `refused` gets an error of the engine."""

    containers: dict[str, RecordedContainer] = field(default_factory=dict)
    networks: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: bytes) -> tuple[int, Any]:
        self.calls.append(f"{method} {path}")
        if path in self.refused:
            return 500, {"message": f"refused: {path}"}
        match [method, *path.strip("/").split("/")]:
            case ["GET", "_ping"]:
                return 200, "OK"
            case ["GET", "version"]:
                return 200, {"ApiVersion": "1.44", "Version": "27.0.0"}
            case ["GET", "images", *name]:
                return 200, {"Id": "/".join(name)}
            case ["POST", "networks", "create"]:
                self.networks.add(json.loads(body)["Name"])
                return 201, {"Id": json.loads(body)["Name"]}
            case ["GET", "networks", name]:
                return 200, {"Id": name, "Name": name}
            case ["DELETE", "networks", name]:
                self.networks.remove(name)
                return 204, None
            case ["POST", "containers", "create"]:
                name = f"container-{len(self.containers) + 1}"
                self.containers[name] = RecordedContainer(json.loads(body))
                return 201, {"Id": name}
            case [_, "containers", name, *verb]:
                return self._container(method, name, verb[0] if verb else "", query, body)
        return 404, {"message": f"this engine does not know {method} {path}"}

    def _container(
        self, method: str, name: str, verb: str, query: dict[str, list[str]], body: bytes
    ) -> tuple[int, Any]:
        container = self.containers.get(name)
        if container is None:
            return 404, {"message": f"no such container: {name}"}
        match method, verb:
            case "GET", "json":
                return 200, {"Id": name, "State": {"Status": container.status}, "Config": {"Tty": True}}
            case "GET", "logs":
                return 200, "its log"
            case "PUT", "archive":
                with tarfile.open(fileobj=io.BytesIO(body)) as archive:
                    for member in archive:
                        content = archive.extractfile(member)
                        container.files[member.name] = b"" if content is None else content.read()
                return 200, None
            case "POST", "start" | "unpause":
                container.status = "running"
            case "POST", "pause":
                container.status = "paused"
            case "POST", "kill":
                container.status = "exited"
                self.calls[-1] += f" {query.get('signal', ['SIGKILL'])[0]}"
            case "DELETE", "":
                self.calls[-1] += f" v={query.get('v')}"
                del self.containers[name]
        return 204, None


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


@contextmanager
def serving(engine: RecordingEngine, at: Path) -> Iterator[None]:
    """Serve on the Unix socket `at`, as a local engine does."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            first, _, rest = url.path.lstrip("/").partition("/")
            path = f"/{rest}" if first.startswith("v1.") else url.path
            status, answer = engine.answer(self.command, path, parse_qs(url.query), body)
            text = "" if answer is None else answer if isinstance(answer, str) else json.dumps(answer)
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
            if status != 204:
                self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 - names of http.server

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - name of http.server
            """Say nothing."""

    with _Server(str(at), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="recording-engine")
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
