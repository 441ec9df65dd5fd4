"""Saying how an obligation has ended where somebody was asked: in posts, in place of their button, and in tickets.

That it is to be said is written down with the end itself. What says it stands in one transaction with what remembers
that: a worker that dies has said nothing, or all of it.
"""

import logging
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from backend.accounts import services
from backend.accounts.reach import Manner
from backend.channels.base import Channel
from backend.db import database as db
from backend.db.models.accounts import Mode
from backend.db.models.matters import Conversation
from backend.db.models.notifications import Delivery
from backend.db.statements import insert
from backend.delivery.content import matters
from backend.delivery.outcomes import edits
from backend.delivery.sending import answered
from backend.intake import modes, quotas, ready
from backend.intake.lookup import manner_of
from backend.intake.matters import reached
from backend.intake.ready import ReadyMessage
from backend.lib import clock, ids, queue
from backend.lib.problems import Problem
from backend.obligations import endings
from backend.obligations.endings import Ending
from backend.registry import templates
from backend.registry.templates import TemplateContent
from backend.restored import report

logger = logging.getLogger(__name__)

_CONTENT = TemplateContent(
    name="An obligation has ended",
    format="text",
    source="{{ sentence }}\n",
    subject="Nobody has to answer for this any more",
)
_AUTHOR = "Carillon"


@queue.periodic
def follow_up() -> None:
    """Follow up what has ended; the trouble of one is not that of the others."""
    with db.current().autocommit() as session:
        due = endings.due(session)
        if due and report.held(session).since is not None:
            return
    for identity in due:
        try:
            _follow_up(identity)
        except SQLAlchemyError:
            logger.exception("The end of obligation %d could not be followed up; it is tried again", identity)


def _follow_up(identity: int) -> None:
    with db.current().autocommit() as session:
        ending = endings.find(session, identity)
        # Rendering them may take its time, so nothing is held meanwhile.
        posts = answered.posts(session, ending.posts, ending.sentence) if ending.sentence is not None else []
    with db.current().transaction() as session:
        if not endings.begin(session, ending):
            return
        for post in posts:
            edits.want(session, post)
        told = [] if ending.sentence is None or ending.is_told_otherwise else ending.tickets
        if told:
            _note(session, ending, told)
        endings.followed(session, ending, {one.id for one in (*ending.posts, *ending.tickets)})


def _note(session: Session, ending: Ending, tickets: Sequence[Delivery]) -> None:
    """Add a note to each ticket, by a message that continues the conversation with it."""
    if not modes.is_on(Channel.FRESHSERVICE):
        return
    now, owed = clock.now(), ending.obligation
    try:
        service = ready.active(session, owed.service_id)
    except Problem:
        return
    tickets = reached(session, owed.service_id, tickets, manner_of(service, Manner(), by_client=False))
    version = templates.put(session, services.own_service(session).id, matters.ANSWERED, _CONTENT, _AUTHOR)[0]
    messages = []
    for one in {(each.provider, each.provider_message_id): each for each in tickets}.values():
        uid = ids.answer_notification_id(owed.notification_uid, one.uid)
        _continue(session, uid, one)
        messages.append(
            ReadyMessage(
                service_id=owed.service_id,
                channel=Channel.FRESHSERVICE,
                addresses=(one.address,),
                template=matters.ANSWERED,
                template_version_id=version.version_id,
                fields={"sentence": ending.sentence},
                uid=uid,
                content_type="text",
                recipients=tuple(one.recipients),
                continues=uid,
                mode=Mode(one.mode),
            )
        )
    live = sum(one.mode is not Mode.TEST for one in messages)
    quotas.add(session, {(owed.service_id, now.date(), Channel.FRESHSERVICE.value): live})
    ready.store(session, messages, now)


def _continue(session: Session, conversation: UUID, ticket: Delivery) -> None:
    """Begin a conversation with what a ticket is, so that what continues it becomes a note on that."""
    row = {
        "uid": ids.conversation_id(conversation, ticket.type, ticket.address),
        "begun_by": ticket.id,
        "root": ticket.provider_message_id,
        "first_message_id": str(ticket.uid),
        "last_message_id": str(ticket.uid),
        "begun_at": clock.now(),
        "told_at": clock.now(),
    }
    session.execute(insert(session, Conversation).values(**row).on_conflict_do_nothing(index_elements=["uid"]))
