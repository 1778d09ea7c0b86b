"""A package index, an npm registry and a model hub on loopback, as far as pip, npm and huggingface_hub speak to them."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "1" * 40


@dataclass
class Hold:
    """Stop in the middle of a body until the test lets it go on."""

    reached: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)


@dataclass
class Registries:
    """What is served, and what was asked for. `bodies` maps a path to its content."""

    url: str
    bodies: dict[str, bytes] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)  # by path: half of the body is sent, then it waits
    asked: list[tuple[str, str, str]] = field(default_factory=list)  # method, path, Range header

    def count(self, path: str) -> int:
        """How often a body was asked for."""
        return sum(1 for method, asked, _ in self.asked if method == "GET" and asked == path)

    def add_wheel(self, name: str, members: dict[str, bytes], *, spoil: str = "") -> str:
        """Publish version 1.0 of a package; `spoil` names a member whose bytes are changed after zipping. Gives its path."""
        stem = f"{name.replace('-', '_')}-1.0"
        file, info = f"{stem}-py3-none-any.whl", f"{stem}.dist-info"
        members = members | {
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
            f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/RECORD": b"",
        }
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as wheel:  # stored, not deflated
            for path, content in members.items():
                wheel.writestr(path, content)
        body = buffer.getvalue()
        if spoil:
            content = members[spoil]
            body = body.replace(content, bytes(len(content)), 1)
        self.bodies[f"/files/{file}"] = body
        page = f'<a href="/files/{file}#sha256={hashlib.sha256(body).hexdigest()}">{file}</a>'
        self.bodies[f"/simple/{name}/"] = f"<!DOCTYPE html><html><body>{page}</body></html>".encode()
        return f"/files/{file}"

    def add_tarball(self, name: str, members: dict[str, bytes]) -> str:
        """Publish version 1.0.0 of an npm package. Gives the path of its tarball."""
        manifest: dict[str, Any] = {"name": name, "version": "1.0.0"}
        members = {"package/package.json": json.dumps(manifest).encode()} | members
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as tarball:
            for path, content in members.items():
                entry = tarfile.TarInfo(path)
                entry.size = len(content)
                tarball.addfile(entry, io.BytesIO(content))
        body = buffer.getvalue()
        path = f"/{name}/-/{name}-1.0.0.tgz"
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(body).digest()).decode()
        manifest["dist"] = {"tarball": self.url + path, "integrity": integrity}
        self.bodies[path] = body
        index = {"name": name, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": manifest}}
        self.bodies[f"/{name}"] = json.dumps(index).encode()
        return path

    def add_repository(self, repo: str, files: dict[str, bytes]) -> None:
        """Publish a hub repository."""
        siblings = [{"rfilename": name} for name in files]
        self.bodies[f"/api/models/{repo}/revision/main"] = json.dumps(
            {"id": repo, "sha": COMMIT, "siblings": siblings}
        ).encode()
        tree = [{"type": "file", "path": n, "size": len(c), "oid": hashlib.sha1(c).hexdigest()} for n, c in files.items()]
        self.bodies[f"/api/models/{repo}/tree/{COMMIT}"] = json.dumps(tree).encode()
        for revision in ("main", COMMIT):
            for name, content in files.items():
                self.bodies[f"/{repo}/resolve/{revision}/{name}"] = content


@contextmanager
def registries() -> Iterator[Registries]:
    """Serve on a free loopback port."""
    served = Registries("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            path = self.path.partition("?")[0]
            asked_range = self.headers.get("Range", "")
            served.asked.append((self.command, path, asked_range))
            if path == "/":
                self._send(200, b"")
            elif path not in served.bodies:
                self._send(404, b"not here", path)
            else:
                body = served.bodies[path]
                start = int(asked_range.removeprefix("bytes=").partition("-")[0]) if asked_range else 0
                self._send(206 if asked_range else 200, body[start:], path, hashlib.sha256(body).hexdigest())

        def _send(self, status: int, body: bytes, path: str = "", etag: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "application/json" if path.startswith("/api/") else "text/html")
            if status == 404:
                self.send_header("X-Error-Code", "EntryNotFound" if "/resolve/" in path else "RepoNotFound")
            elif "/resolve/" in path:
                self.send_header("ETag", f'"{etag}"')
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("Accept-Ranges", "bytes")
            self.end_headers()
            if self.command == "HEAD":
                return
            hold = served.holds.get(path)
            half = len(body) * 9 // 10 if hold else len(body)
            try:
                self.wfile.write(body[:half])
                if hold:
                    self.wfile.flush()
                    hold.reached.set()
                    hold.release.wait()
                    self.wfile.write(body[half:])
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the client was killed: what the test is about

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        for hold in served.holds.values():
            hold.release.set()
        server.shutdown()
        server.server_close()
        thread.join()
