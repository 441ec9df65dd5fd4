"""Recipients as CSV (RFC 4180): one line for each address, and all or nothing when they are taken in again."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec
from sqlalchemy.orm import Session

from backend.channels.addresses import masked, normalise
from backend.channels.base import Channel
from backend.db.models.registry import Recipient
from backend.lib import strict_json
from backend.lib.problems import Problem
from backend.registry import recipients
from backend.registry.lookup import Address
from backend.registry.owned import check_free, check_identifier
from backend.registry.shapes import MAX_ENDPOINTS, RecipientShape

COLUMNS = ("identifier", "name", "channel", "address", "language")
# A file without languages leaves those that recipients have.
_WITHOUT_LANGUAGE = COLUMNS[:-1]
MAX_BYTES = 512 * 1024
MAX_LINES = 5000
# Spreadsheets run a cell that begins so; the apostrophe before it is taken off again.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_PAGE = 200


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with a line of the file, which is counted from 1 with the heading."""

    line: int
    sentence: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a file does to one recipient; addresses that are secrets are in ``added`` and ``removed`` by their ends.

    ``language`` is what it reads from then on, ``relearned`` tells that this is another than before.
    """

    kind: Literal["new", "changed", "same"]
    identifier: str
    name: str
    endpoints: list[Address]
    added: list[Address]
    removed: list[Address]
    renamed_from: str | None = None
    language: str | None = None
    relearned: bool = False


class Plan(msgspec.Struct, frozen=True):
    """What a file would do; while it has faults, nothing of it can be done."""

    changes: list[Change]
    faults: list[Fault]

    def of(self, kind: str) -> list[Change]:
        """Return the changes of one kind."""
        return [change for change in self.changes if change.kind == kind]


class _Group(msgspec.Struct):
    """All lines of one recipient; its ``language`` is None where the file has no such column, and may be empty."""

    name: str
    line: int
    endpoints: list[tuple[int, Address]]
    language: str | None


def write(session: Session, service_id: int, text: str = "") -> Iterator[str]:
    """Write those of a service's recipients that hold ``text``, with addresses that are secrets by their ends alone."""
    yield _line(COLUMNS)
    for row in rows(session, service_id, text):
        yield _line(row)


def rows(session: Session, service_id: int, text: str = "") -> Iterator[tuple[str, str, str, str, str]]:
    """Yield the same as rows of ``COLUMNS``."""
    after, more = None, True
    while more:
        page, more = recipients.listed(session, service_id, _PAGE, after, text)
        for record in page:
            for one in record.endpoints or (Address("", ""),):
                yield record.identifier, record.name, one.type, masked(one.type, one.address), record.language or ""
            after = record.identifier


def _line(cells: Sequence[str]) -> str:
    written = io.StringIO()
    csv.writer(written).writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])
    return written.getvalue()


def decoded(raw: bytes) -> str:
    """Return the text of a file.

    Raises:
        Problem: ``invalid_value`` for one that is too large or not UTF-8.
    """
    if len(raw) > MAX_BYTES:
        raise Problem("invalid_value", "The file is larger than 512 KiB. Split it, and import its parts.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Problem("invalid_value", "The file is not UTF-8. Save it as CSV in UTF-8.") from error


def plan(session: Session, service_id: int, text: str, allow: Sequence[str] = ()) -> Plan:
    """Say what a file would do to the service's recipients; its lines are the whole of each that it names.

    Raises:
        Problem: ``invalid_value`` for what is no CSV with these columns.
    """
    faults: list[Fault] = []
    groups = _groups(_rows(text), faults)
    changes = [
        change
        for identifier, group in groups.items()
        if (change := _change(session, service_id, identifier, group, allow, faults)) is not None
    ]
    return Plan(changes, sorted(faults, key=lambda fault: fault.line))


def apply(session: Session, service_id: int, wanted: Plan) -> list[Change]:
    """Store the changes of a plan without faults, and return those that changed something.

    Raises:
        Problem: ``identifier_taken`` if another service has taken one meanwhile; roll everything back then.
    """
    done = [change for change in wanted.changes if change.kind != "same"]
    for change in done:
        recipients.put(session, service_id, change.identifier, change.name, change.endpoints, change.language)
    return done


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    first = text.partition("\n")[0]
    reader = csv.reader(
        io.StringIO(text.replace("\0", ""), newline=""), delimiter=";" if first.count(";") > first.count(",") else ","
    )
    try:
        heading = [cell.strip().lower() for cell in next(reader, [])]
        if tuple(heading) not in {COLUMNS, _WITHOUT_LANGUAGE}:
            detail = f"The first line of the file must name the columns: {','.join(COLUMNS)}. The last may be left out."
            raise Problem("invalid_value", detail)
        yield 1, heading
        for count, cells in enumerate(reader):
            if count >= MAX_LINES:
                raise Problem("invalid_value", f"The file has more than {MAX_LINES:,} lines. Split it.")
            if any(cell.strip() for cell in cells):
                yield reader.line_num, [_plain(cell) for cell in cells]
    except csv.Error as error:
        raise Problem("invalid_value", f"Line {reader.line_num} is not CSV: {error}.") from error


def _plain(cell: str) -> str:
    trimmed = cell.strip(" ")
    return trimmed[1:] if trimmed.startswith("'") and trimmed[1:].startswith(_FORMULA) else trimmed


def _groups(rows: Iterable[tuple[int, list[str]]], faults: list[Fault]) -> dict[str, _Group]:
    groups: dict[str, _Group] = {}
    wanted = 0
    for line, cells in rows:
        wanted = wanted or len(cells)  # as many as the heading has
        if line == 1:
            continue
        if len(cells) != wanted:
            faults.append(Fault(line, f"It has {len(cells)} cells where there should be {wanted}."))
            continue
        identifier, name, kind, address, *spoken = cells
        language = spoken[0] if spoken else None
        group = groups.setdefault(identifier, _Group(name, line, [], language))
        if name != group.name:
            faults.append(Fault(line, f"{identifier} is called {group.name!r} in line {group.line}: give one name."))
        if language != group.language:
            faults.append(Fault(line, f"{identifier} reads another language in line {group.line}: give one."))
        if kind or address:
            group.endpoints.append((line, Address(kind.upper(), address)))
    return groups


def _change(  # noqa: PLR0913, PLR0917 - what one recipient is validated by
    session: Session, service_id: int, identifier: str, group: _Group, allow: Sequence[str], faults: list[Fault]
) -> Change | None:
    before = len(faults)
    try:
        check_identifier(identifier)
        present = recipients.present(session, service_id, identifier)
        check_free(session, Recipient, service_id, identifier)
        said = strict_json.check(
            RecipientShape, {"name": group.name, "endpoints": [], "language": group.language or None}
        )
    except Problem as problem:
        detail = problem.errors[0].detail if problem.errors else problem.detail
        faults.append(Fault(group.line, f"{identifier or 'The identifier'}: {detail}"))
        return None
    if len(group.endpoints) > MAX_ENDPOINTS:
        detail = f"{identifier} has {len(group.endpoints):,} endpoints; a recipient has at most {MAX_ENDPOINTS}."
        faults.append(Fault(group.line, detail))
        return None
    given = [one for _, one in group.endpoints]
    meant = recipients.unmasked(session, service_id, identifier, given)
    endpoints: dict[Address, int] = {}
    for (line, _), one in zip(group.endpoints, meant, strict=True):
        address = _normal(one, line, allow, faults)
        if address is not None and address in endpoints:
            faults.append(Fault(line, f"The address is the same as that of line {endpoints[address]}; give each once."))
        elif address is not None:
            endpoints[address] = line
    if len(faults) > before:
        return None
    wanted = list(endpoints)
    old = list(present.endpoints) if present else []
    spoken = present.language if present else None
    language = spoken if group.language is None else said.language
    same = present is not None and (old, present.name, spoken) == (wanted, group.name, language)
    return Change(
        kind="same" if same else "changed" if present else "new",
        identifier=identifier,
        name=group.name,
        endpoints=wanted,
        added=[_shown(one) for one in wanted if one not in old],
        removed=[_shown(one) for one in old if one not in wanted],
        renamed_from=present.name if present and present.name != group.name else None,
        language=language,
        relearned=spoken != language,
    )


def _normal(one: Address, line: int, allow: Sequence[str], faults: list[Fault]) -> Address | None:
    if one.type not in {channel.value for channel in Channel}:
        faults.append(Fault(line, f"The channel is one of {', '.join(channel.value for channel in Channel)}."))
        return None
    try:
        return Address(one.type, normalise(Channel(one.type), one.address, allow))
    except Problem as problem:
        faults.append(Fault(line, problem.detail))
        return None


def _shown(one: Address) -> Address:
    return Address(one.type, masked(one.type, one.address))
