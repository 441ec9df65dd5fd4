"""Making the message of a claim: rendered, addressed, with the identity that all its attempts share."""

from collections.abc import Mapping, Sequence
from email.utils import parseaddr
from typing import cast

from backend.channels.base import Message, Outcome
from backend.delivery.claims import Claim
from backend.delivery.record import Result
from backend.lib import ids, settings
from backend.lib.problems import Problem
from backend.registry.lookup import FoundTemplate
from backend.rendering import engine
from backend.rendering.model import Format, Rendered, RenderJob, Source


def compose(claims: Sequence[Claim], versions: Mapping[int, FoundTemplate]) -> list[Message | Result]:
    """Return the message of each claim, or the permanent failure of one whose template does not render."""
    jobs = [render_job(versions[claim.template_version_id], claim.fields) for claim in claims]
    rendered = engine.render_many(jobs)
    return [_message(claim, outcome) for claim, outcome in zip(claims, rendered, strict=True)]


def render_job(version: FoundTemplate, fields: object, *, batch: bool = False) -> RenderJob:
    """Describe the rendering of a template version; its row names it in the cache, since it never changes."""
    source = Source(format=cast("Format", version.format), source=version.source, subject=version.subject)
    return RenderJob(key=f"tv:{version.version_id}", source=source, fields=fields, batch=batch)


def _message(claim: Claim, rendered: Rendered | Problem) -> Message | Result:
    if isinstance(rendered, Problem):
        detail = f"The template does not render: {rendered.detail}"
        return Result(claim=claim, outcome=Outcome.PERMANENT, provider="rendering", detail=detail)
    sender = settings.current().mail_from
    return Message(
        delivery_id=str(claim.uid),
        channel=claim.channel,
        address=claim.address,
        sender=sender,
        subject=claim.subject or rendered.subject,
        text=rendered.text,
        html=rendered.html if claim.content_type == "html" else None,
        message_id=ids.message_id(claim.uid, parseaddr(sender)[1].rpartition("@")[2] or "localhost"),
    )
