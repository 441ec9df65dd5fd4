"""What systemd hands to a process and is told by it: sd_listen_fds(3) and sd_notify(3).

The sockets are systemd's: while the process is replaced it keeps them open, so that whoever connects waits and is not
refused.
"""

import os
import socket
from contextlib import suppress

_FIRST = 3  # SD_LISTEN_FDS_START


class NoAddress(ValueError):
    """A socket without an address and a port; the text is a sentence."""


def sockets() -> list[socket.socket]:
    """Take the sockets that were handed to this process, once; none where it was started without.

    Raises:
        NoAddress: for one of another kind.
    """
    meant = os.environ.pop("LISTEN_PID", "") == str(os.getpid())
    count = os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if not meant or not count.isdigit():
        return []
    taken = [socket.socket(fileno=number) for number in range(_FIRST, _FIRST + int(count))]
    for one in taken:
        one.set_inheritable(False)
        if one.family not in {socket.AF_INET, socket.AF_INET6} or one.type != socket.SOCK_STREAM:
            raise NoAddress(
                "The socket that systemd hands over has no address and port: in carillon-web.socket, "
                "ListenStream= names them, such as 127.0.0.1:8000."
            )
    return taken


def tell_ready() -> None:
    """Tell whoever started this process that it works now; nobody may be listening."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        line.send(b"READY=1")
