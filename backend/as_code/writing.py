"""Writing what an installation has to a folder; what agrees with it already stays as its authors wrote it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from backend.as_code import layout, toml_writing
from backend.as_code.layout import RECIPIENTS, SAMPLES, SETTINGS, SUBJECT
from backend.as_code.model import (
    EXTENSIONS,
    IDENTIFIER,
    LANGUAGE,
    Contents,
    Fault,
    Recipient,
    Sample,
    Template,
    same_template,
)
from backend.as_code.reading import Folder
from backend.channels.addresses import masked, normalise
from backend.channels.base import Channel
from backend.lib.problems import Problem

_NO_WORD = re.compile(r"[^a-z0-9]+")
# Names that stand for devices on Windows.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)
_LONGEST_NAME = 60


def write(root: Path, contents: Contents, present: Folder) -> Iterator[Path]:
    """Write everything that differs from what is there; yield each file that was written or removed.

    Raises:
        Fault: for what cannot be written, and for an identifier that is none: it becomes the name of a file.
    """
    for template in contents.templates.values():
        local = present.contents.templates.get(template.identifier)
        if local is None or not same_template(local, template):
            yield from _template(root, template, present)
    for recipient in contents.recipients.values():
        known = present.contents.recipients.get(recipient.identifier)
        if known is None or not (_has_variables(known) or _shown(known) == _shown(recipient)):
            yield from _recipient(root, recipient, present)


def _shown(recipient: Recipient) -> tuple[str, list[tuple[str, str]]]:
    """Return what an installation shows of a recipient: of addresses that are secrets, their ends alone."""
    name = f"{recipient.name} ({recipient.language})"
    return name, [(one.type, _ends(one.type, one.address)) for one in recipient.endpoints]


def _has_variables(recipient: Recipient) -> bool:
    """Tell whether a file names its addresses only: what they are is not known here, so it stays."""
    return any("${" in one.address for one in recipient.endpoints)


def _ends(kind: str, address: str) -> str:
    if "…" in address:
        return address
    try:
        return masked(kind, normalise(Channel(kind), address))
    except (Problem, ValueError):
        return masked(kind, address)  # what the installation makes of it is not known here


def _template(root: Path, template: Template, present: Folder) -> Iterator[Path]:
    _check(template.identifier)
    known = present.files.templates.get(template.identifier)
    folder = known.folder if known else layout.folder_of(template.identifier, template.kind)
    samples = dict(zip(_file_names(template.samples), template.samples, strict=True))
    source = f"source.{EXTENSIONS[template.format]}"
    wanted = {folder / SETTINGS: _settings(template, list(samples)), folder / source: template.source}
    if template.subject is not None:
        wanted[folder / SUBJECT] = f"{template.subject}\n"
    for tag, variant in template.variants.items():
        if not re.fullmatch(LANGUAGE, tag):
            raise Fault("The installation has a language that is none, so no file was named after it.")
        wanted[folder / layout.of_language(source, tag)] = variant.source
        if variant.subject is not None:
            wanted[folder / layout.of_language(SUBJECT, tag)] = f"{variant.subject}\n"
    for name, sample in samples.items():
        wanted[folder / SAMPLES / name] = json.dumps(sample.fields, indent=2, ensure_ascii=False) + "\n"
    others = [folder / f"source.{one}" for one in EXTENSIONS.values()] + [folder / SUBJECT]
    for pattern in ("source.*.*", "subject.*.txt"):
        others += [one.relative_to(root) for one in sorted((root / folder).glob(pattern))]
    others += [folder / SAMPLES / one for one in layout.samples(root, folder)]
    yield from (path for path, text in wanted.items() if _put(root, path, text))
    yield from (path for path in others if path not in wanted and _removed(root, path))


def _settings(template: Template, files: list[str]) -> str:
    tables: dict[str, toml_writing.Tables] = {}
    if template.batch:
        tables["batch"] = template.batch
    if template.samples:
        pairs = zip(template.samples, files, strict=True)
        tables["samples"] = [{"name": one.name, "file": f"{SAMPLES}/{file}"} for one, file in pairs]
    return toml_writing.document(
        {
            "name": template.name,
            "kind": template.kind if template.kind != "template" else None,
            "repeat_after": template.repeat_after,
            "language": template.language,
            "sender": template.sender,
            "reply_to": template.reply_to,
            "locked": template.locked or None,
        },
        tables,
    )


def _file_names(samples: tuple[Sample, ...]) -> list[str]:
    """Name a file after each sample; whatever the sample is called, the name is letters, digits and hyphens.

    Those of a variant are in the folder of its language.
    """
    tags = list(dict.fromkeys(sample.language or "" for sample in samples))
    if not all(re.fullmatch(LANGUAGE, tag) for tag in tags if tag):
        raise Fault("The installation has a language that is none, so no file was named after it.")
    by_language = {tag: iter(_names([one for one in samples if (one.language or "") == tag])) for tag in tags}
    return [f"{tag}/{next(by_language[tag])}".removeprefix("/") for tag in (one.language or "" for one in samples)]


def _names(samples: list[Sample]) -> list[str]:
    names: list[str] = []
    for sample in samples:
        stem = _NO_WORD.sub("-", sample.name.lower()).strip("-")[:_LONGEST_NAME] or "sample"
        stem = f"{stem}-sample" if _DEVICES.fullmatch(stem) else stem
        count = sum(name == f"{stem}.json" or re.fullmatch(rf"{stem}-\d+\.json", name) is not None for name in names)
        names.append(f"{stem}-{count + 1}.json" if count else f"{stem}.json")
    return names


def _recipient(root: Path, recipient: Recipient, present: Folder) -> Iterator[Path]:
    _check(recipient.identifier)
    path = present.files.recipients.get(recipient.identifier) or Path(RECIPIENTS) / f"{recipient.identifier}.toml"
    endpoints = [{"type": one.type, "address": one.address} for one in recipient.endpoints]
    head = {"name": recipient.name, "language": recipient.language, "pulled_from": recipient.pulled_from}
    if not endpoints:
        text = toml_writing.document(head) + "endpoints = []\n"
    else:
        text = toml_writing.document(head, {"endpoints": endpoints})
    if _put(root, path, text):
        yield path


def _check(identifier: str) -> None:
    if not IDENTIFIER.fullmatch(identifier):
        raise Fault("The installation has an identifier that is none, so no file was named after it.")


def _put(root: Path, path: Path, text: str) -> bool:
    whole = layout.inside(root, path)
    raw = text.encode("utf-8")
    try:
        if whole.is_file() and whole.read_bytes() == raw:
            return False
        whole.parent.mkdir(parents=True, exist_ok=True)
        whole.write_bytes(raw)
    except OSError as error:
        raise Fault(f"{path}: The file cannot be written ({error.strerror}).") from None
    return True


def _removed(root: Path, path: Path) -> bool:
    whole = layout.inside(root, path)
    if not whole.is_file():
        return False
    whole.unlink()
    return True
