"""Whether the senders that a template chooses are there, verified, and permitted."""

from sqlalchemy.orm import Session

from backend.accounts import sender_choice
from backend.db.models.senders import SenderKind
from backend.lib.problems import FieldError, Problem
from backend.registry.templates import TemplateContent


def faults(session: Session, service_id: int, content: TemplateContent) -> list[FieldError]:
    """Say which of a template's choices cannot be followed, and why."""
    choices = ((SenderKind.FROM, "sender", content.sender), (SenderKind.REPLY_TO, "reply_to", content.reply_to))
    if content.sender is None and content.reply_to is None:
        return []
    known = sender_choice.of_service(session, service_id)
    return [
        FieldError(f"/{name}", "unknown_sender", reason)
        for kind, name, chosen in choices
        if chosen is not None and (reason := known.why_not(kind, chosen)) is not None
    ]


def check(session: Session, service_id: int, content: TemplateContent) -> None:
    """See that a template that is to be published chooses senders that its e-mails can have.

    Raises:
        Problem: ``unknown_sender``.
    """
    found = faults(session, service_id, content)
    if found:
        raise Problem("unknown_sender", f"It was not published. {found[0].detail}", errors=found)
