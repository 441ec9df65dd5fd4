"""The parser of requests, deaf to offers of another protocol.

``Upgrade: h2c`` (which Java's client and ``curl --http2`` send with each request), ``websocket``, ``TLS/1.2`` and
``CONNECT`` make httptools stop behind the head and give back the body as octets of the other protocol. A server that
knows none ignores the offer (RFC 9110, section 7.8), and then the body is the request's; read as anything else it
would be a second request inside the first. So behind such a head a second parser is begun, which is told the same
framing without the offer and goes on with what came.
"""

from typing import Any, Protocol

import httptools


class Reader(Protocol):
    """Who is told what was parsed: httptools' callbacks, and the lines of the present head."""

    headers: list[tuple[bytes, bytes]]

    def on_message_begin(self) -> None: ...
    def on_url(self, url: bytes) -> None: ...
    def on_header(self, name: bytes, value: bytes) -> None: ...
    def on_headers_complete(self) -> None: ...
    def on_body(self, body: bytes) -> None: ...
    def on_message_complete(self) -> None: ...


class RequestParser:
    """An ``httptools.HttpRequestParser`` that never upgrades."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._parser = self._told(_Unoffered(reader))

    def feed_data(self, data: bytes) -> None:
        """Parse what came.

        Raises:
            httptools.HttpParserError: for what is no request.
        """
        while True:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                data = bytes(data[offer.args[0] :])
                self._go_on_without_offer()
            else:
                return

    def _go_on_without_offer(self) -> None:
        head = [f"POST / HTTP/{self._parser.get_http_version()}".encode("ascii")]
        head += [name + b": " + value for name, value in _framing(self._reader.headers)]
        self._parser = self._told(_Repeated(self._reader))
        self._parser.feed_data(b"\r\n".join((*head, b"", b"")))

    @staticmethod
    def _told(listener: Any) -> Any:
        parser = httptools.HttpRequestParser(listener)
        listener.parser = parser
        # As the server has it: what follows a request that is to be the last is read, and not answered.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    def get_http_version(self) -> str:
        """Return the version of the present request, ``1.1``."""
        return str(self._parser.get_http_version())

    def get_method(self) -> bytes:
        """Return the method of the present request."""
        return bytes(self._parser.get_method())

    def should_keep_alive(self) -> bool:
        """Tell whether the client means to send another request."""
        return bool(self._parser.should_keep_alive())

    def should_upgrade(self) -> bool:
        """Tell that the present request changes no protocol."""
        return False


def _framing(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return what tells the length of a body, and whether the connection lives on."""
    kept = []
    for name, value in headers:
        if name in {b"content-length", b"transfer-encoding"}:
            kept.append((name, value))
        elif name == b"connection":
            words = [word for word in value.split(b",") if word.strip().lower() != b"upgrade"]
            kept.append((name, b",".join(words)))
    return kept


class _Unoffered:
    """Passes on everything but the end that httptools tells of a request whose body it does not read."""

    parser: Any

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.on_message_begin = reader.on_message_begin
        self.on_url = reader.on_url
        self.on_header = reader.on_header
        self.on_headers_complete = reader.on_headers_complete
        self.on_body = reader.on_body

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            self._reader.on_message_complete()


class _Repeated(_Unoffered):
    """Passes on what follows a head that was told before."""

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader)
        self._repeating = True
        for name in ("on_message_begin", "on_url", "on_header", "on_headers_complete"):
            setattr(self, name, self._after_repeating(getattr(reader, name), last=name == "on_headers_complete"))

    def _after_repeating(self, told: Any, *, last: bool) -> Any:
        def tell(*values: bytes) -> None:
            if not self._repeating:
                told(*values)
            elif last:
                self._repeating = False

        return tell
