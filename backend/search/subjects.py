"""The subject of a notification as it was rendered: given with it, or made by its template from its fields."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from backend.lib.fair_pool import Share
from backend.publishing.sources import source_of_version
from backend.registry.lookup import FoundTemplate
from backend.rendering import acceptance
from backend.rendering.model import Rendered, RenderJob

_LONGEST = 500


class Wanted(msgspec.Struct, frozen=True):
    """A subject to be rendered: of which service, by which version, from which fields (a list for a batch)."""

    service_id: int
    version: FoundTemplate
    fields: Any


def rendered(wanted: Mapping[int, Wanted], *, at_once: bool = False) -> dict[int, str]:
    """Render the subjects of notifications, by their rows; one that cannot be rendered is absent.

    With ``at_once`` those are left out that only a child process may render.
    """
    found: dict[int, str] = {}
    groups: dict[tuple[int, int], list[int]] = {}
    for row, one in wanted.items():
        if "{" not in (one.version.subject or ""):
            found[row] = " ".join((one.version.subject or "").split())
        else:
            groups.setdefault((one.service_id, one.version.version_id), []).append(row)
    for (service_id, _), rows in groups.items():
        jobs = [_job(wanted[row]) for row in rows]
        if at_once and not acceptance.is_harmless(jobs[0]):
            continue
        made = acceptance.render_many(jobs, Share(service_id))
        found |= {
            row: one.subject for row, one in zip(rows, made, strict=True) if isinstance(one, Rendered) and one.subject
        }
    return {row: subject[:_LONGEST] for row, subject in found.items() if subject}


def _job(wanted: Wanted) -> RenderJob:
    """Describe the rendering of a subject alone, without the body, of which nothing is shown."""
    whole = source_of_version(wanted.version)
    alone = msgspec.structs.replace(whole, format="text", source="", layout=None, fragment=False)
    return RenderJob(
        key=f"subject:{wanted.version.version_id}",
        source=alone,
        fields=wanted.fields,
        batch=isinstance(wanted.fields, list),
        want_html=False,
        want_text=False,
    )


def of_first(subjects: Sequence[str | None]) -> str | None:
    """Return the first subject that there is among those of a notification's channels."""
    return next((one for one in subjects if one), None)
