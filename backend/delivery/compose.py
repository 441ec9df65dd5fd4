"""Making the messages of claims: rendered, addressed, with the identity that all attempts of each share.

What is rendered quickly goes first, and out before anything slow is begun. A service whose templates are slow has a
little time in each group, and what that does not suffice for goes back to be claimed again, so that nobody's messages
wait for those of another.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from types import MappingProxyType
from typing import Any

import msgspec

from backend.channels.attachments import Attachment
from backend.channels.base import CHATS, Channel, Message, Outcome
from backend.db.models.notifications import Priority
from backend.delivery.attached import Carried
from backend.delivery.claims import Claim
from backend.delivery.record import RENDERING, Result
from backend.lib import ids, metrics, settings, traces
from backend.lib.fair import Share
from backend.lib.mailboxes import mailbox
from backend.lib.problems import Problem
from backend.publishing.sources import source_of_version
from backend.registry.lookup import FoundTemplate
from backend.rendering.model import Rendered, RenderJob
from backend.rendering.pool import DELIVERIES

Load = Callable[[int], list[Any]]

# For the slow templates of a group, for all others, and for the characters of its messages, which are in memory.
_SLOW_SECONDS = 1.0
_QUICK_SECONDS = 2.0
_MOST_CHARACTERS = 16_000_000


class Composed(msgspec.Struct):
    """Claims with their messages, or with the failure of a template that does not render; ``left`` go back."""

    made: list[tuple[Claim, Message | Result]] = []
    left: list[Claim] = []


def quick_first(claims: Sequence[Claim]) -> list[list[Claim]]:
    """Part claims into those that are rendered quickly and those of services whose templates are slow, if any are.

    The former are out before the latter are begun.
    """
    parts: dict[bool, list[Claim]] = {False: [], True: []}
    for claim in claims:
        parts[DELIVERIES.is_slow(_share(claim))].append(claim)
    return [some for some in parts.values() if some]


class Composer:
    """Makes the messages of one group of claims.

    ``load`` reads the fields of a batch by its row's id. ``threads`` names by the claim's id what it continues.
    ``carried`` are the files.
    With ``one_at_least`` no slow template is put off before one message is made.
    """

    def __init__(
        self,
        versions: Mapping[int, FoundTemplate],
        load: Load,
        threads: Mapping[int, str] = MappingProxyType({}),
        carried: Carried | None = None,
        *,
        one_at_least: bool = False,
    ) -> None:
        self._carried = carried or Carried()
        self._versions = versions
        self._load = load
        self._threads = threads
        self._one_at_least = one_at_least
        self._seconds = {True: _SLOW_SECONDS, False: _QUICK_SECONDS}
        self._characters = _MOST_CHARACTERS

    def compose(self, claims: Sequence[Claim]) -> Composed:
        """Make messages: HIGH first, and of those the quick ones."""
        composed = Composed()
        shares: dict[Share, list[Claim]] = {}
        for claim in claims:
            shares.setdefault(_share(claim), []).append(claim)
        for share in sorted(shares, key=lambda one: (not one.urgent, DELIVERIES.is_slow(one))):
            for some in _together(shares[share]):
                rendered = self._rendered(some, share)
                self._one_at_least = self._one_at_least and not rendered
                composed.left += some[len(rendered) :]
                for claim, one in zip(some, rendered, strict=False):
                    composed.made.append((claim, self._message(claim, one)))
        return composed

    def _rendered(self, claims: Sequence[Claim], share: Share) -> list[Rendered | Problem]:
        """Render the first of the claims, as many as there is room for; those of a batch have one message."""
        left = self._seconds[DELIVERIES.is_slow(share)]
        if (left <= 0 or self._characters <= 0) and not self._one_at_least:
            return []
        claims = claims[: self._carried.affordable(claims)]
        if not claims:
            return []
        batch = claims[0].batch_id
        jobs = [self._batch_job(claims[0], batch)] if batch is not None else [self._job(claim) for claim in claims]
        with metrics.timed("render", len(jobs)) as step:
            made = DELIVERIES.render_some(jobs, share, left, one_at_least=self._one_at_least)
            step.size = len(made)
        self._seconds[DELIVERIES.is_slow(share)] -= step.seconds
        self._characters -= sum(len(one.html or "") + len(one.text) for one in made if isinstance(one, Rendered))
        if traces.enabled():
            traces.mark_all((claim.trace for claim in claims[: len(made)]), "render", step.seconds)
        return made * len(claims) if batch is not None else made

    def _message(self, claim: Claim, rendered: Rendered | Problem) -> Message | Result:
        if isinstance(rendered, Problem):
            return _unsent(claim, f"The template does not render: {rendered.detail}")
        files = self._carried.of(claim)
        if files is None:
            return _unsent(claim, "One of its attachments is no longer kept.")
        return _message(claim, rendered, self._threads.get(claim.id), files)

    def _batch_job(self, claim: Claim, batch_id: int) -> RenderJob:
        version = self._versions[claim.template_version_id]
        return render_job(version, self._load(batch_id), batch=True, subject=claim.subject)

    def _job(self, claim: Claim) -> RenderJob:
        version = self._versions[claim.template_version_id]
        # A draft for batches is tried out in one notification, which then has the whole list.
        batch = isinstance(claim.fields, list)
        return render_job(version, claim.fields, batch=batch, subject=claim.subject, want_html=_wants_html(claim))


def most_at_once(service_id: int, priority: Priority, most: int) -> int:
    """Return how many of a service's deliveries are worth claiming: as many as are rendered in a moment.

    It is none while slow templates have all the children that they may have.
    """
    return DELIVERIES.affordable(Share(service_id, urgent=priority is Priority.HIGH), most, _SLOW_SECONDS)


def _share(claim: Claim) -> Share:
    return Share(claim.service_id, urgent=claim.priority == Priority.HIGH)


def _together(claims: Sequence[Claim]) -> Iterator[list[Claim]]:
    """Part the claims of a service into those of notifications, and those of each batch."""
    single = [claim for claim in claims if claim.batch_id is None]
    if single:
        yield single
    for _, some in groupby((claim for claim in claims if claim.batch_id is not None), key=lambda one: one.batch_id):
        yield list(some)


def render_job(  # noqa: PLR0913 - what a message is made from, and what of it is wanted
    version: FoundTemplate,
    fields: object,
    *,
    batch: bool = False,
    subject: str | None = None,
    want_html: bool = True,
    want_text: bool = True,
) -> RenderJob:
    """Describe the rendering of a template version; its row names it in the cache, since it never changes."""
    return RenderJob(
        key=f"tv:{version.version_id}",
        source=source_of_version(version),
        fields=fields,
        batch=batch,
        want_html=want_html,
        want_text=want_text,
        subject=subject,
    )


def html_for(channel: str, rendered: Rendered) -> str | None:
    """Return the HTML of a message as it goes out: in the layout of e-mails only where it is one."""
    return rendered.html if channel == Channel.EMAIL else rendered.bare_html


def _unsent(claim: Claim, detail: str) -> Result:
    return Result(claim=claim, outcome=Outcome.PERMANENT, provider=RENDERING, detail=detail)


def _message(claim: Claim, rendered: Rendered, thread: str | None, files: tuple[Attachment, ...]) -> Message:
    house, identity = settings.current().mail_from, str(claim.uid)
    return Message(
        delivery_id=identity,
        channel=claim.channel,
        address=claim.address,
        sender=claim.mail_from or house,
        subject=claim.subject or rendered.subject,
        text=rendered.text,
        html=html_for(claim.channel, rendered) if _wants_html(claim) else None,
        # A service that changes its sender between two attempts does not change the message's identity.
        message_id=ids.message_id(identity, _domain(house)),
        reply_to=claim.reply_to,
        urgent=claim.priority == Priority.HIGH,
        thread=thread,
        service_id=claim.service_id,
        attachments=files,
    )


def _wants_html(claim: Claim) -> bool:
    return claim.content_type == "html" or claim.channel in CHATS


@lru_cache
def _domain(sender: str) -> str:
    return mailbox(sender)[1].rpartition("@")[2]
