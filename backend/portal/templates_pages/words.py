"""What the editor suggests while one types, beside the fields of the sample, which its script has."""

from typing import Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from backend.db import database as db
from backend.portal import access
from backend.portal.access import Workspace
from backend.registry import template_lists
from backend.rendering.vocabulary import vocabulary


@get("/templates/words", guards=[access.editors], sync_to_thread=True)
def words(workspace: NamedDependency[Workspace]) -> Response[Any]:
    """Answer with the vocabulary of templates, with the service's own partials and layouts among the parts."""
    with db.current().read() as reading:
        own = template_lists.parts(reading, workspace.service_id)
    found = vocabulary()
    parts = {form: [*names, *(name for name, other in own if other == form)] for form, names in found.parts.items()}
    written = msgspec.json.encode(msgspec.structs.replace(found, parts=parts))
    return Response(written, media_type="application/json")


ROUTES = [words]
