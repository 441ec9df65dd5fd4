"""The form that takes a spreadsheet in, and an example of one for each template."""

from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.concurrency import sync_to_thread
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.params import FromQuery
from litestar.status_codes import HTTP_413_REQUEST_ENTITY_TOO_LARGE

from backend.channels.base import Channel
from backend.db import database as db
from backend.intake import subjects
from backend.jobs import control, files, preview
from backend.jobs.workbooks import reading
from backend.lib.problems import Problem
from backend.portal import access, once, security
from backend.portal.access import Workspace
from backend.portal.forms import Faults
from backend.portal.pages import go, page
from backend.registry import template_lists
from backend.registry.lookup import FoundTemplate

# What the form holds beside the file.
_REST_BYTES = 64 * 1024
_MOST_TEMPLATES = 1000
_TOO_LARGE = f"The file has more than {files.MAX_BYTES // 1024**2} MiB. Divide it into several."


class UploadForm(msgspec.Struct, frozen=True, kw_only=True):
    """What a person chose."""

    name: str = ""
    template: str = ""
    channel: str = Channel.EMAIL.value
    subject: str = ""


@get("/jobs/new", guards=[access.editors], sync_to_thread=True)
def new(
    workspace: NamedDependency[Workspace], template: FromQuery[str] = "", channel: FromQuery[str] = "EMAIL"
) -> Response[Any]:
    """Show the form."""
    return _form(workspace, UploadForm(template=template, channel=channel), Faults())


# The form is read here and not before the guards: what a stranger sends is not even looked at, however long it is.
@post(
    "/jobs",
    guards=[access.editors],
    opt={"exclude_from_csrf": True, "reads_form": True},
    request_max_body_size=files.MAX_BYTES + _REST_BYTES,
    status_code=200,
)
async def upload(workspace: NamedDependency[Workspace], request: Request[Any, Any, Any]) -> Response[Any]:
    """Take a spreadsheet in and have it checked."""
    if (request.content_length or 0) > files.MAX_BYTES + _REST_BYTES:
        return await sync_to_thread(_too_large, workspace, request)
    try:
        given = await request.form()
    except RequestEntityTooLarge:
        return await sync_to_thread(_too_large, workspace, request)
    security.check_token(request, given.get("_csrf_token"))
    fields = list(given.multi_items())
    security.check_fields(fields)
    await once.take(request, fields)
    return await sync_to_thread(_take, workspace, dict(given))


def _too_large(workspace: Workspace, request: Request[Any, Any, Any]) -> Response[Any]:
    security.keep_token(request)
    faults = Faults()
    faults.add("file", _TOO_LARGE)
    return _form(workspace, UploadForm(), faults, HTTP_413_REQUEST_ENTITY_TOO_LARGE)


def _take(workspace: Workspace, given: dict[str, Any]) -> Response[Any]:
    file = given.get("file")
    words = {name: value for name, value in given.items() if name in UploadForm.__struct_fields__}
    form = UploadForm(**{name: value for name, value in words.items() if isinstance(value, str)})
    faults = Faults()
    job_id = _uploaded(workspace, form, file if isinstance(file, UploadFile) else None, faults)
    if job_id is None:
        return _form(workspace, form, faults)
    return go(workspace.address(f"jobs/{job_id}"), "The file is here, and its rows are being checked.")


def _uploaded(workspace: Workspace, form: UploadForm, file: UploadFile | None, faults: Faults) -> int | None:
    template: FoundTemplate | None = None
    subject: str | None = None
    if len(form.name) > control.MAX_NAME:
        faults.add("name", f"The name has at most {control.MAX_NAME} characters.")
    if file is None or not file.filename:
        faults.add("file", "Choose a file.")
    with faults.on("template"):
        template = control.template_of(workspace.service_id, form.template)
    if form.channel not in {channel.value for channel in Channel}:
        faults.add("channel", "Choose one of the list.")
    else:
        with faults.on("channel"):
            control.check_channel(Channel(form.channel))
        with faults.on("subject"):
            subject = subjects.checked(form.subject, Channel(form.channel), template.subject) if template else None
    if faults or file is None or template is None:
        return None
    chosen = control.Upload(
        name=form.name,
        file_name=file.filename,
        template=template,
        channel=Channel(form.channel),
        subject=subject,
    )
    try:
        return control.upload(workspace.service_id, chosen, file.file, workspace.actor)
    except Problem as problem:
        faults.add("file", problem.detail)
        return None


def _form(workspace: Workspace, form: UploadForm, faults: Faults, status: int | None = None) -> Response[Any]:
    with db.current().read() as session:
        known = template_lists.page(session, workspace.service_id, _MOST_TEMPLATES)
    chosen = form.template or (known[0].identifier if known else "")
    return page(
        "jobs/new.html",
        workspace.viewer,
        current="jobs",
        workspace=workspace,
        status_code=status or faults.status,
        form=msgspec.structs.replace(form, template=chosen),
        faults=faults,
        templates=known,
        channels=[channel.value for channel in Channel],
        most=files.MAX_BYTES // 1024**2,
        most_workbook=reading.MAX_BYTES // 1024**2,
    )


@get("/jobs/example", sync_to_thread=True)
def example(
    workspace: NamedDependency[Workspace], template: FromQuery[str] = "", channel: FromQuery[str] = "EMAIL"
) -> Response[bytes]:
    """Download a file as the template wants it."""
    if channel not in {one.value for one in Channel}:
        raise NotFoundException
    try:
        content = preview.example(workspace.service_id, template, Channel(channel))
    except Problem as problem:
        raise NotFoundException from problem
    headers = {"Content-Disposition": f'attachment; filename="{template}.csv"'}
    return Response(content, media_type="text/csv", headers=headers)


ROUTES = [new, upload, example]
