"""Where things stand in a folder: a folder for each template, ``partials/`` for what they include, ``recipients/``."""

import re
from pathlib import Path

import msgspec

from backend.as_code.model import LANGUAGE, Fault

PARTIALS, RECIPIENTS, SAMPLES = "partials", "recipients", "samples"
SETTINGS, SUBJECT = "template.toml", "subject.txt"
# Folders of these names would be the others where file systems know no capitals.
_TAKEN = {PARTIALS, RECIPIENTS, SAMPLES}
_APART = ".template"


class TemplateFiles(msgspec.Struct, frozen=True):
    """The files of one template, relative to the folder; ``samples`` in the order of its samples."""

    folder: Path
    source: str
    samples: tuple[str, ...] = ()

    def of(self, pointer: str) -> Path:
        """Return the file that a part of a template is in.

        Parts are ``/source``, ``/subject``, ``/samples/2/fields``, ``/variants/de/source``, …
        """
        parts = pointer.strip("/").split("/")
        tag = parts[1] if parts[0] == "variants" and len(parts) > 2 else ""
        part = parts[2] if tag else parts[0]
        if part == "source":
            return self.folder / of_language(self.source, tag)
        if part == "subject":
            return self.folder / of_language(SUBJECT, tag)
        if parts[0] == "samples" and len(parts) > 1 and parts[1].isdecimal() and int(parts[1]) < len(self.samples):
            return self.folder / SAMPLES / self.samples[int(parts[1])]
        return self.folder / SETTINGS


class Files(msgspec.Struct, frozen=True):
    """Where everything of a folder stands, by identifier, relative to the folder."""

    templates: dict[str, TemplateFiles]
    recipients: dict[str, Path]


def folder_of(identifier: str, kind: str) -> Path:
    """Return the folder that a template is written to."""
    name = identifier + _APART if identifier.lower() in _TAKEN else identifier
    return Path(name) if kind == "template" else Path(PARTIALS) / name


def samples(root: Path, folder: Path) -> list[Path]:
    """Return the files of a template's samples, and of those that are for one language, within ``samples/``."""
    whole = root / folder / SAMPLES
    nested = (one for one in whole.glob("*/*.json") if re.fullmatch(LANGUAGE, one.parent.name))
    return sorted(one.relative_to(whole) for one in (*whole.glob("*.json"), *nested))


def of_language(file: str, tag: str) -> str:
    """Return the name of a file in another language: ``source.de.mjml`` for ``source.mjml``."""
    if not tag:
        return file
    stem, _, extension = file.rpartition(".")
    return f"{stem}.{tag}.{extension}"


def identifier_of(folder: Path) -> str:
    """Return the identifier of the template in a folder."""
    return folder.name.removesuffix(_APART)


def inside(root: Path, path: Path) -> Path:
    """Return where a path of the folder leads.

    Raises:
        Fault: for one that leads out of the folder by a symbolic link.
    """
    whole = root / path
    if not whole.resolve().is_relative_to(root.resolve()):
        raise Fault(f"{path}: This leads out of the folder, where nothing is read or written.")
    return whole
