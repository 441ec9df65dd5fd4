"""Whether the web process will get its port."""

import errno
import socket

from backend.commands.exits import Misconfigured, NotNow


def see_that_it_is_free(host: str, port: int) -> None:
    """See that a port can be listened on.

    Raises:
        Misconfigured: the host is no address of this machine.
        NotNow: another process has the port, or this one may not have it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = (error.strerror or "not possible").lower()
            if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                raise Misconfigured(
                    f"CARILLON_HOST {host} is no address of this machine: {reason}. Use one that it has, or 127.0.0.1."
                ) from error
            raise NotNow(
                f"CARILLON_PORT {port} on {host} cannot be listened on: {reason}. Stop what uses it or choose another."
            ) from error
