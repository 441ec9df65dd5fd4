"""Recipients on their way from one installation to another: who they are there is said in a file, or stays as it is."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from backend.as_code import reading
from backend.as_code.model import IDENTIFIER, Contents, Endpoint, Fault, Recipient

_MOST_BYTES = 1024 * 1024


class Entry(msgspec.Struct, frozen=True, rename={"as_": "as"}, forbid_unknown_fields=True):
    """What becomes of one recipient: another identifier, name or addresses, or nothing at all."""

    as_: str | None = None
    name: str | None = None
    endpoints: list[Endpoint] | None = None
    skip: bool = False


Entries = dict[str, Entry]


def read(path: Path, environ: Mapping[str, str] = os.environ) -> Entries:
    """Read a file with a table for each recipient; ``${NAME}`` in an address stands for a variable of ``environ``.

    Raises:
        Fault: for what is no such file, with its line.
    """
    try:
        raw = path.read_bytes()
        text = raw[:_MOST_BYTES].decode("utf-8")
    except OSError as error:
        raise Fault(f"{path}: The file cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise Fault(f"{path}: The file is no text in UTF-8.") from None
    found = reading.toml(path, text, dict[str, Entry])
    for name, entry in found.items():
        for identifier in (name, entry.as_ or name):
            if not IDENTIFIER.fullmatch(identifier):
                raise Fault(f"{path}: {identifier[:80]!r} is no identifier of a recipient.")
    return {name: _expanded(path, entry, environ) for name, entry in found.items()}


def _expanded(path: Path, entry: Entry, environ: Mapping[str, str]) -> Entry:
    if entry.endpoints is None:
        return entry
    found = [reading.expanded(path, one, environ) for one in entry.endpoints]
    return msgspec.structs.replace(entry, endpoints=found)


class Mapped(msgspec.Struct, frozen=True):
    """The contents with the recipients of the target; ``kept`` are those that stay who they are there."""

    contents: Contents
    kept: list[str]


def mapped(contents: Contents, entries: Entries, target: str, there: Mapping[str, Recipient]) -> Mapped:
    """Say who the recipients are at ``target``, where ``there`` are those that it has.

    Raises:
        Fault: for each recipient that was pulled from another installation, is not there yet, and is in no entry.
    """
    found: dict[str, Recipient] = {}
    kept: list[str] = []
    faults = [
        f"The mapping names {name}, which is not in the folder." for name in entries if name not in contents.recipients
    ]
    for recipient in contents.recipients.values():
        entry = entries.get(recipient.identifier)
        if entry is not None:
            if not entry.skip:
                one = _changed(recipient, entry)
                found[one.identifier] = one
            continue
        foreign = recipient.pulled_from is not None and recipient.pulled_from != target
        if foreign and recipient.identifier in there:
            kept.append(recipient.identifier)
        elif foreign:
            who = f"{recipient.identifier} was pulled from {recipient.pulled_from}"
            faults.append(f"{who}: say with --map who that is at {target}.")
        else:
            found[recipient.identifier] = recipient
    if faults:
        raise Fault(*faults)
    return Mapped(Contents(contents.templates, found), kept)


def _changed(recipient: Recipient, entry: Entry) -> Recipient:
    return msgspec.structs.replace(
        recipient,
        identifier=entry.as_ or recipient.identifier,
        name=entry.name or recipient.name,
        endpoints=tuple(entry.endpoints) if entry.endpoints is not None else recipient.endpoints,
    )
