"""What people see of a template that is kept as code: where it comes from, what was edited since, who locked it."""

from typing import Any

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from backend.accounts import audit
from backend.db import database as db
from backend.portal import access
from backend.portal.access import Workspace
from backend.portal.pages import go
from backend.registry import provenance
from backend.registry.provenance import CodeStanding, Lock


class AsCode(msgspec.Struct, frozen=True):
    """How a template stands to its repository, and the lock that keeps people from changing it; None without."""

    standing: CodeStanding | None
    lock: Lock | None


def of(workspace: Workspace, identifier: str) -> AsCode:
    """Return what is known of a template as code."""
    with db.current().read() as reading:
        return AsCode(
            provenance.standing(reading, workspace.service_id, identifier),
            provenance.locked(reading, workspace.service_id, identifier),
        )


@post("/templates/{identifier:str}/unlock", guards=[access.administrators], sync_to_thread=True)
def unlock(workspace: NamedDependency[Workspace], identifier: FromPath[str]) -> Response[Any]:
    """Let people change a template that was locked for its repository."""
    with db.current().transaction() as transaction:
        lock = provenance.locked(transaction, workspace.service_id, identifier)
        if provenance.unlock(transaction, workspace.service_id, identifier) and lock is not None:
            detail = {"locked_by": lock.by}
            audit.record(
                transaction,
                workspace.actor,
                "template.unlocked",
                identifier,
                service_id=workspace.service_id,
                detail=detail,
            )
    done = "The template is unlocked: it can be edited here, until its repository locks it again."
    return go(workspace.address(f"templates/{identifier}"), done=done)


ROUTES = [unlock]
