"""What sending asks of the registry: many identifiers at once, in one or two statements of plain SQL."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from operator import itemgetter
from typing import Any, Generic, TypeVar, cast
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy import Table, bindparam, func, or_, select
from sqlalchemy.orm import Session

from backend.db.driver import Select
from backend.db.models.registry import Template, TemplateVersion

Value = TypeVar("Value")
MAX_CHARACTERS = 32 * 1024 * 1024


# Template versions kept in memory: they never change, so only room limits how long they stay.
#
# For speed alone: without it accepting takes 12 % more of the processor
# (``python -m tests.benchmarks.devices versions``).


class VersionCache(Generic[Value]):
    """Values by version id; beyond ``limit``, counted in characters, those used longest ago make room."""

    def __init__(self, limit: int = MAX_CHARACTERS) -> None:
        self._limit = limit
        self._total = 0
        self._kept: OrderedDict[int, tuple[Value, int]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, version_ids: Iterable[int]) -> dict[int, Value]:
        """Return those of the versions that are kept."""
        found = {}
        with self._lock:
            for version_id in version_ids:
                entry = self._kept.get(version_id)
                if entry is not None:
                    self._kept.move_to_end(version_id)
                    found[version_id] = entry[0]
        return found

    def put(self, version_id: int, value: Value, *, size: int) -> None:
        """Keep a version; ``size`` is its weight in characters."""
        with self._lock:
            _, before = self._kept.pop(version_id, (None, 0))
            self._kept[version_id] = (value, size)
            self._total += size - before
            while self._total > self._limit:
                _, (_, dropped) = self._kept.popitem(last=False)
                self._total -= dropped


# One cache for each connection pool: the ids of one database say nothing about another's.
_caches: WeakKeyDictionary[Any, VersionCache[Any]] = WeakKeyDictionary()
_caches_lock = threading.Lock()


def cache_of(session: Session) -> VersionCache[Any]:
    """Return the cache of the session's database."""
    pool = session.get_bind().engine.pool  # unlike session.connection(), this begins no transaction
    with _caches_lock:
        return _caches.setdefault(pool, VersionCache())


class Address(msgspec.Struct, frozen=True):
    """One endpoint of a recipient; ``type`` is a channel's name and ``address`` in that channel's canonical form."""

    type: str
    address: str


# The row of a text that is not published: there is none.
UNPUBLISHED = 0


class FoundTemplate(msgspec.Struct, frozen=True):
    """One published version of a template.

    ``version_id`` is the version's row, ``number`` counts from 1 in its template. ``batch`` may hold
    ``quiet_seconds``, ``max_wait_seconds``, ``max_items``, ``digest``, ``item_key`` and ``only_if_new``.
    ``repeat_after`` is after how long the same content is new again, as ``24h``; None for never. ``partials`` are the
    partials and layouts that it is made with, in the versions that they had when it was published; ``mail_layout``
    names the one of its e-mails, where it is Markdown or text. ``sender`` and ``reply_to`` are ids or addresses of
    the service's senders. ``variants`` say the same in other languages, in order of their tags.
    """

    identifier: str
    version_id: int
    number: int
    format: str
    source: str
    subject: str | None
    batch: dict[str, Any] | None
    kind: str
    repeat_after: str | None = None
    language: str = "en"
    mail_layout: str | None = None
    service_id: int = 0
    sender: str | None = None
    reply_to: str | None = None
    partials: tuple["FoundTemplate", ...] = ()
    variants: tuple["FoundTemplate", ...] = ()


_templates = cast("Table", Template.__table__)
_versions = cast("Table", TemplateVersion.__table__)
_RECIPIENTS = Select(
    "SELECT recipients.identifier, endpoints.type, endpoints.address, endpoints.position, recipients.language"
    " FROM recipients"
    " LEFT JOIN endpoints ON endpoints.recipient_id = recipients.id"
    " WHERE recipients.identifier IN ({}) AND recipients.service_id = ? AND recipients.deleted_at IS NULL"
    " LIMIT ?"
)
_PUBLISHED = Select(
    "SELECT templates.identifier, template_versions.id FROM templates JOIN template_versions"
    " ON template_versions.template_id = templates.id AND template_versions.number = templates.current_version"
    " WHERE templates.identifier IN ({}) AND templates.service_id = ? AND templates.deleted_at IS NULL"
    " AND template_versions.kind = 'template'"
)
# Built once: putting a statement together costs more than running it.
_published = _versions.alias("published")
_VERSIONS = (
    select(
        _templates.c.identifier,
        _versions.c.id,
        # A variant has the number of the version that it is of.
        func.coalesce(_published.c.number, _versions.c.number),
        _versions.c.format,
        _versions.c.source,
        _versions.c.subject,
        _versions.c.batch,
        _versions.c.kind,
        _versions.c.repeat_after,
        _versions.c.language,
        _versions.c.mail_layout,
        _templates.c.service_id,
        _versions.c.sender,
        _versions.c.reply_to,
        _versions.c.variant_of,
        _versions.c.partials,
    )
    .join(_versions, _versions.c.template_id == _templates.c.id)
    .outerjoin(_published, _published.c.id == _versions.c.variant_of)
    .where(
        or_(*(one.in_(bindparam("version_ids", expanding=True)) for one in (_versions.c.id, _versions.c.variant_of)))
    )
    .order_by(_versions.c.language)
)
_NO_LIMIT = 2**62
_position = itemgetter(0)
Addresses = dict[str, tuple[Address, ...]]
Templates = dict[str, FoundTemplate]


def recipients(session: Session, service_id: int, identifiers: Collection[str]) -> Addresses:
    """Return the endpoints of the service's recipients in their order; unknown and deleted ones are absent."""
    return ask_recipients(session, service_id, identifiers, _NO_LIMIT)().addresses


def templates(session: Session, service_id: int, identifiers: Collection[str]) -> Templates:
    """Return the published version of each of the service's templates; unknown and deleted ones are absent.

    So are partials and layouts, with which nothing is sent.
    """
    return ask_templates(session, service_id, identifiers)()


class FoundRecipients(msgspec.Struct, frozen=True):
    """The endpoints of recipients; ``whole`` tells that none are missing for there being too many.

    ``languages`` are of those recipients that have one.
    """

    addresses: Addresses
    whole: bool
    languages: Mapping[str, str] = {}


def readers(session: Session, service_id: int, identifiers: Collection[str]) -> FoundRecipients:
    """Return the endpoints of the service's recipients in their order, and their languages."""
    return ask_recipients(session, service_id, identifiers, _NO_LIMIT)()


def ask_recipients(
    session: Session, service_id: int, identifiers: Collection[str], most: int
) -> Callable[[], FoundRecipients]:
    """Ask for what ``recipients`` returns, to be had when a pipeline has come to its end; of ``most`` endpoints."""
    rows = _RECIPIENTS.ask(session, identifiers, service_id, most + 1)

    def answer() -> FoundRecipients:
        found: dict[str, list[tuple[int, Address]]] = {}
        languages: dict[str, str] = {}
        read = rows()
        for identifier, kind, address, position, language in read:
            if language is not None:
                languages[identifier] = language
            addresses = found.setdefault(identifier, [])
            if kind is not None:  # a recipient without endpoints is known, and has none
                addresses.append((position, Address(kind, address)))
        ordered = {identifier: sorted(some, key=_position) for identifier, some in found.items()}
        whole = {identifier: tuple(address for _, address in some) for identifier, some in ordered.items()}
        return FoundRecipients(whole, len(read) <= most, languages)

    return answer


def ask_templates(session: Session, service_id: int, identifiers: Collection[str]) -> Callable[[], Templates]:
    """Ask for what ``templates`` returns, to be had when a pipeline has come to its end."""
    rows = _PUBLISHED.ask(session, identifiers, service_id)

    def answer() -> Templates:
        published = dict(rows())
        found = versions(session, published.values())
        return {identifier: found[version_id] for identifier, version_id in published.items()}

    return answer


def versions(session: Session, version_ids: Collection[int]) -> dict[int, FoundTemplate]:
    """Return versions by the id of their row, whosoever and however old they are.

    A version never changes, so those read before come from this process's memory. Ask for committed versions
    only: what a transaction has published and then rolled back must not be remembered.
    """
    cache: VersionCache[FoundTemplate] = cache_of(session)
    found = cache.take(version_ids)
    missing = [version_id for version_id in version_ids if version_id not in found]
    if missing:
        read: dict[int, FoundTemplate] = {}
        variants: dict[int, tuple[FoundTemplate, ...]] = {}
        for *row, variant_of, pins in session.connection().execute(_VERSIONS, {"version_ids": missing}).all():
            parts = versions(session, pins.values()) if pins else {}
            plain = FoundTemplate(*row)
            partials = tuple(parts[one] for _, one in sorted((pins or {}).items()))
            one = read[plain.version_id] = msgspec.structs.replace(plain, partials=partials) if partials else plain
            if variant_of is not None:
                variants[variant_of] = (*variants.get(variant_of, ()), one)
        for version_id, one in read.items():
            others = variants.get(version_id, ())
            found[version_id] = msgspec.structs.replace(one, variants=others) if others else one
            size = sum(len(text.source) for text in (one, *one.partials, *others))
            cache.put(version_id, found[version_id], size=size)
    return found
