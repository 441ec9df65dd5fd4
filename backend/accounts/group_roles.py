"""Roles by the groups of the OpenID provider: who is in a group there has its role in a service here.

A role is given and taken at sign-in. What a person gave by hand is nobody's but theirs to take.
"""

from collections.abc import Collection
from typing import Any, cast

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from backend.accounts import members
from backend.accounts.users import ROLES, Role
from backend.db.models.accounts import GroupRole, Membership, Service, User
from backend.lib.problems import Problem


class GroupRow(msgspec.Struct, frozen=True):
    """One line of the map: the members of a group have a role in a service."""

    id: int
    group: str
    service_id: int
    service: str
    role: Role


class Change(msgspec.Struct, frozen=True):
    """What a sign-in changed in one service: the role before and after, None for none."""

    service_id: int
    before: str | None
    after: str | None


def listed(session: Session) -> list[GroupRow]:
    """List the map by group and service."""
    rows = session.execute(
        select(GroupRole.id, GroupRole.group_name, Service.id, Service.name, GroupRole.role)
        .join(Service, Service.id == GroupRole.service_id)
        .order_by(GroupRole.group_name, Service.name)
    )
    return [
        GroupRow(row_id, group, service_id, name, cast("Role", role)) for row_id, group, service_id, name, role in rows
    ]


def add(session: Session, group: str, service: Service, role: str) -> GroupRow:
    """Let the members of a group have a role in a service, in place of the one that the group had there.

    Raises:
        Problem: ``invalid_value`` for a name that no group has, or a role that there is not.
    """
    name = checked_group(group)
    checked = members.checked_role(role)
    wanted = (GroupRole.group_name == name, GroupRole.service_id == service.id)
    row = session.scalar(select(GroupRole).where(*wanted))
    if row is None:
        row = GroupRole(group_name=name, service_id=service.id, role=checked)
        session.add(row)
    row.role = checked
    session.flush()
    return GroupRow(row.id, name, service.id, service.name, checked)


def checked_group(name: str) -> str:
    """Return the name of a group as the provider writes it.

    Raises:
        Problem: ``invalid_value``.
    """
    trimmed = name.strip()
    if not 1 <= len(trimmed) <= 255 or not trimmed.isprintable():
        raise Problem("invalid_value", "The name of a group has 1 to 255 printable characters.")
    return trimmed


def remove(session: Session, row_id: int) -> GroupRow:
    """Take a line out of the map; its people lose the role when they next sign in.

    Raises:
        Problem: ``not_found``.
    """
    found = next((row for row in listed(session) if row.id == row_id), None)
    if found is None:
        raise Problem("not_found", "There is no such group.")
    session.execute(delete(GroupRole).where(GroupRole.id == row_id))
    return found


def of_groups(session: Session, groups: Collection[str]) -> dict[int, Role]:
    """Return the role in each service that the members of these groups have: of several the one that may most."""
    rows = session.execute(select(GroupRole.service_id, GroupRole.role).where(GroupRole.group_name.in_(list(groups))))
    found: dict[int, Role] = {}
    for service_id, name in rows:
        role = cast("Role", name)
        found[service_id] = min(found.get(service_id, role), role, key=ROLES.index)
    return found


def follow(session: Session, user: User, roles: dict[int, Role]) -> list[Change]:
    """Give a user the roles of their groups, and take those that other groups had given; return what changed."""
    had = {one.service_id: one for one in session.scalars(select(Membership).where(Membership.user_id == user.id))}
    changes: list[Change] = []
    for service_id, role in roles.items():
        membership = had.get(service_id)
        if membership is None:
            session.add(Membership(user_id=user.id, service_id=service_id, role=role, by_group=True))
            changes.append(Change(service_id, None, role))
        elif membership.by_group and membership.role != role:
            changes.append(Change(service_id, membership.role, role))
            membership.role = role
    for service_id, membership in had.items():
        if membership.by_group and service_id not in roles:
            changes.append(Change(service_id, membership.role, None))
            session.delete(membership)
    session.flush()
    return changes


def read_claim(claims: dict[str, Any], name: str) -> tuple[str, ...] | None:
    """Read the groups of an ID token: none if it names none; None if the provider left them out for their number.

    Microsoft leaves them out of the token of somebody with more than 200, and says so in ``hasgroups`` or
    ``_claim_names``.
    """
    found = claims.get(name)
    if found is None:
        elsewhere = claims.get("_claim_names")
        left_out = claims.get("hasgroups") or (isinstance(elsewhere, dict) and name in elsewhere)
        return None if left_out else ()
    given = found if isinstance(found, list) else [found]
    return tuple(one for one in given if isinstance(one, str) and 0 < len(one) <= 255)
