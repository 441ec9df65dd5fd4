"""Replacing the source of a draft by a file without JavaScript; with it, files are dropped on the editor."""

from typing import Any

import msgspec
from litestar import Response, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.params import FromPath

from backend.accounts import audit
from backend.db import database as db
from backend.portal import access
from backend.portal.access import Workspace
from backend.portal.forms import Uploaded
from backend.portal.pages import go
from backend.registry import drafts, template_files
from backend.registry.drafts import Key
from backend.registry.shapes import MAX_SOURCE_BYTES


class UploadForm(msgspec.Struct, kw_only=True):
    """What the form sends: the file, and the draft's revision that it replaces."""

    revision: int = 0
    file: UploadFile | None = None


@post("/templates/{identifier:str}/upload", guards=[access.editors, access.unlocked], sync_to_thread=True)
def upload(
    workspace: NamedDependency[Workspace],
    identifier: FromPath[str],
    data: Uploaded[UploadForm],
) -> Response[Any]:
    """Make a file's text the draft's source, in the format that its content speaks for."""
    address = workspace.address(f"templates/{identifier}")
    if data.file is None or not data.file.filename:
        return go(address, done="Choose a file first.")
    read = template_files.read(data.file.filename, data.file.file.read(MAX_SOURCE_BYTES + 1))
    key = Key(workspace.service_id, identifier)
    with db.current().transaction() as transaction:
        present = drafts.working(transaction, key).content
        text = msgspec.structs.replace(present, source=read.source, format=read.format)
        drafts.save(transaction, key, text, data.revision, workspace.viewer.email)
        audit.record(transaction, workspace.actor, "template.draft_saved", identifier, service_id=workspace.service_id)
    return go(address, done="The file's text is the draft now.")


ROUTES = [upload]
