"""A small HTTP server on the loopback interface that behaves well or badly."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

CONTENT = {"a.bin": np.random.default_rng(1).bytes(300_000), "b.bin": b"second file"}


class Server(ThreadingHTTPServer):
    """Serves CONTENT below /good/, and below other names serves it in the way the name says."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[str] = []
        self.release = threading.Event()  # lets the hanging answers end when the test does
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def address(self, behaviour: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{behaviour}/"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        behaviour, name = self.path.partition("?")[0].strip("/").split("/")
        body = CONTENT[name]
        if behaviour == "missing" or (behaviour == "half-missing" and name == "b.bin"):
            self.send_error(404)
            return
        if behaviour == "silent":
            self.server.release.wait(20)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if behaviour == "corrupt":
            body = body[:5] + bytes([body[5] ^ 1]) + body[6:]
        if behaviour in ("truncated", "stalling"):
            body = body[: len(body) // 2]
        self.wfile.write(body)
        self.wfile.flush()
        if behaviour == "stalling":
            self.server.release.wait(20)

    def log_message(self, *_):
        pass
