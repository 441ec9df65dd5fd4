"""A child process that answers questions one at a time, each within its time, and is ended when it does not.

For work whose time, memory or crash must not become the worker's: a library that opens connections of its own, a
layout engine. The child knows nothing of this process: no environment, no open file, no thread of it.
"""

import json
import os
import resource
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "FONTCONFIG_PATH", "FONTCONFIG_FILE")
_MAX_ANSWER = 64 * 1024 * 1024
_PIECE = 1024 * 1024


class ChildFailed(Exception):
    """The child gave no answer.

    ``timed_out`` says that it was ended because its time was up, ``unheard`` that it has not even read the question.
    """

    def __init__(self, *, timed_out: bool, unheard: bool) -> None:
        super().__init__("no answer in time" if timed_out else "it ended without an answer")
        self.timed_out = timed_out
        self.unheard = unheard


class Children:
    """At most ``most`` processes of one module, kept for the next question; safe for many threads.

    The module reads a JSON object a line from standard input and writes one line for each, and ends when its input
    does or when nothing was asked for a while.
    """

    def __init__(self, module: str, most: int = 2) -> None:
        self._module = module
        self._free = threading.BoundedSemaphore(most)
        self._lock = threading.Lock()
        self._idle: list[subprocess.Popen[bytes]] = []

    def ask(self, question: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Return the answer of a child, waiting at most ``seconds`` for it once one is free.

        Raises:
            ChildFailed: if it took too long, or ended.
        """
        line = json.dumps(question).encode() + b"\n"
        with self._free:
            deadline = time.monotonic() + seconds
            kept = self._kept()
            try:
                answer = self._asked(kept or self._start(), line, deadline)
            except ChildFailed as failure:
                # One that has waited long enough may end at the moment when it is asked.
                if kept is None or not failure.unheard or failure.timed_out:
                    raise
                answer = self._asked(self._start(), line, deadline)
        return cast("dict[str, Any]", json.loads(answer))

    def close(self) -> None:
        """End the children that wait for a question."""
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            _end(child)

    def _asked(self, child: subprocess.Popen[bytes], line: bytes, deadline: float) -> bytes:
        try:
            answer = _exchange(child, line, deadline)
        except BaseException:
            _end(child)
            raise
        with self._lock:
            self._idle.append(child)
        return answer

    def _kept(self) -> subprocess.Popen[bytes] | None:
        while True:
            with self._lock:
                child = self._idle.pop() if self._idle else None
            if child is None or child.poll() is None:
                return child
            _end(child)

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        root = str(Path(__file__).parents[2])
        return subprocess.Popen(  # noqa: S603 - this interpreter and a module of our own
            [
                sys.executable,
                "-IBc",
                f"import sys; sys.path.insert(0, {root!r}); from {self._module} import main; main()",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )


def _exchange(child: subprocess.Popen[bytes], line: bytes, deadline: float) -> bytes:
    """Write the question and read the answer, of which an empty line comes first, when the question was heard."""
    reader, writer = cast("Any", child.stdout).fileno(), cast("Any", child.stdin).fileno()
    os.set_blocking(writer, False)
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    poll.register(writer, select.POLLOUT)
    unsent, answer = memoryview(line), bytearray()
    while len(answer) < 2 or not answer.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0:
            raise ChildFailed(timed_out=True, unheard=not answer)
        for descriptor, _ in poll.poll(left * 1000):
            try:
                if descriptor == reader:
                    answer += _read(reader, len(answer))
                    continue
                unsent = unsent[os.write(writer, unsent[:_PIECE]) :]
            except OSError:
                raise ChildFailed(timed_out=False, unheard=not answer) from None
            if not unsent:
                poll.unregister(writer)
    return bytes(answer)


def _read(reader: int, have: int) -> bytes:
    piece = os.read(reader, _PIECE)
    if not piece or have > _MAX_ANSWER:
        raise ChildFailed(timed_out=False, unheard=not have)
    return piece


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                continue
    child.wait()


def serve(answer: Callable[[dict[str, Any]], dict[str, Any]], *, memory: int, idle_seconds: float = 60.0) -> None:
    """Answer the questions of ``Children``, in the child: with at most ``memory`` bytes, until nobody asks any more."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # what a library prints is not an answer
        poll = select.poll()
        poll.register(0, select.POLLIN)
        while poll.poll(idle_seconds * 1000) and (line := sys.stdin.buffer.readline()):
            out.write(b"\n")
            out.flush()
            out.write(json.dumps(answer(json.loads(line))).encode() + b"\n")
            out.flush()
