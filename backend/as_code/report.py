"""A plan as people read it: what is new, changed or gone, line by line; warnings and faults by file."""

import re
from collections.abc import Iterator, Mapping, Sequence

from backend.as_code import planning
from backend.as_code.installation import FieldFault, Outcome, Refusal, Stored, TemplateOutcome, Warned
from backend.as_code.layout import Files
from backend.as_code.model import LANGUAGE, Template, listed
from backend.as_code.planning import Change

_TEMPLATE = re.compile(r"/templates/(\d+)(/.*)?")
_RECIPIENT = re.compile(r"/recipients/(\d+)(/.*)?")
# Behind the identifier of the template, and behind the language of its variant, as in "In German (de): ".
_LINE = re.compile(r"(?:[A-Z0-9_]+: )?(?:In [^:]+: )?Line (\d+): ")
_OF_VARIANT = re.compile(rf"In [^:]+ \(({LANGUAGE})\): ")
_SIGNS = {"new": "+", "changed": "~", "same": "=", "deleted": "-"}


def plan(
    planned: Change, outcome: Outcome, there: Mapping[str, Stored], kept: Sequence[str], files: Files
) -> Iterator[str]:
    """Yield the lines of a plan."""
    local = {one.identifier: one for one in planned.templates}
    for one in outcome.templates:
        yield from _template(one, local.get(one.identifier), there.get(one.identifier), files)
    for rendered in outcome.rendered:
        yield f"* {rendered.identifier}: rendered change, for it is made with a partial of this change"
        for title, before, after in _messages(rendered.before, rendered.after):
            yield from (f"    {title}{line}" for line in planning.rendered_difference(before, after))
    for recipient in outcome.recipients:
        if recipient.change != "same":
            yield f"{_SIGNS.get(recipient.change, '~')} {recipient.identifier}: {recipient.change} recipient"
    for name in kept:
        yield f"= {name}: this recipient stays who it is there"
    for name in planned.only_there:
        yield f"  {name}: only there{_in_use(there[name])}; it stays"


def _messages(before: object, after: object) -> Iterator[tuple[str, str, str]]:
    def part(message: object, name: str) -> str:
        return str(getattr(message, name, None) or "")

    yield "", part(before, "subject"), part(after, "subject")
    yield "", part(before, "text"), part(after, "text")


def _template(one: TemplateOutcome, local: Template | None, stored: Stored | None, files: Files) -> Iterator[str]:
    kind = local.kind if local else stored.kind if stored else "template"
    said = {"same": "the same text"}.get(one.change, f"{one.change} {kind}")
    if one.relocked is not None:
        said += ", to be locked against the portal" if one.relocked else ", to be unlocked for the portal"
    yield f"{_SIGNS.get(one.change, '~')} {one.identifier}: {said}{_in_use(stored) if one.change == 'deleted' else ''}"
    if stored is not None and stored.code is not None:
        yield f"    {_drift(stored)}"
    template_files = files.templates.get(one.identifier)
    if local is not None and one.change in {"new", "changed"}:
        file = str(template_files.of("/source")) if template_files else "source"
        yield from (f"    {line}" for line in planning.difference(stored.template if stored else None, local, file))
    yield from (f"    {line}" for line in warnings(one.identifier, one.warnings, files))


def _drift(stored: Stored) -> str:
    code = stored.code
    if code is None:
        return ""
    commit = f" from commit {code.commit}" if code.commit else ""
    told = f"version {code.version} was published by code{commit}"
    if code.edited is None:
        return told
    return f"{told}; edited by hand since: version {code.edited.version} by {code.edited.by}"


def _in_use(stored: Stored | None) -> str:
    users = [one.identifier for one in stored.used_by] if stored else []
    return f", in use by {listed(users)}" if users else ""


def warnings(identifier: str, found: Sequence[Warned], files: Files) -> Iterator[str]:
    """Yield a line for each warning, with its file and line."""
    template_files = files.templates.get(identifier)
    for one in found:
        variant = _OF_VARIANT.match(one.detail)
        where = (
            str(template_files.of(f"/variants/{variant[1]}/source" if variant else "/source"))
            if template_files
            else identifier
        )
        yield f"warning: {where}{f':{one.line}' if one.line else ''}: {one.detail}"


def totals(outcome: Outcome) -> str:
    """Say in one line how much a change is."""
    counts: dict[str, int] = {}
    kinds = [one.change for one in outcome.templates] + [one.change for one in outcome.recipients]
    for kind in kinds:
        counts[kind] = counts.get(kind, 0) + 1
    parts = [f"{counts[kind]} {kind}" for kind in ("new", "changed", "deleted") if kind in counts]
    relocked = sum(one.relocked is not None for one in outcome.templates)
    parts += [f"{len(outcome.rendered)} rendered anew"] if outcome.rendered else []
    parts += [f"{relocked} locked or unlocked"] if relocked else []
    return ", ".join(parts) or "nothing to do"


def faults(refusal: Refusal, planned: Change, files: Files) -> list[str]:
    """Return a sentence for each fault that an installation found, with its file and line."""
    if not refusal.errors:
        return [refusal.detail]
    return [_fault(one, planned, files) for one in refusal.errors]


def _fault(one: FieldFault, planned: Change, files: Files) -> str:
    template = _TEMPLATE.match(one.pointer)
    recipient = _RECIPIENT.match(one.pointer)
    if template is not None and int(template[1]) < len(planned.templates):
        identifier, pointer = planned.templates[int(template[1])].identifier, template[2] or ""
        template_files = files.templates.get(identifier)
        line = _LINE.match(one.detail)
        in_source = line is not None and (pointer.endswith("/source") or "/samples/" in pointer)
        source = pointer if pointer.endswith("/source") else "/source"
        where = str(template_files.of(source if in_source else pointer)) if template_files else identifier
        return f"{where}{f':{line[1]}' if line and in_source else ''}: {one.detail}"
    if recipient is not None and int(recipient[1]) < len(planned.recipients):
        identifier = planned.recipients[int(recipient[1])].identifier
        return f"{files.recipients.get(identifier, identifier)}: {one.detail}"
    return one.detail
