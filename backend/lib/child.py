"""A child process that answers questions one at a time, each within its time, and is ended when it does not.

For work whose time, memory or crash must not become the worker's: a library that opens connections of its own, a
layout engine, the templates of strangers. The child knows nothing of this process: no environment, no open file, no
thread of it. Questions and answers are byte strings, each after its length in four bytes.
"""

import json
import math
import os
import select
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, cast

from backend.lib import confinement

_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "FONTCONFIG_PATH", "FONTCONFIG_FILE")
_MAX_ANSWER = 64 * 1024 * 1024
_PIECE = 1024 * 1024
_IDLE_SECONDS = 60.0
# What a child is at for longer than that is slow. Quick ones are waited for, for to start another takes longer.
_QUICK_SECONDS = 0.25
_PATIENCE_SECONDS = 1.0
_LENGTH = struct.Struct(">I")
# Every child answers this one with itself, which shows that it is there.
_HELLO = b""


class ChildFailed(Exception):
    """The child did not answer everything.

    ``timed_out`` says that it was ended because its time was up, ``unheard`` that it has not even read a question,
    ``answers`` holds what it had answered before; ``ended_by`` is the signal that ended it, if one did.
    """

    def __init__(self, *, timed_out: bool, unheard: bool, answers: Sequence[bytes] = ()) -> None:
        super().__init__("no answer in time" if timed_out else "it ended without an answer")
        self.timed_out = timed_out
        self.unheard = unheard
        self.answers = list(answers)
        self.ended_by: int | None = None


class _Closed(OSError):
    """The other side has closed the pipe."""


class NoneFree(Exception):
    """Every child is busy, and stayed so for as long as it was waited for."""


class Children:
    """At most ``most`` processes of one module, kept for the next question; safe for many threads.

    The module calls ``serve`` or ``serve_bytes``, and ends when its input does or when nothing was asked for a while.
    Another one is started when those at work turn out to be slow. With ``spare`` that is done before it is needed, as
    long as there may be more.
    """

    def __init__(self, module: str, most: int = 2, *, spare: bool = False) -> None:
        self._module = module
        self._most = most
        self._spare = spare
        self._at_work = 0
        self._free = threading.BoundedSemaphore(most)
        self._changed = threading.Condition()
        self._quick: set[object] = set()  # what is asked at this moment and has not turned out to be slow
        self._idle: list[subprocess.Popen[bytes]] = []
        # A child may ask to end with the thread that started it, so this one lasts as long as the process.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="start-children")

    def ask(self, question: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Return the answer of a child, waiting at most ``seconds`` for it once one is free.

        Raises:
            ChildFailed: if it took too long, or ended.
        """
        answers = self.ask_all([_HELLO, json.dumps(question).encode()], seconds)
        return cast("dict[str, Any]", json.loads(answers[1]))

    def ask_all(
        self,
        questions: Sequence[bytes],
        seconds: float,
        *,
        start_seconds: float = 0.0,
        patience: float | None = None,
        heard: Callable[[], None] = lambda: None,
    ) -> list[bytes]:
        """Return the answers of one child to all questions, which it gives in their order.

        It has ``seconds`` for each, with ``start_seconds`` more for the first, since it may have to be started.
        ``patience`` bounds the wait for a free child. ``heard`` is called when the first of the answers has come.

        Raises:
            ChildFailed: if one answer took too long, or the child ended.
            NoneFree: if no child was free in time.
        """
        if not self._free.acquire(timeout=patience):
            raise NoneFree
        work = object()
        try:
            kept = self._kept(work)
            limits = _Limits(seconds, start_seconds, heard, lambda: self._is_slow(work))
            try:
                return self._asked(kept or self._started(), questions, limits)
            except ChildFailed as failure:
                # One that has waited long enough may end at the moment when it is asked.
                if kept is None or not failure.unheard or failure.timed_out:
                    raise
                return self._asked(self._started(), questions, limits)
        finally:
            with self._changed:
                self._at_work -= 1
                self._quick.discard(work)
                self._changed.notify_all()
            self._free.release()

    def close(self) -> None:
        """End the children that wait for a question."""
        self._starter.submit(lambda: None).result()  # none is on its way any more
        with self._changed:
            idle, self._idle = self._idle, []
        for child in idle:
            _end(child)

    def _asked(self, child: subprocess.Popen[bytes], questions: Sequence[bytes], limits: "_Limits") -> list[bytes]:
        try:
            answers = _exchange(child, questions, limits)
        except ChildFailed as failure:
            code = _end(child)
            failure.ended_by = None if failure.timed_out or code >= 0 else -code
            raise
        except BaseException:
            _end(child)
            raise
        with self._changed:
            self._idle.append(child)
        return answers

    def _kept(self, work: object) -> subprocess.Popen[bytes] | None:
        """Take a child that is idle, or will be in a moment; None where another one is to be started."""
        with self._changed:
            self._at_work += 1
            self._changed.wait_for(lambda: self._idle or not self._quick, _PATIENCE_SECONDS)
            self._quick.add(work)
            while self._idle:
                child = self._idle.pop()
                if child.poll() is None:
                    return child
                _end(child)
        return None

    def _is_slow(self, work: object) -> None:
        """Let others wait no longer for the child that is at this work."""
        with self._changed:
            self._quick.discard(work)
            self._changed.notify_all()
        if self._spare and self._none_ready():
            self._starter.submit(self._start_spare)

    def _started(self) -> subprocess.Popen[bytes]:
        return self._starter.submit(self._start).result()

    def _start_spare(self) -> None:
        """Start another child if none is idle: whoever asks next need not wait until it is there."""
        with suppress(OSError):  # who needs it will find out
            if self._none_ready():
                child = self._start()
                with self._changed:
                    self._idle.append(child)

    def _none_ready(self) -> bool:
        with self._changed:
            return self._at_work < self._most and all(one.poll() is not None for one in self._idle)

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


class _Limits(NamedTuple):
    """How long each answer may take, and the first one more.

    ``heard`` is called when that has come, and ``slow`` when all of them take longer than a moment after that.
    """

    seconds: float
    start_seconds: float
    heard: Callable[[], None]
    slow: Callable[[], None]


def _exchange(child: subprocess.Popen[bytes], questions: Sequence[bytes], limits: _Limits) -> list[bytes]:
    """Write the questions while reading the answers."""
    reader, writer = cast("Any", child.stdout).fileno(), cast("Any", child.stdin).fileno()
    os.set_blocking(writer, False)
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    poll.register(writer, select.POLLOUT)
    unsent = memoryview(b"".join(_framed(question) for question in questions))
    received = _Frames()
    answers: list[bytes] = []
    deadline = time.monotonic() + limits.seconds + limits.start_seconds
    slow_at = math.inf
    while len(answers) < len(questions):
        now = time.monotonic()
        if now >= deadline:
            raise ChildFailed(timed_out=True, unheard=not answers, answers=answers)
        if now >= slow_at:
            slow_at = math.inf
            limits.slow()
        for descriptor, _ in poll.poll((min(deadline, slow_at) - now) * 1000):
            try:
                if descriptor == writer:
                    unsent = unsent[os.write(writer, unsent[:_PIECE]) :]
                    if not unsent:
                        poll.unregister(writer)
                    continue
                new = received.read(reader)
            except OSError:
                raise ChildFailed(timed_out=False, unheard=not answers, answers=answers) from None
            if new:
                deadline = time.monotonic() + limits.seconds
                if not answers:
                    slow_at = time.monotonic() + _QUICK_SECONDS
                    limits.heard()
                answers += new
    return answers


def _framed(content: bytes) -> bytes:
    return _LENGTH.pack(len(content)) + content


class _Frames:
    """Cuts what comes through a pipe into the byte strings that were put in."""

    def __init__(self) -> None:
        self._received = bytearray()

    def read(self, descriptor: int) -> list[bytes]:
        """Read once, and return what is whole by now; raise OSError where no more will come, or too much."""
        piece = os.read(descriptor, _PIECE)
        if not piece:
            raise _Closed
        self._received += piece
        whole: list[bytes] = []
        begin = 0
        while len(self._received) - begin >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._received, begin)
            if length > _MAX_ANSWER:
                raise OSError("too long")
            end = begin + _LENGTH.size + length
            if end > len(self._received):
                break
            whole.append(bytes(self._received[begin + _LENGTH.size : end]))
            begin = end
        del self._received[:begin]
        return whole


def _end(child: subprocess.Popen[bytes]) -> int:
    """End a child, and return its exit code, which is negative for a signal."""
    child.kill()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                continue
    return child.wait()


def serve(
    answer: Callable[[dict[str, Any]], dict[str, Any]], *, memory: int, idle_seconds: float = _IDLE_SECONDS
) -> None:
    """Answer the questions of ``Children.ask``, in the child, with at most ``memory`` bytes, until nobody asks."""
    confinement.bound_memory(memory)
    _serve(lambda question: json.dumps(answer(json.loads(question))).encode(), idle_seconds)


def serve_bytes(answer: Callable[[bytes], bytes], *, memory: int, cpu_seconds: int) -> None:
    """Answer the questions of ``Children.ask_all``, in a child that works for strangers.

    It has ``memory`` bytes, ``cpu_seconds`` of processor time for each question, no file and no network, and ends
    with the process that started it. What the answers need must have been imported before.
    """

    def answered(question: bytes) -> bytes:
        confinement.bound_time(cpu_seconds)
        return answer(question)

    def give_up() -> None:
        confinement.shut_in()
        confinement.end_with_parent()  # a process that changes its namespaces has to ask for it again

    confinement.bound_memory(memory)
    _serve(answered, _IDLE_SECONDS, give_up)


def _serve(answer: Callable[[bytes], bytes], idle_seconds: float, prepare: Callable[[], None] = lambda: None) -> None:
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # what a library prints is not an answer
        prepare()
        poll = select.poll()
        poll.register(0, select.POLLIN)
        received = _Frames()
        while poll.poll(idle_seconds * 1000):
            try:
                questions = received.read(0)
            except _Closed:
                return
            for question in questions:
                out.write(_framed(answer(question) if question else _HELLO))
                out.flush()
