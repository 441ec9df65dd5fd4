"""Identities: notification ids from content, delivery ids from notification ids, message ids from those."""

import hashlib
import json
from typing import Any
from uuid import UUID, uuid4, uuid5

import msgspec
import rfc8785

# Every derived identity carries a domain of its own, so that none can be mistaken for another kind.
_NOTIFICATION = b"carillon/notification/v1\n"
_KEYED = b"carillon/idempotency-key/v1\n"
_KEYED_TOGETHER = b"carillon/idempotency-key-of-several/v1\n"
_REPEATED = b"carillon/repeat/v1\n"
_UNREADABLE = b"carillon/unreadable/v1\n"
_MATTER = b"carillon/matter/v1\n"
_CONVERSATION = b"carillon/conversation/v1\n"
_DELIVERIES = UUID("6f0d6e0c-6a39-5d8e-9f0b-1d1f3f6f5a11")
# The version of a notification's id that is made from what its client sends: custom (RFC 9562, section 5.8).
FROM_CONTENT = 8
# Where a UUID holds its version, and its variant.
_MARKS = 0xF << 76 | 0x3 << 62
_compact = msgspec.json.Encoder(order="sorted").encode
_BATCHES = UUID("c1b2f0de-90f4-5c5b-8a35-0a6b6b0e7d42")
_BATCH_DELIVERIES = UUID("2f4f7f63-58a4-5c0e-b1d6-7f7f2f0c9e87")
_JOBS = UUID("8d0c3c9e-51a7-5f0b-9a52-0c6f2f4f3b68")
_STEPS = UUID("e4a5c1d2-7b0e-5a63-9d0f-3c1b8a7e6f52")


def canonical(content: Any, *, plain: bool = False) -> bytes:
    """Write JSON data in the canonical form of RFC 8785; what ``plain_json.read`` calls plain has it at once.

    Data that has no canonical form (a number beyond IEEE 754's exact integers, a lone surrogate) is refused by
    intake; it still needs an identity to be read back by, so it gets a sorted ASCII form, in which equal content
    is equal too.
    """
    if plain:
        return _compact(content)
    try:
        return rfc8785.dumps(content)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        return json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")


def notification_id(service_id: int, canonical_content: bytes, apart: str = "") -> UUID:
    """Derive a notification's id from its service and canonical content: a UUID of version 8 (RFC 9562).

    ``apart`` tells what is sent in one manner from the same that is sent in another: neither repeats the other.
    """
    return _notification(_NOTIFICATION, service_id, canonical_content, apart)


def keyed_notification_id(service_id: int, idempotency_key: str, apart: str = "") -> UUID:
    """Derive a notification's id from its service and the key that its client gave it."""
    return _notification(_KEYED, service_id, idempotency_key.encode(), apart)


def key_id(service_id: int, idempotency_key: str, apart: str = "") -> UUID:
    """Name the key that a service's client gave to several notifications at once."""
    return _notification(_KEYED_TOGETHER, service_id, idempotency_key.encode(), apart)


def notification_id_beside_others(
    service_id: int, idempotency_key: str, canonical_content: bytes, apart: str = ""
) -> UUID:
    """Derive the id of a notification that came with others under one key: from that key and its content."""
    return _notification(_KEYED_TOGETHER, service_id, idempotency_key.encode() + b"\n" + canonical_content, apart)


def repeated_notification_id(content: UUID, number: int) -> UUID:
    """Derive a notification's id from the id of its content and how often that was new before."""
    return _uuid(hashlib.sha256(_REPEATED + content.bytes + str(number).encode()).digest(), FROM_CONTENT)


def unreadable_notification_id(service_id: int, octets: bytes, apart: str = "") -> UUID:
    """Derive the id of what is no JSON object, and so has no content."""
    return _notification(_UNREADABLE, service_id, octets, apart)


def matter_id(service_id: int, matter: str) -> UUID:
    """Name a matter of a service, whose own name may be longer than an index takes."""
    return _notification(_MATTER, service_id, matter.encode())


def conversation_id(matter: UUID, channel: str, address: str) -> UUID:
    """Name what one address of a channel is told of a matter."""
    made_of = f"{matter}\n{channel}\n{address}".encode()
    return _uuid(hashlib.sha256(_CONVERSATION + made_of).digest(), FROM_CONTENT)


def content_digest(canonical_content: bytes) -> int:
    """Name content in eight octets, as a signed number: to see that it is the same, not to be found by it."""
    return int.from_bytes(hashlib.sha256(canonical_content).digest()[:8], signed=True)


def _notification(domain: bytes, service_id: int, made_of: bytes, apart: str = "") -> UUID:
    if apart:
        domain = b"%scarillon/apart/v1 %s\n" % (domain, hashlib.sha256(apart.encode()).hexdigest().encode())
    digest = hashlib.sha256(domain + str(service_id).encode() + b"\n" + made_of).digest()
    return _uuid(digest, FROM_CONTENT)


def _uuid(digest: bytes, version: int) -> UUID:
    """Take a UUID from the beginning of a digest (RFC 9562, section 5)."""
    number = int.from_bytes(digest[:16])
    return UUID(int=number & ~_MARKS | version << 76 | 0x2 << 62)


def delivery_id(notification: UUID, channel_index: int, address: str) -> UUID:
    """Derive the id of the one delivery to ``address`` over the channel at ``channel_index``."""
    # As uuid5 does, in a third of the time: it is on the accepting path.
    name = f"{notification}/{channel_index}/{address}".encode()
    return _uuid(hashlib.sha1(_DELIVERIES.bytes + name, usedforsecurity=False).digest(), 5)


def scheduled_membership_id(notification: UUID, channel_index: int, recipient: str) -> UUID:
    """Derive the id of the membership in a batch that waits for its moment; no address has a line break."""
    return delivery_id(notification, channel_index, f"batch\n{recipient}")


def batch_id(key: str, first_member: UUID, channel_index: int, opened_at: str) -> UUID:
    """Derive a batch's id from its key, its first member, and the moment of opening.

    The moment matters when the same content comes again after its retention: that is another batch.
    """
    return uuid5(_BATCHES, f"{key}/{first_member}/{channel_index}/{opened_at}")


def batch_delivery_id(batch: UUID, address: str) -> UUID:
    """Derive the id of the one delivery of a batch to ``address``, however often it has to be sent again."""
    return uuid5(_BATCH_DELIVERIES, f"{batch}/{address}")


def random_id() -> UUID:
    """Make an id for what has no content to derive it from."""
    return uuid4()


def message_id(delivery: UUID | str, domain: str) -> str:
    """Derive the RFC 5322 Message-ID, without angle brackets: the same for every attempt of one delivery."""
    return f"{delivery}@{domain}"


def job_notification_id(spreadsheet: UUID, row: int) -> UUID:
    """Derive the id of the one notification of a spreadsheet's row."""
    return uuid5(_JOBS, f"{spreadsheet}/{row}")


def step_notification_id(obligation: UUID, number: int) -> UUID:
    """Derive the id of the one notification of a step; ``obligation`` is the notification that owes it."""
    return uuid5(_STEPS, f"{obligation}/{number}")


def answer_notification_id(obligation: UUID, ticket: UUID) -> UUID:
    """Derive the id of what says on a ticket, by its delivery, how an obligation has ended."""
    return uuid5(_STEPS, f"{obligation}/answered/{ticket}")
