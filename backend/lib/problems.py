"""The one error tree: every fault that a caller may see carries a code of the error catalogue."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from backend.lib.catalogue import CATALOGUE
from backend.lib.catalogue_entry import Entry

_Found = TypeVar("_Found")
MEDIA_TYPE = "application/problem+json"


class FieldError(msgspec.Struct, frozen=True):
    """One fault at one place of a request.

    ``pointer`` is a JSON Pointer (RFC 6901) into the request body; the empty pointer is the whole body.
    """

    pointer: str
    code: str
    detail: str


class Problem(Exception):
    """A fault with a catalogue code, said in one sentence; the entry points translate it once for their readers."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    @property
    def entry(self) -> Entry:
        """Return the catalogue's entry for this fault."""
        return CATALOGUE[self.code]


def if_found(read: Callable[[], _Found]) -> _Found | None:
    """Return what is read, or None where there is no such thing (``not_found``)."""
    try:
        return read()
    except Problem as problem:
        if problem.code != "not_found":
            raise
        return None


class ProblemDetails(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The ``application/problem+json`` object of RFC 9457 with Carillon's members.

    ``status`` is the HTTP number; ``errors`` may be empty; ``notification_status`` is ``FAILED`` where a
    notification was refused, and that of the one accepted before where only its repeat was.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldError]
    notification_id: str | None = None
    notification_status: str | None = None


def details(
    problem: Problem, catalogue_url: str, notification_id: str | None = None, notification_status: str = "FAILED"
) -> ProblemDetails:
    """Describe a problem as RFC 9457 does; ``type`` leads to the entry in the served error catalogue."""
    entry = problem.entry
    return ProblemDetails(
        type=f"{catalogue_url}#{entry.code}",
        title=entry.title,
        status=entry.status,
        detail=problem.detail,
        code=entry.code,
        errors=list(problem.errors),
        notification_id=notification_id,
        notification_status=notification_status if notification_id else None,
    )
