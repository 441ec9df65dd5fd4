"""The filters of the list of notifications: what each may be, and what is said of one that cannot be used."""

import re
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from litestar import Request

from backend.api import parameters
from backend.channels.base import ChannelName
from backend.db.models.notifications import StatusName
from backend.lib.problems import FieldError, Problem
from backend.reports.model import PriorityName

_AnyRequest = Request[Any, Any, Any]
ModeName = Literal["live", "team", "test"]
Moment = datetime | None
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_MUST_BE = {
    "mode": f"Must be one of {', '.join(get_args(ModeName))}.",
    "status": f"Must be one of {', '.join(get_args(StatusName))}.",
    "channel": f"Must be one of {', '.join(get_args(ChannelName))}.",
    "priority": f"Must be one of {', '.join(get_args(PriorityName))}.",
    "created_from": parameters.A_MOMENT,
    "created_to": parameters.A_MOMENT,
}


def see_that_none_is_null(request: _AnyRequest) -> None:
    """Refuse ``null``, which the framework would take for a filter that is left out, so that all would be listed."""
    for name, sentence in _MUST_BE.items():
        if request.query_params.get(name, "").lower() == "null":
            raise faulty(name, sentence)


def aware(request: _AnyRequest, name: str, moment: datetime | None) -> datetime | None:
    """Return a moment in UTC, if its zone was given."""
    # The framework would take a bare number too, as seconds since the epoch.
    if moment is not None and (moment.tzinfo is None or not _DATE.match(request.query_params[name])):
        raise faulty(name, parameters.A_MOMENT)
    try:
        return moment.astimezone(UTC) if moment is not None else None
    except OverflowError as error:
        raise faulty(name, "Must be a moment in UTC between the years 1 and 9999.") from error


def plain(text: str | None, name: str) -> str | None:
    """Return a text that has no control characters."""
    if text is not None and not text.isprintable():
        raise faulty(name, "Must not hold control characters.")
    return text


def faulty(name: str, detail: str) -> Problem:
    """Say what is wrong with a filter."""
    return Problem(
        "invalid_request", parameters.wrong(name, detail), errors=[FieldError(f"/{name}", "invalid_value", detail)]
    )
