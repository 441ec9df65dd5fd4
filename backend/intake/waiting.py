"""What of a notification has to wait for a window or the end of a mute, as it is accepted."""

from collections.abc import Iterator
from datetime import datetime

import msgspec
from sqlalchemy.orm import Session

from backend.channels import simulator
from backend.channels.base import Channel
from backend.db.models.notifications import Priority
from backend.intake.content import Content
from backend.intake.lookup import PRIORITY
from backend.intake.validate import Plan, ServiceState
from backend.lib.problems import FieldError
from backend.registry import sending
from backend.registry.sending import Wait


def held(session: Session, content: Content, plan: Plan, service: ServiceState, moment: datetime) -> Plan:
    """Return a plan with what its messages wait for that could leave at a moment.

    What joins a batch waits with that; messages to the simulator reach nobody, and wait for nothing.
    """
    notification = content.notification
    if not service.rules or notification is None or PRIORITY[notification.priority] is Priority.BATCH:
        return plan
    rules = sending.of_service(session, content.service_id, service.rules)
    high = PRIORITY[notification.priority] is Priority.HIGH
    waits: dict[tuple[int, str], Wait] = {}
    for index, planned in enumerate(plan.channels):
        for target in planned.targets:
            if simulator.is_address(Channel(planned.channel.type), target.address):
                continue
            wait = rules.wait(planned.template.identifier, target.recipients, high=high, moment=moment)
            if wait is not None:
                waits[index, target.address] = wait
    return msgspec.structs.replace(plan, waits=waits) if waits else plan


def warnings(plan: Plan) -> Iterator[FieldError]:
    """Say of each channel what its messages wait for."""
    told: set[tuple[int, str]] = set()
    for (index, _), wait in plan.waits.items():
        if (index, wait.detail) not in told:
            told.add((index, wait.detail))
            yield FieldError(f"/channels/{index}", wait.code, wait.sentence())
