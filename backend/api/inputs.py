"""What is asked of every request before any handler sees it: a Host that is one, and values that can be kept.

Handlers read single values with ``backend.lib.inputs``, each kind by its own function. Here stands what holds for all
of them, at every address there is, new ones too.
"""

import re
from collections.abc import Iterator
from typing import Any

from litestar.connection import ASGIConnection
from litestar.exceptions import NotFoundException
from litestar.handlers import BaseRouteHandler
from litestar.types import HTTPScope

from backend.lib import inputs
from backend.lib.problems import FieldError, Problem

# RFC 9112, section 3.2, and RFC 3986, section 3.2.2: a name or a numeric address, and a port of at most five digits.
_HOST = re.compile(rb"(?:[A-Za-z0-9._~%!$&'()*+,;=-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{0,5}))?")
_LAST_PORT = 65535


def host_fault(scope: HTTPScope) -> Problem | None:
    """Say why a request does not tell one host that it is for (RFC 9112, section 3.2); None if it does."""
    given = [value for name, value in scope["headers"] if name == b"host"]
    if not given:
        is_old = scope["http_version"] == "1.0"
        return None if is_old else _bad_host("The header Host is missing, which every request of HTTP/1.1 has.")
    if len(given) > 1:
        return _bad_host("The header Host stands there more than once, so it is not clear whom the request is for.")
    found = _HOST.fullmatch(given[0])
    if found is None or int(found[1] or 0) > _LAST_PORT:
        return _bad_host("The header Host holds no host name with an optional port.")
    return None


def _bad_host(detail: str) -> Problem:
    return Problem("invalid_request", detail)


def check_address(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Refuse an address whose path or query no row can have and no text can hold: a guard of the whole application.

    Raises:
        NotFoundException: for a number that is no row's.
        Problem: ``invalid_request`` for text that cannot be kept.
    """
    for value in connection.path_params.values():
        if isinstance(value, int) and not inputs.is_row(value):
            raise NotFoundException
    if faults := list(_faults(connection)):
        errors = [FieldError(f"/{name}", "invalid_value", fault) for name, fault in faults if name]
        raise Problem("invalid_request", f"The address cannot be used: {faults[0][1]}", errors=errors)


def _faults(connection: ASGIConnection[Any, Any, Any, Any]) -> Iterator[tuple[str, str]]:
    """Yield the name of each faulty parameter, empty for a part of the path, with what is wrong with its value."""
    for value in connection.path_params.values():
        if isinstance(value, str) and (fault := inputs.text_fault(value)):
            yield "", fault
    if b"%" in connection.scope["query_string"]:  # a text that cannot be kept is never written as it is
        for name, value in connection.query_params.multi_items():
            if fault := inputs.text_fault(value):
                yield name, fault
