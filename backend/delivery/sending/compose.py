"""Making the messages of claims: rendered, addressed, with the identity that all attempts of each share.

What is rendered quickly goes first, and out before anything slow is begun. A service whose templates are slow has a
little time in each group, and what that does not suffice for goes back to be claimed again, so that nobody's messages
wait for those of another.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType

import msgspec

from backend.branding import logos, senders
from backend.channels import redirects
from backend.channels.addresses import masked
from backend.channels.attachments import Attachment
from backend.channels.base import Channel, Message, OfferedLink, Outcome
from backend.channels.records import CARRYING_FILES, CHATS
from backend.db.models.notifications import Priority
from backend.delivery.content import acknowledging, file_links, matters
from backend.delivery.content.batch_parts import BatchPart
from backend.delivery.content.file_links import Link
from backend.delivery.content.link_list import listed
from backend.delivery.outcomes.conversations import Continued, message_id
from backend.delivery.outcomes.record import RENDERING, Result
from backend.delivery.queueing.claims import Claim
from backend.delivery.sending.attached import Carried
from backend.lib import metrics, settings, traces
from backend.lib.fair_pool import Share
from backend.lib.problems import Problem
from backend.obligations import links as obligation_links
from backend.publishing import sources
from backend.publishing.sources import source_of_version
from backend.registry.lookup import UNPUBLISHED, FoundTemplate
from backend.rendering.model import Memory, Rendered, RenderJob, Source
from backend.rendering.pool import DELIVERIES

Load = Callable[[int], BatchPart]
Recall = Callable[[int], Memory | None]
# For the slow templates of a group, for all others, and for the characters of its messages, which are in memory.
_SLOW_SECONDS = 1.0
_QUICK_SECONDS = 2.0
_MOST_CHARACTERS = 16_000_000
_FIRST = Continued()


class Composed(msgspec.Struct):
    """Claims with their messages, or with the failure of a template that does not render; ``left`` go back."""

    made: list[tuple[Claim, Message | Result]] = []
    left: list[Claim] = []


def quick_first(claims: Sequence[Claim]) -> list[list[Claim]]:
    """Part claims into those that are rendered quickly and those of services whose templates are slow, if any are.

    The former are out before the latter are begun.
    """
    parts: dict[bool, list[Claim]] = {False: [], True: []}
    for share, some in _by_share(claims).items():
        parts[DELIVERIES.is_slow(share)] += some
    return [some for some in parts.values() if some]


class Composer:
    """Makes the messages of one group of claims.

    ``load`` reads what a batch is made from by its row's id. ``threads`` says by the claim's id what it continues.
    ``carried`` are the files that go along, ``links`` by the claim's id those that do not.
    ``recall`` reads what a batch remembers. With ``one_at_least`` no slow template is put off before one message is
    made.
    """

    def __init__(  # noqa: PLR0913 - what messages are made from
        self,
        versions: Mapping[int, FoundTemplate],
        load: Load,
        threads: Mapping[int, Continued] = MappingProxyType({}),
        carried: Carried | None = None,
        links: Mapping[int, Sequence[Link]] = MappingProxyType({}),
        *,
        recall: Recall | None = None,
        one_at_least: bool = False,
    ) -> None:
        self._carried = carried or Carried()
        self._versions = versions
        self._sources: dict[int, Source] = {}
        self._load = load
        self._threads = threads
        self._links = links
        self._recall = recall
        self._one_at_least = one_at_least
        self._seconds = {True: _SLOW_SECONDS, False: _QUICK_SECONDS}
        self._characters = _MOST_CHARACTERS

    def compose(self, claims: Sequence[Claim]) -> Composed:
        """Make messages: HIGH first, and of those the quick ones."""
        composed = Composed()
        shares = _by_share(claims)
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
        links: list[Sequence[Link]]
        if batch is not None:
            part = self._load(batch)
            jobs, links = [self._batch_job(claims[0], part)], [part.links]
        else:
            jobs, links = [self._job(claim) for claim in claims], [self._links.get(claim.id, ()) for claim in claims]
        with metrics.timed("render", len(jobs)) as step:
            made = DELIVERIES.render_some(jobs, share, left, one_at_least=self._one_at_least)
            step.size = len(made)
        self._seconds[DELIVERIES.is_slow(share)] -= step.seconds
        self._characters -= sum(len(one.html or "") + len(one.text) for one in made if isinstance(one, Rendered))
        if traces.enabled():
            traces.mark_all((claim.trace for claim in claims[: len(made)]), "render", step.seconds)
        made = [_with_links(one, its) for one, its in zip(made, links, strict=False)]
        if batch is not None:
            return made * len(claims)
        return made

    def _message(self, claim: Claim, rendered: Rendered | Problem) -> Message | Result:
        if isinstance(rendered, Problem):
            return _unsent(claim, f"The template does not render: {rendered.detail}")
        files = self._carried.of(claim)
        if files is None:
            return _unsent(claim, "One of its attachments is no longer kept.")
        version = self._versions.get(claim.template_version_id)
        last_word = version is not None and version.identifier in matters.LAST_WORDS
        return _message(claim, rendered, self._threads.get(claim.id, _FIRST), files, last_word=last_word)

    def _batch_job(self, claim: Claim, part: BatchPart) -> RenderJob:
        job = self._of_version(claim, part.fields, batch=True)
        if job.source.item_key is None or self._recall is None or claim.batch_id is None:
            return job
        return msgspec.structs.replace(job, memory=self._recall(claim.batch_id))

    def _job(self, claim: Claim) -> RenderJob:
        # A draft for batches is tried out in one notification, which then has the whole list.
        links = self._links.get(claim.id)
        fields = file_links.seen(claim.fields, links) if links else claim.fields
        if claim.until:
            fields = acknowledging.seen(fields, obligation_links.address(claim.uid))
        return self._of_version(claim, fields, batch=isinstance(claim.fields, list), want_html=_wants_html(claim))

    def _of_version(self, claim: Claim, fields: object, *, batch: bool, want_html: bool = True) -> RenderJob:
        identity = claim.template_version_id
        source = self._sources.get(identity)
        if source is None:
            source = self._sources[identity] = source_of_version(self._versions[identity])
        return RenderJob(_key(identity), source, fields, batch, want_html, subject=claim.subject)


def _with_links(made: Rendered | Problem, links: Sequence[Link]) -> Rendered | Problem:
    return listed(made, links) if links and isinstance(made, Rendered) else made


def _offered(message: Message, claim: Claim, rendered: Rendered) -> Message:
    """Let a message end with the link by which it is acknowledged; a chat may make a button of that."""
    words = acknowledging.words(claim.channel, claim.until)
    if words is None or claim.until is None:
        return message
    address = obligation_links.address(claim.uid)
    made = acknowledging.offered(rendered, claim.channel, claim.until, address)
    button = OfferedLink(address, words, message.text, message.html) if claim.channel in CHATS else None
    html = html_for(claim.channel, made) if _wants_html(claim) else None
    return msgspec.structs.replace(message, text=text_for(claim.channel, made), html=html, offered=button)


def most_at_once(service_id: int, priority: Priority, most: int) -> int:
    """Return how many of a service's deliveries are worth claiming: as many as are rendered in a moment.

    It is none while slow templates have all the children that they may have.
    """
    return DELIVERIES.affordable(Share(service_id, urgent=priority is Priority.HIGH), most, _SLOW_SECONDS)


def _by_share(claims: Sequence[Claim]) -> dict[Share, list[Claim]]:
    """Part claims by whose time their rendering takes."""
    parts: dict[tuple[int, bool], list[Claim]] = {}
    for claim in claims:
        parts.setdefault((claim.service_id, claim.priority == Priority.HIGH), []).append(claim)
    return {Share(service_id, urgent=urgent): some for (service_id, urgent), some in parts.items()}


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
    memory: Memory | None = None,
) -> RenderJob:
    """Describe the rendering of a template version; its row names it in the cache, since it never changes."""
    return RenderJob(
        key=_key(version.version_id),
        source=source_of_version(version),
        fields=fields,
        batch=batch,
        want_html=want_html,
        want_text=want_text,
        subject=subject,
        memory=memory,
    )


def _key(version_id: int) -> str:
    return f"tv:{version_id}" if version_id != UNPUBLISHED else ""


def html_for(channel: str, rendered: Rendered) -> str | None:
    """Return the HTML of a message as it goes out: in the layout of e-mails only where it is one."""
    return logos.fitted(channel, rendered.html if channel == Channel.EMAIL else rendered.bare_html)


def text_for(channel: str, rendered: Rendered) -> str:
    """Return the text of a message as it goes out: with the brand's footer only where it is an e-mail."""
    return rendered.mail_text if channel == Channel.EMAIL else rendered.text


def _unsent(claim: Claim, detail: str) -> Result:
    return Result(claim=claim, outcome=Outcome.PERMANENT, provider=RENDERING, detail=detail)


def _message(
    claim: Claim, rendered: Rendered, thread: Continued, files: tuple[Attachment, ...], *, last_word: bool
) -> Message:
    sender, name = settings.current().mail_from, sources.brand(claim.service_id).sender_name
    html = html_for(claim.channel, rendered) if _wants_html(claim) else None
    message = Message(
        delivery_id=str(claim.uid),
        channel=claim.channel,
        address=claim.address,
        sender=senders.named(claim.mail_from, sender, name),
        subject=claim.subject or rendered.subject,
        text=text_for(claim.channel, rendered),
        html=html,
        # A service that changes its sender between two attempts does not change the message's identity.
        message_id=message_id(claim),
        reply_to=claim.reply_to,
        urgent=claim.priority == Priority.HIGH,
        thread=thread.root,
        thread_subject=thread.subject,
        references=thread.references,
        service_id=claim.service_id,
        attachments=files + logos.carried(html) if claim.channel == Channel.EMAIL else files,
        again=claim.refused,
        last_word=last_word,
    )
    message = _offered(message, claim, rendered)
    return message if claim.meant_for is None else _redirected(message, claim.asked, claim.meant_for)


def _redirected(message: Message, asked: str, meant_for: str) -> Message:
    """Say on top of a message who would have had it; it has what the channel that it goes to can carry."""
    line, who = redirects.notice(asked, meant_for), masked(asked, meant_for)
    return msgspec.structs.replace(
        message,
        subject=message.subject or f"For {who}",
        text=redirects.on_top(line, message.text),
        html=None if message.html is None else redirects.on_top_of_html(line, message.html),
        original_to=who,
        attachments=message.attachments if message.channel in CARRYING_FILES else (),
        offered=None,
    )


def _wants_html(claim: Claim) -> bool:
    return claim.content_type == "html" or claim.channel in CHATS
