"""Making the message of a claim: rendered, addressed, with the identity that all its attempts share."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from email.utils import parseaddr
from functools import lru_cache
from types import MappingProxyType
from typing import Any, cast

from backend.channels.base import CHATS, Message, Outcome
from backend.db.models.notifications import Priority
from backend.delivery.claims import Claim
from backend.delivery.record import RENDERING, Result
from backend.lib import ids, metrics, settings, traces
from backend.lib.problems import Problem
from backend.registry.lookup import FoundTemplate
from backend.rendering.model import Format, Rendered, RenderJob, Source
from backend.rendering.pool import DELIVERIES
from backend.rendering.titles import html_with

Load = Callable[[int], list[Any]]


def compose(
    claims: Sequence[Claim],
    versions: Mapping[int, FoundTemplate],
    load_batch: Load,
    threads: Mapping[int, str] = MappingProxyType({}),
) -> Iterator[Message | Result]:
    """Make the message of each claim, or the permanent failure of one whose template does not render.

    ``threads`` names by the claim's id what it continues. Notifications are rendered at once. A batch is loaded (by
    its row's id) and rendered when its turn comes, once for all its addresses: they stand together, and one large
    list is in memory at a time.
    """
    single = [claim for claim in claims if claim.batch_id is None]
    jobs = [
        # A draft for batches is tried out in one notification, which then has the whole list.
        render_job(
            versions[claim.template_version_id],
            claim.fields,
            batch=isinstance(claim.fields, list),
            want_html=_wants_html(claim),
        )
        for claim in single
    ]
    with metrics.timed("render", len(jobs)) as step:
        rendered = iter(DELIVERIES.render_many(jobs))
    if traces.enabled():
        traces.mark_all((claim.trace for claim in single), "render", step.seconds)
    return _messages(claims, versions, load_batch, threads, rendered)


def _messages(
    claims: Sequence[Claim],
    versions: Mapping[int, FoundTemplate],
    load_batch: Load,
    threads: Mapping[int, str],
    rendered: Iterator[Rendered | Problem],
) -> Iterator[Message | Result]:
    """Make the messages one by one; ``rendered`` are those of notifications."""
    batch: tuple[int, Rendered | Problem] | None = None
    for claim in claims:
        if claim.batch_id is None:
            yield _message(claim, next(rendered), threads.get(claim.id))
            continue
        if batch is None or batch[0] != claim.batch_id:
            batch = (claim.batch_id, _render_batch(claim, versions[claim.template_version_id], load_batch))
        yield _message(claim, batch[1], threads.get(claim.id))


def _render_batch(claim: Claim, version: FoundTemplate, load: Load) -> Rendered | Problem:
    fields = load(claim.batch_id or 0)
    with metrics.timed("render", 1) as step:
        rendered = DELIVERIES.render_many([render_job(version, fields, batch=True)])[0]
    if traces.enabled():
        traces.mark(claim.trace, "render", {"carillon.members": len(fields)}, seconds=step.seconds)
    return rendered


def render_job(
    version: FoundTemplate, fields: object, *, batch: bool = False, want_html: bool = True, want_text: bool = True
) -> RenderJob:
    """Describe the rendering of a template version; its row names it in the cache, since it never changes."""
    source = Source(format=cast("Format", version.format), source=version.source, subject=version.subject)
    return RenderJob(
        key=f"tv:{version.version_id}",
        source=source,
        fields=fields,
        batch=batch,
        want_html=want_html,
        want_text=want_text,
    )


def _message(claim: Claim, rendered: Rendered | Problem, thread: str | None) -> Message | Result:
    if isinstance(rendered, Problem):
        detail = f"The template does not render: {rendered.detail}"
        return Result(claim=claim, outcome=Outcome.PERMANENT, provider=RENDERING, detail=detail)
    house, identity = settings.current().mail_from, str(claim.uid)
    subject = claim.subject or rendered.subject
    return Message(
        delivery_id=identity,
        channel=claim.channel,
        address=claim.address,
        sender=claim.mail_from or house,
        subject=subject,
        text=rendered.text,
        html=html_with(rendered, subject) if _wants_html(claim) else None,
        # A service that changes its sender between two attempts does not change the message's identity.
        message_id=ids.message_id(identity, _domain(house)),
        reply_to=claim.reply_to,
        urgent=claim.priority == Priority.HIGH,
        thread=thread,
        service_id=claim.service_id,
    )


def _wants_html(claim: Claim) -> bool:
    return claim.content_type == "html" or claim.channel in CHATS


@lru_cache
def _domain(sender: str) -> str:
    return parseaddr(sender)[1].rpartition("@")[2] or "localhost"
