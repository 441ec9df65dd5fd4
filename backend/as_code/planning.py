"""What pushing a folder would change at an installation, and the request that changes it."""

from collections.abc import Iterator, Mapping
from difflib import unified_diff
from typing import Any

import msgspec

from backend.as_code.git import Revision
from backend.as_code.installation import Outcome, Stored
from backend.as_code.layout import of_language
from backend.as_code.model import Contents, Recipient, Template, Variant, plain, same_template, unified


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What would be sent: the templates that differ, all recipients, and the templates of code that are gone.

    ``only_there`` are templates that the folder does not have and that stay.
    """

    templates: list[Template]
    recipients: list[Recipient]
    gone: list[str]
    only_there: list[str]

    def body(self, revision: Revision, message: str | None) -> dict[str, Any]:
        """Return the request."""
        said = {"message": message, "commit": revision.commit, "repository": revision.repository}
        return {name: value for name, value in said.items() if value is not None} | {
            "templates": [_template(one) for one in self.templates],
            "recipients": [_recipient(one) for one in self.recipients],
            "delete": {"templates": self.gone, "recipients": []},
        }


def change(local: Contents, there: Mapping[str, Stored], *, delete: bool) -> Change:
    """Compare a folder with an installation; with ``delete``, what was published by code and is gone is deleted."""
    missing = [one for name, one in there.items() if name not in local.templates]
    gone = [one.identifier for one in missing if delete and one.code is not None]
    return Change(
        templates=[
            one
            for name, one in local.templates.items()
            if name not in there or not same_template(one, there[name].template)
        ],
        recipients=list(local.recipients.values()),
        gone=gone,
        only_there=[one.identifier for one in missing if one.identifier not in gone],
    )


def is_nothing(planned: Change, outcome: Outcome) -> bool:
    """Tell whether an installation is as the folder says already."""
    same_templates = all(one.change == "same" and one.relocked is None for one in outcome.templates)
    return same_templates and not planned.gone and all(one.change == "same" for one in outcome.recipients)


def difference(before: Template | None, after: Template, file: str) -> list[str]:
    """Return the lines of a unified diff of all that a template says."""
    lines: list[str] = []
    pairs = [
        ("source", unified(before.source) if before else "", unified(after.source), file),
        ("subject", (before.subject if before else None) or "", after.subject or "", "subject.txt"),
        *_variant_pairs(before.variants if before else {}, after.variants, file),
        ("settings", _settings(before) if before else "", _settings(after), "template.toml, samples"),
    ]
    for part, old, new, name in pairs:
        old_lines, new_lines = old.splitlines(), new.splitlines()
        lines += unified_diff(old_lines, new_lines, f"published {part}", name, lineterm="", n=2)
    return lines


def _variant_pairs(
    before: Mapping[str, Variant], after: Mapping[str, Variant], file: str
) -> Iterator[tuple[str, str, str, str]]:
    """Yield what a template says in other languages, before and after."""
    none = Variant("")
    for tag in sorted(before.keys() | after.keys()):
        old, new = before.get(tag, none), after.get(tag, none)
        yield f"source ({tag})", unified(old.source), unified(new.source), of_language(file, tag)
        yield f"subject ({tag})", old.subject or "", new.subject or "", of_language("subject.txt", tag)


def rendered_difference(before: str, after: str) -> list[str]:
    """Return the lines of a unified diff of a rendered message."""
    return list(unified_diff(before.splitlines(), after.splitlines(), "message", "message", lineterm="", n=1))


def _settings(one: Template) -> str:
    said = {
        "name": one.name,
        "kind": one.kind,
        "format": one.format,
        "repeat_after": one.repeat_after,
        **{name: value for name, value in (("sender", one.sender), ("reply_to", one.reply_to)) if value},
        "batch": one.batch or None,
        "language": one.language,
        "samples": {f"{sample.language or ''} {sample.name}".strip(): sample.fields for sample in one.samples},
    }
    return msgspec.json.format(msgspec.json.encode(said)).decode()


def _template(one: Template) -> dict[str, Any]:
    # Samples are named where there are none as well, for then those of the installation go.
    said: dict[str, Any] = {"samples": []} | msgspec.to_builtins(plain(one))
    return said


def _recipient(one: Recipient) -> dict[str, Any]:
    endpoints = [{"type": endpoint.type, "address": endpoint.address} for endpoint in one.endpoints]
    said = {"identifier": one.identifier, "name": one.name, "endpoints": endpoints}
    return said | ({"language": one.language} if one.language else {})
