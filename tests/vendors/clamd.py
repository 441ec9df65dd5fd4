"""ClamAV's daemon as its manual describes it: PING and INSTREAM over TCP, with a limit of what it takes."""

import socketserver
import threading
from struct import unpack
from types import TracebackType
from typing import Self

# A real one finds the test file of EICAR; ours finds this, which no other scanner minds.
MALWARE = b"malware for our own scanner alone"


class Clamd(socketserver.ThreadingTCPServer):
    """A scanner on a free port; ``limit`` is its StreamMaxLength. ``scanned`` are the files that it got whole.

    While ``wait`` is not set it answers no scan; ``begun`` tells that it has begun one.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, limit: int = 25 * 1024 * 1024) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.limit = limit
        self.scanned: list[bytes] = []
        self.answer: bytes | None = None
        self.wait: threading.Event | None = None
        self.begun = threading.Event()

    @property
    def address(self) -> str:
        return f"clamd://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self.server_close()


class _Handler(socketserver.StreamRequestHandler):
    server: Clamd

    def handle(self) -> None:
        command = b""
        while not command.endswith(b"\0"):
            command += self.rfile.read(1)
        answer = {b"zPING\0": lambda: b"PONG", b"zINSTREAM\0": self._scan}[command]()
        self.wfile.write((self.server.answer or answer) + b"\0")

    def _scan(self) -> bytes:
        content = b""
        while length := unpack(">I", self.rfile.read(4))[0]:
            content += self.rfile.read(length)
            if len(content) > self.server.limit:
                return b"INSTREAM size limit exceeded. ERROR"
        self.server.scanned.append(content)
        self.server.begun.set()
        if self.server.wait is not None:
            self.server.wait.wait(60)
        return b"stream: Test.Malware-1 FOUND" if MALWARE in content else b"stream: OK"
