"""What a newcomer finds: an administrator, a service with recipients, the starter templates, an API client."""

import secrets

from sqlalchemy.orm import Session

from backend.accounts import audit, clients, services, users
from backend.accounts.audit import Actor
from backend.commands import demo_access
from backend.commands.demo_access import DemoAccess
from backend.db import database as db
from backend.db.models.accounts import Service, User
from backend.registry import recipients, templates
from backend.registry.lookup import Address
from backend.registry.templates import TemplateContent
from backend.rendering.starters import Starter, starters

SERVICE = "Demo laboratory"
ADMINISTRATOR = "admin@carillon.example"
GROUPS = (
    (
        "LAB_STAKEHOLDERS",
        "Laboratory stakeholders",
        [Address("EMAIL", "lab-team@lab.example"), Address("EMAIL", "sample-desk@lab.example")],
    ),
    ("OPERATIONS", "Operations", [Address("EMAIL", "operations@lab.example"), Address("SLACK", "#operations")]),
)


def create() -> DemoAccess:
    """Create all of it in one transaction, unless it is there."""
    there = demo_access.present()
    if there is not None:
        return there
    password = secrets.token_urlsafe(9)
    with db.current().transaction() as session:
        service = services.service_by_name(session, SERVICE) or services.create_service(session, SERVICE, live=True)
        administrator = _administrator(session, password)
        users.give_role(session, administrator, service, "admin")
        client = clients.create_client(session, service, "Quick start")
        _register(session, service)
        made = {"administrator": administrator.email, "api_client": client.client_id}
        by = Actor("command", "carillon seed")
        audit.record(session, by, "service.made", service.name, service_id=service.id, detail=made)
    access = DemoAccess(service.id, ADMINISTRATOR, password, client.client_id, client.client_secret)
    demo_access.keep(access)
    return access


def _administrator(session: Session, password: str) -> User:
    known = users.by_email(session, ADMINISTRATOR)
    if known is None:
        return users.create_user(session, ADMINISTRATOR, password, platform_admin=True)
    users.set_password(known, password)
    return known


def _register(session: Session, service: Service) -> None:
    for identifier, name, endpoints in GROUPS:
        recipients.put(session, service.id, identifier, name, recipients.canonical_endpoints(endpoints))
    for starter in starters():
        templates.put(session, service.id, starter.identifier, content_of(starter), created_by="Carillon")


def content_of(starter: Starter) -> TemplateContent:
    """Take a starter as a template's first version."""
    return TemplateContent(
        name=starter.name,
        format=starter.format,
        source=starter.source,
        subject=starter.subject,
        sample_fields=starter.sample_fields,
    )
