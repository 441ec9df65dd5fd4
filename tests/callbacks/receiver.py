"""A client system on a real socket: it keeps what is posted to it and answers as it is told."""

import base64
import hashlib
import hmac
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import msgspec
from standardwebhooks import Webhook

Answering = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Posted:
    """One request; names of ``headers`` are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def type(self) -> str:
        return str(self.read()["type"])

    def read(self) -> dict[str, Any]:
        return dict(msgspec.json.decode(self.body))

    def signed_with(self, secret: str) -> bool:
        """Compute the signature anew, at the time that the request says."""
        moment = int(self.headers["webhook-timestamp"])
        content = f"{self.id}.{moment}.".encode() + self.body
        expected = Webhook(secret)._whsecret
        return _signature(expected, content) in self.headers["webhook-signature"].split(" ")


def _signature(key: bytes, content: bytes) -> str:
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def status(code: int, **headers: str) -> Answering:
    """Answer with a status and no body."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


class Receiver:
    """Answers 204, or as ``answers`` says: the first for the first request and so on, then ``always``."""

    def __init__(self) -> None:
        self.posted: list[Posted] = []
        self.answers: list[Answering] = []
        self.always = status(204)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()

    @property
    def host_port(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.host_port}/callbacks?key=s3cr3t"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                with receiver._lock:
                    receiver.posted.append(Posted(self.path, headers, body))
                    answer = receiver.answers.pop(0) if receiver.answers else receiver.always
                answer(self)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
