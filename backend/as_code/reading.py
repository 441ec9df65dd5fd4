"""Reading a folder of templates: everything that is wrong with it is found at once, with file and line."""

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from backend.as_code import layout
from backend.as_code.layout import PARTIALS, RECIPIENTS, SAMPLES, SETTINGS, SUBJECT, Files, TemplateFiles
from backend.as_code.model import (
    EXTENSIONS,
    IDENTIFIER,
    LANGUAGE,
    Contents,
    Endpoint,
    Fault,
    Format,
    Kind,
    Recipient,
    Sample,
    Template,
    Variant,
)

Table = TypeVar("Table")
_MOST_BYTES = 1024 * 1024
_FORMATS: dict[str, Format] = {extension: form for form, extension in EXTENSIONS.items()}
_AT = re.compile(r"\(at line (\d+), column \d+\)")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SAMPLE_FILE = re.compile(rf"(?:{LANGUAGE}/)?[\w][\w .-]*\.json")
_VARIANT_FILE = re.compile(rf"source\.({LANGUAGE})\.([a-z]+)")


class _SampleTable(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    file: str


class _BatchTable(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    quiet_seconds: int | float | None = None
    max_wait_seconds: int | float | None = None
    max_items: int | None = None
    digest: str | None = None
    item_key: str | None = None
    only_if_new: bool | None = None


class _Settings(msgspec.Struct, forbid_unknown_fields=True):
    """``template.toml``."""

    name: str
    kind: Kind | None = None
    repeat_after: str | None = None
    sender: str | None = None
    reply_to: str | None = None
    locked: bool | None = None
    language: str | None = None
    batch: _BatchTable | None = None
    samples: list[_SampleTable] | None = None


class _RecipientTable(msgspec.Struct, forbid_unknown_fields=True):
    """``recipients/NAME.toml``."""

    name: str
    endpoints: list[Endpoint]
    pulled_from: str | None = None
    language: str | None = None


class Folder(msgspec.Struct, frozen=True):
    """What a folder holds, where it stands, and what is wrong with it; what is wrong is not among the contents."""

    contents: Contents
    files: Files
    faults: list[str]


def read(root: Path, environ: Mapping[str, str] | None = os.environ) -> Folder:
    """Read a folder; ``${NAME}`` in an address stands for a variable of ``environ``, so that no secret is in a file.

    Without ``environ`` the addresses stay as they are written.

    Raises:
        Fault: if there is no such folder.
    """
    if not root.is_dir():
        raise Fault(f"There is no folder {root}.")
    found = Folder(Contents({}, {}), Files({}, {}), [])
    for path in _template_folders(root):
        with_fault = _collected(found, lambda path=path: _template(root, path))
        if with_fault is not None:
            template, files = with_fault
            _once(found, template.identifier, files.folder, found.contents.templates)
            found.contents.templates.setdefault(template.identifier, template)
            found.files.templates.setdefault(template.identifier, files)
    for path in _recipient_files(root):
        recipient = _collected(found, lambda path=path: _recipient(root, path, environ))
        if recipient is not None:
            _once(found, recipient.identifier, path, found.contents.recipients)
            found.contents.recipients.setdefault(recipient.identifier, recipient)
            found.files.recipients.setdefault(recipient.identifier, path)
    return found


def _collected(folder: Folder, read_one: Any) -> Any:
    try:
        return read_one()
    except Fault as fault:
        folder.faults.extend(fault.sentences)
        return None


def _once(folder: Folder, identifier: str, path: Path, known: Mapping[str, object]) -> None:
    if identifier in known:
        folder.faults.append(f"{path}: {identifier} stands in this folder twice; keep one of them.")


def _template_folders(root: Path) -> Iterator[Path]:
    """Yield the folders with a ``template.toml``: at the top, and in ``partials/`` there or beside a template."""
    for one in _folders(root, Path()):
        if one.name.lower() in {PARTIALS, RECIPIENTS}:
            yield from (_folders(root, one) if one.name.lower() == PARTIALS else ())
            continue
        yield one
        if (root / one / PARTIALS).is_dir():
            yield from _folders(root, one / PARTIALS)


def _folders(root: Path, path: Path) -> Iterator[Path]:
    for one in sorted((root / path).iterdir()):
        named = IDENTIFIER.fullmatch(layout.identifier_of(one)) is not None
        if one.is_dir() and (named or one.name.lower() in {PARTIALS, RECIPIENTS} or (one / SETTINGS).exists()):
            yield path / one.name


def _recipient_files(root: Path) -> Iterator[Path]:
    for folder in (root, *(one for one in sorted(root.iterdir()) if one.is_dir())):
        if (folder / RECIPIENTS).is_dir():
            yield from (one.relative_to(root) for one in sorted((folder / RECIPIENTS).glob("*.toml")))


def _template(root: Path, folder: Path) -> tuple[Template, TemplateFiles]:
    identifier = _identifier(folder, layout.identifier_of(folder))
    settings = _toml(root, folder / SETTINGS, _Settings)
    source = _source(root, folder)
    samples, names = _samples(root, folder, settings.samples)
    partial: Kind = "partial" if folder.parent.name == PARTIALS else "template"
    template = Template(
        identifier=identifier,
        name=settings.name,
        kind=settings.kind or partial,
        format=_FORMATS[source.suffix[1:]],
        source=_text(root, folder / source),
        subject=_subject(root, folder / SUBJECT),
        samples=samples,
        batch=msgspec.to_builtins(settings.batch) if settings.batch else None,
        repeat_after=settings.repeat_after,
        sender=settings.sender,
        reply_to=settings.reply_to,
        locked=settings.locked,
        language=settings.language,
        variants=dict(_variants(root, folder, source.suffix[1:])),
    )
    return template, TemplateFiles(folder, source.name, names)


def _identifier(path: Path, name: str) -> str:
    if not IDENTIFIER.fullmatch(name):
        wanted = "3 to 64 capital letters A-Z, digits and underscores, beginning with a letter"
        raise Fault(f"{path}: The name of the folder or file is the identifier, which must be {wanted}.")
    return name


def _source(root: Path, folder: Path) -> Path:
    found = [Path(f"source.{one}") for one in _FORMATS if (root / folder / f"source.{one}").exists()]
    if len(found) != 1:
        many = "more than one source: keep one of them" if found else "no source"
        raise Fault(f"{folder}: There is {many} (source.mjml, source.html, source.txt or source.md).")
    return found[0]


def _subject(root: Path, path: Path) -> str | None:
    text = _text(root, path) if (root / path).exists() else None
    return text.removesuffix("\n").removesuffix("\r") if text else None


def _variants(root: Path, folder: Path, extension: str) -> Iterator[tuple[str, Variant]]:
    """Yield the texts in other languages: ``source.de.mjml`` and ``subject.de.txt``."""
    for path in sorted((root / folder).glob("source.*.*")):
        found = _VARIANT_FILE.fullmatch(path.name)
        if found is None or found[2] != extension:
            wanted = f"source.de.{extension}"
            raise Fault(f"{folder / path.name}: A text in another language is named and written like {wanted}.")
        subject = _subject(root, folder / layout.of_language(SUBJECT, found[1]))
        yield found[1], Variant(_text(root, folder / path.name), subject)


def _samples(root: Path, folder: Path, tables: list[_SampleTable] | None) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    """Read the samples in the order of ``template.toml``, then those that it does not name, by their files' names."""
    there = [str(one) for one in layout.samples(root, folder)]
    named = {one.file.removeprefix(f"{SAMPLES}/"): one.name for one in tables or ()}
    for file in named:
        if not _SAMPLE_FILE.fullmatch(file) or file not in there:
            raise Fault(f"{folder / SETTINGS}: There is no sample samples/{file[:80]}.")
    order = sorted([*named, *(file for file in there if file not in named)], key=_language_of)
    found = [
        Sample(named.get(file, Path(file).stem), _json(root, folder / SAMPLES / file), _language_of(file) or None)
        for file in order
    ]
    return tuple(found), tuple(order)


def _language_of(file: str) -> str:
    """Return the language of a sample, which is the folder that it is in; empty for none."""
    return Path(file).parent.name


def _json(root: Path, path: Path) -> Any:
    text = _text(root, path)
    try:
        data = json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise Fault(f"{path}:{error.lineno}: This is no JSON (column {error.colno}: {error.msg}).") from None
    except (ValueError, RecursionError) as error:
        raise Fault(f"{path}: This is no JSON that could be sent ({error}).") from None
    many = data if isinstance(data, list) else [data]
    if not many or not all(isinstance(one, dict) for one in many):
        raise Fault(f"{path}:1: Write one object in curly brackets; for a batch, an array of at least one object.")
    return data


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _recipient(root: Path, path: Path, environ: Mapping[str, str] | None) -> Recipient:
    identifier = _identifier(path, path.stem)
    table = _toml(root, path, _RecipientTable)
    endpoints = tuple(expanded(path, one, environ) for one in table.endpoints)
    return Recipient(
        identifier=identifier,
        name=table.name,
        endpoints=endpoints,
        pulled_from=table.pulled_from,
        language=table.language,
    )


def expanded(path: Path, endpoint: Endpoint, environ: Mapping[str, str] | None) -> Endpoint:
    """Return an endpoint with the variables in its address.

    Raises:
        Fault: for a variable that is not set; its name is no secret.
    """

    def value(found: re.Match[str]) -> str:
        if environ is None:
            return found[0]
        if not environ.get(found[1]):
            raise Fault(f"{path}: The variable {found[1]} is not set, which an address names.")
        return environ[found[1]]

    return Endpoint(endpoint.type, _VARIABLE.sub(value, endpoint.address))


def _toml(root: Path, path: Path, table: type[Table]) -> Table:
    return toml(path, _text(root, path), table)


def toml(path: Path, text: str, table: type[Table]) -> Table:
    """Read a TOML document.

    Raises:
        Fault: for what is no TOML or holds something else, with its line where that is known.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = _AT.search(str(error))
        reason = _AT.sub("", str(error)).strip().rstrip(".")
        raise Fault(f"{path}{f':{at[1]}' if at else ''}: This is no TOML ({reason}).") from None
    try:
        return msgspec.convert(data, table)
    except msgspec.ValidationError as error:
        raise Fault(f"{path}{_line_of(str(error), text)}: {str(error).replace('`', chr(39))}.") from None


def _line_of(fault: str, text: str) -> str:
    """Find the line on which the name stands that a fault is about."""
    name = re.search(r"(?:\$\.(\w+)|unknown field `(\w+)`)", fault)
    lines = text.split("\n") if name else []
    wanted = (name[1] or name[2]) if name else ""
    found = (at for at, line in enumerate(lines, 1) if re.match(rf"\s*\[{{0,2}}\s*{re.escape(wanted)}\b", line))
    line = next(found, None)
    return f":{line}" if line else ""


def _text(root: Path, path: Path) -> str:
    whole = layout.inside(root, path)
    try:
        raw = whole.read_bytes()
        if len(raw) > _MOST_BYTES:
            raise Fault(f"{path}: The file is larger than 1 MiB.")
        return raw.decode("utf-8")
    except FileNotFoundError:
        raise Fault(f"{path}: There is no such file.") from None
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise Fault(f"{path}:{line}: The file is no text in UTF-8.") from None
    except OSError as error:
        raise Fault(f"{path}: The file cannot be read ({error.strerror}).") from None
