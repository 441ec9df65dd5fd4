"""The child process in which the Apprise library runs, with a guard on what it may reach.

Its hundred services open connections in as many ways. The interpreter reports every one of them before it is made
(PEP 578), with the numeric address, so a name that leads elsewhere a moment later is of no use. What runs commands,
writes files, reads files of others, or talks to sockets of this machine is refused in the same way.
"""

import contextlib
import ipaddress
import logging
import os
import socket
import sys
import sysconfig
from collections.abc import Collection
from pathlib import Path
from typing import Any

from apprise import Apprise, AppriseAsset
from apprise.common import NotifyFormat, PersistentStoreMode
from apprise.plugins import NotifyBase
from apprise.result import AppriseResultStatus

from backend.lib import child
from backend.lib.outbound_addresses import may_be_reached

_MEMORY = 1024 * 1024 * 1024
_SERVICE_SECONDS = 25
_REFUSED_EVENTS = frozenset(
    {
        *(
            "subprocess.Popen",
            "os.system",
            "os.exec",
            "os.posix_spawn",
            "os.spawn",
            "os.fork",
            "os.forkpty",
            "pty.spawn",
        ),
        *("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod"),
    }
)
_READABLE = (
    *(sys.prefix, sys.base_prefix, sysconfig.get_paths()["stdlib"], str(Path(__file__).parents[1])),
    *("/etc/ssl", "/etc/pki", "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/services"),
    *("/etc/mime.types", "/etc/localtime", "/etc/timezone", "/usr/share/zoneinfo", "/dev/null", "/dev/urandom"),
)


class _Refused(PermissionError):
    """The guard's answer to a connection or a file that is none of the library's business."""


class Guard:
    """Checks what the interpreter is about to do.

    ``allowed`` are private hosts and ports that may be reached all the same; ``tripped`` tells what was refused.
    """

    def __init__(self) -> None:
        self.allowed: frozenset[tuple[str, int]] = frozenset()
        self.tripped = ""
        self._readable = tuple(os.path.realpath(path) for path in _READABLE)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take part in every audited event; an exception stops what was about to happen."""
        if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
            self._check_destination(arguments[1])
        elif event == "open":
            self._check_file(*arguments[:3])
        elif event in _REFUSED_EVENTS:
            self._refuse("it would run a command or change a file")

    def _check_destination(self, destination: Any) -> None:
        if destination is None:
            return  # a datagram on a socket that was connected before
        try:
            address, port = ipaddress.ip_address(destination[0]), int(destination[1])
        except (ValueError, TypeError, IndexError):
            self._refuse("it would reach a socket of this machine")
        if not may_be_reached(address) and (str(address), port) not in self.allowed:
            self._refuse(f"it leads to {address}, which is not an address of the public internet")

    def _check_file(self, path: Any, mode: Any, flags: Any) -> None:
        if isinstance(path, int) or path is None:
            return
        name = os.path.realpath(os.fsdecode(path))
        writes = any(letter in (mode or "") for letter in "wax+") or (flags or 0) & (
            os.O_WRONLY | os.O_RDWR | os.O_CREAT
        )
        inside = any(name == folder or name.startswith(folder + os.sep) for folder in self._readable)
        if name != os.devnull and (writes or not inside):
            self._refuse("it would read or write a file of this machine")

    def _refuse(self, reason: str) -> Any:
        self.tripped = reason
        raise _Refused(reason)


class _Heard(logging.Handler):
    """Keeps what the library has to say about a failure."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if len(self.lines) < 5:
            self.lines.append(record.getMessage()[:300])


_guard = Guard()
_heard = _Heard()
_asset = AppriseAsset(
    storage_mode=PersistentStoreMode.MEMORY,
    service_timeout=_SERVICE_SECONDS,
    language="en",
    app_id="Carillon",
    app_desc="Carillon",
    app_url="",
    async_mode=False,
    secure_logging=True,
    http_redirects=False,
    pgp_autogen=False,
    pem_autogen=False,
)


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Check an address (``check``), or send a message (``url, title, text, html, allow``)."""
    _heard.lines.clear()
    _guard.tripped = ""
    _guard.allowed = _resolved(question.get("allow", ()))
    url = question.get("check") or question["url"]
    try:
        service = Apprise.instantiate(url, asset=_asset, suppress_exceptions=True)
        if not isinstance(service, NotifyBase):
            return {"ok": False, "detail": _guard.tripped or "the library does not know this one", "refused": True}
        if "check" in question:
            return {"ok": True}
        return _notify(service, question)
    except Exception as error:  # a service's own defect
        return {"ok": False, "detail": f"the library failed ({type(error).__name__})", "refused": bool(_guard.tripped)}


def _notify(service: NotifyBase, question: dict[str, Any]) -> dict[str, Any]:
    """Send; where plain text would be made of the HTML, the message's own text is better."""
    library = Apprise(asset=_asset)
    library.add(service)
    as_html = question["html"] is not None and service.resolve_format(NotifyFormat.HTML) != NotifyFormat.TEXT
    result = library.notify(
        body=question["html"] if as_html else question["text"],
        title=question["title"],
        body_format=NotifyFormat.HTML if as_html else NotifyFormat.TEXT,
    )
    return {
        "ok": bool(result),
        "timed_out": getattr(result, "status", None) == AppriseResultStatus.TIMEOUT,
        "detail": _guard.tripped or " ".join(_heard.lines),
        "refused": bool(_guard.tripped),
        "service": str(service.service_name),
    }


def _resolved(allow: Collection[str]) -> frozenset[tuple[str, int]]:
    """Return the numeric addresses of the places that the operator lists."""
    found: set[tuple[str, int]] = set()
    for destination in allow:
        host, _, port = destination.rpartition(":")
        with contextlib.suppress(OSError, UnicodeError, ValueError):
            rows = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
            found.update((str(row[4][0]), int(port)) for row in rows)
    return frozenset(found)


def main() -> None:
    """Answer questions until nobody asks any more."""
    logger = logging.getLogger("apprise")
    logger.addHandler(_heard)
    logger.propagate = False
    Apprise.instantiate("json://localhost")  # loads the services, which is not to be checked
    sys.addaudithook(_guard)
    child.serve(answer, memory=_MEMORY)
