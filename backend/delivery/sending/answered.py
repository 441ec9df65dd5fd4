"""What the posts of an obligation are to show once it has ended: their messages, and who answered in place of a button.

A message is composed anew of what it was made of. Of a conversation the first post shows the latest message, so that it
is this which stands there, if it is one of these.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.channels.base import Editing, Message
from backend.db.models.accounts import Mode
from backend.db.models.matters import Conversation
from backend.db.models.notifications import Delivery, Notification
from backend.delivery.content import file_links
from backend.delivery.content.batch_parts import BatchPart
from backend.delivery.outcomes import edits
from backend.delivery.outcomes.edits import Post
from backend.delivery.queueing import claims
from backend.delivery.queueing.claims import Claim
from backend.delivery.sending.compose import Composer
from backend.lib import ids
from backend.registry import lookup

_SEPARATOR = "+"


def posts(session: Session, sent: Sequence[Delivery], sentence: str) -> tuple[list[Post], Collection[int]]:
    """Return what the posts of some deliveries are to show; none of those that their providers cannot change.

    With them come the ids of deliveries whose messages could not be composed in time, which are to be asked for again.
    """
    providers = {one.name: one for one in edits.editing()}
    own = {one.id: one for one in sent if one.provider in providers and _SEPARATOR in (one.provider_message_id or "")}
    messages, left = _messages(session, [one.id for one in own.values() if one.mode != Mode.TEST])
    found: list[Post] = []
    for identity, message in messages.items():
        provider = providers[own[identity].provider or ""]
        found += _of(own[identity], message, provider, sentence, _conversation(session, own[identity]))
    return found, left


def _of(
    one: Delivery, message: Message, provider: Editing, sentence: str, conversation: Conversation | None
) -> Iterator[Post]:
    text, blocks = provider.answered(message, sentence)
    root = conversation.root if conversation is not None else None
    if one.provider_message_id is not None and one.provider_message_id != root:
        yield Post(provider=provider.name, post=one.provider_message_id, text=text, blocks=blocks)
    if conversation is not None and root is not None and edits.is_latest(conversation, one.uid):
        uid = conversation.uid
        yield Post(provider=provider.name, post=root, text=text, blocks=blocks, conversation=uid, shows=one.uid)


def _conversation(session: Session, one: Delivery) -> Conversation | None:
    if one.matter_id is None:
        return None
    return session.get(Conversation, ids.conversation_id(one.matter_id, one.type, one.address))


def _messages(session: Session, identities: Sequence[int]) -> tuple[dict[int, Message], Collection[int]]:
    """Compose the messages of deliveries anew, of those of which that is still kept which they were made of.

    Returns them by the deliveries' ids, and the ids of those for which there was no time.
    """
    kept = (
        select(Delivery.id)
        .join(Notification, Notification.id == Delivery.notification_id)
        .where(Delivery.id.in_(identities), Notification.content.is_not(None))
    )
    some = claims.read(session, "", session.scalars(kept).all())
    versions = lookup.versions(session, {one.template_version_id for one in some})
    composed = Composer(versions, _no_batch, links=_links(session, some), one_at_least=True).compose(some)
    made = {claim.id: one for claim, one in composed.made if isinstance(one, Message)}
    return made, {claim.id for claim in composed.left}


def _links(session: Session, some: Sequence[Claim]) -> Mapping[int, Sequence[file_links.Link]]:
    linked = {one.id: (one.notification_id, one.channel_index) for one in some if one.linked}
    if not linked:
        return {}
    found = file_links.of_notifications(session, {row for row, _ in linked.values() if row is not None})
    return {identity: found[key] for identity, key in linked.items() if key in found}


def _no_batch(_batch_id: int) -> BatchPart:
    raise LookupError("nothing of an obligation is a batch")
