"""That a message is one too many for its recipient, or a text equal to the one before, and what becomes of it then."""

import msgspec
from sqlalchemy.orm import Session

from backend.intake.content import Content
from backend.intake.validate import Plan, Registered
from backend.lib.problems import FieldError, Problem
from backend.registry import lookup


class Excess(msgspec.Struct, frozen=True, kw_only=True):
    """Why a message may not go at once by itself.

    It joins the digest that is made with ``digest_template``, under the ``aggregator`` where it has none of its own;
    without one it is refused, as ``problem`` says.
    """

    why: FieldError
    problem: Problem
    digest_template: str | None
    aggregator: str

    def without_digest(self, unmade: Problem) -> Problem:
        """Refuse what its digest cannot be made with."""
        why = reason(unmade)
        return Problem(
            self.problem.code,
            f"{self.problem.detail} It cannot join its digest: {why}",
            errors=[FieldError(self.why.pointer, self.why.code, f"{self.why.detail} {why}")],
            headers=self.problem.headers,
        )


def reason(unmade: Problem) -> str:
    """Say why a digest cannot be made, without the place: rows, forms and the alpha API have no channels for it."""
    return unmade.errors[0].detail if unmade.errors else unmade.detail


class Digested(msgspec.Struct, frozen=True):
    """A message in the form in which it joins a digest, of which it was seen that it renders with it."""

    template: str
    content: Content
    plan: Plan


def into_digest(
    session: Session, content: Content, registered: Registered, excess: Excess
) -> tuple[Content, Registered]:
    """Return a notification as what joins its digest."""
    notification, name = content.notification, excess.digest_template or ""
    assert notification is not None  # noqa: S101 - what has channels is a notification
    found = lookup.templates(session, content.service_id, [name])
    own_subject = name in found and found[name].subject is not None
    changes = {"template_id": name} | ({"subject": None} if own_subject else {})
    channels = [channel.model_copy(update=changes) for channel in notification.channels]
    joins = {
        "channels": channels,
        "priority": "BATCH",
        "aggregator_id": notification.aggregator_id or excess.aggregator,
    }
    templates = {**registered.templates, **found}
    return (
        msgspec.structs.replace(content, notification=notification.model_copy(update=joins), throttled=excess.why),
        msgspec.structs.replace(registered, templates=templates),
    )
