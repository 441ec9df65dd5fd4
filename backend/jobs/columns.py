"""What the columns of a file are: one says who a row goes to, all others are the template's fields."""

import re
from collections.abc import Sequence

import msgspec

from backend.channels.base import Channel
from backend.channels.records import RECORDS
from backend.lib.problems import Problem
from backend.rendering.fields_read import FieldsRead

GROUP = "recipient"
ADDRESS = "address"
MAX_NAME = 200


class Columns(msgspec.Struct, frozen=True):
    """The columns in order, named as the template names its fields; and the one that says who a row goes to."""

    names: list[str]
    recipient: int
    to_groups: bool


def address_name(channel: Channel) -> str:
    """Return how the column of a channel's addresses is called."""
    return RECORDS[channel].column


def assign(cells: Sequence[str], channel: Channel, fields: FieldsRead) -> Columns:
    """Find out what each column is; upper and lower case, spaces and underscores make no difference.

    Raises:
        Problem: ``invalid_value`` with what is missing, or there twice.
    """
    names = [cell.strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    _check_names(names)
    recipient, to_groups = _recipient(names, channel)
    known = {_plain(name): name for name in sorted(fields.optional | fields.needed)}
    taken = fields.optional | fields.needed
    named = [name if name in taken else known.get(_plain(name), name) for name in names]
    named[recipient] = names[recipient]
    given = {name for position, name in enumerate(named) if position != recipient}
    missing = sorted(fields.needed - given)
    if missing:
        noun = "the column" if len(missing) == 1 else "the columns"
        raise _refusal(f"The template needs {noun} {_listed(missing)}, which the file does not have.")
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise _refusal(f"The file has the column {_listed(twice)} twice. Give each column a name of its own.")
    return Columns(named, recipient, to_groups)


def _check_names(names: Sequence[str]) -> None:
    for position, name in enumerate(names, start=1):
        if not name:
            raise _refusal(f"Column {position} has no name. The first row of the file names every column.")
        if len(name) > MAX_NAME or not name.isprintable():
            raise _refusal(f"The name of column {position} must have at most {MAX_NAME} printable characters.")


def _recipient(names: Sequence[str], channel: Channel) -> tuple[int, bool]:
    """Return the column of addresses or of groups; ``address`` is an ordinary field where another one says it."""
    plain = [_plain(name) for name in names]
    own = address_name(channel)
    if own != ADDRESS and own in plain and GROUP in plain:
        raise _refusal(f"The file has both “{own}” and “{GROUP}”. Keep the one that says who each row is for.")
    for name in dict.fromkeys((GROUP, own, ADDRESS)):
        if name in plain:
            return plain.index(name), name == GROUP
    raise _refusal(
        f"No column says who each row goes to. Name one “{own}” if it holds addresses, or “{GROUP}” "
        f"if it holds recipient groups. The file has {_listed(list(names)[:20])}."
    )


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"“{name}”" for name in names) or "no columns"


def _refusal(detail: str) -> Problem:
    return Problem("invalid_value", detail)
