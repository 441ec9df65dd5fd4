"""Asking the full-text table of SQLite.

FTS5 gives what has a whole word in the order of rows, one after the other, but what has the beginning of a word only
once it has gathered all of it: that takes long where very many have it. So the newest entries are looked through first.
That finds enough of whatever is common, and tells which terms are: the rest is asked of the index by the others.
"""

from collections.abc import Collection, Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, Table, and_, column, func, literal, or_, select, text
from sqlalchemy.orm import Session

from backend.db.models.search import SearchEntry
from backend.db.statements import listed
from backend.search import frequent_words
from backend.search.found import EVERYTHING, MOST, Found, cut
from backend.search.query import FTS5, Query, Term

_entries = cast("Table", SearchEntry.__table__).c
_padded = (literal(" ") + _entries.words + literal(" ")).label("padded")
_BY_INDEX = text(
    "SELECT rowid FROM search_words WHERE search_words MATCH :words AND rowid < :before ORDER BY rowid DESC LIMIT :most"
)


def find(session: Session, service_id: int, query: Query, before: int | None, page: int) -> Found:
    """Find as ``backend.search.find`` does."""
    end = EVERYTHING if before is None else before
    terms = [] if query.address is not None else list(query.terms)
    if not terms:
        return _by_index(session, service_id, query, end)
    newest = session.execute(_newest(service_id, frequent_words.looked_for(terms), end, frequent_words.STRIDE)).all()
    rows = [row[0] for row in newest if all(row[1 : len(terms) + 1])]
    if len(newest) < frequent_words.STRIDE or len(rows) >= page:
        return Found(rows, newest[-1][0] if len(newest) == frequent_words.STRIDE else None)
    rare = frequent_words.rare(terms, [row[1:] for row in newest])
    if not rare:
        return _far_back(session, service_id, terms, end)
    found = _by_index(session, service_id, Query(tuple(rare)), end)
    return found if rare == terms else Found(_with(session, terms, found.rows), found.reached)


def _by_index(session: Session, service_id: int, query: Query, before: int) -> Found:
    wanted = {"words": FTS5.write(query, service_id), "before": before, "most": MOST + 1}
    return cut(session.scalars(_BY_INDEX, wanted).all())


def _newest(service_id: int, terms: Sequence[Term], before: int, stride: int) -> Select[*tuple[Any, ...]]:
    """Select the newest entries, each with which of the terms it has."""
    some = _some(service_id, before, stride).subquery()
    return select(some.c.notification_id, *map(_has, terms)).order_by(some.c.notification_id.desc())


def _far_back(session: Session, service_id: int, terms: Sequence[Term], before: int) -> Found:
    """Look through many more entries for what has several common words at once, which few do.

    The database itself leaves out all others: to hand each of them over takes longer than to look at it.
    """
    stride = frequent_words.LONG_STRIDE
    some = _some(service_id, before, stride).subquery()
    wanted = select(some.c.notification_id).where(*map(_has, terms)).order_by(some.c.notification_id.desc())
    found = cut(session.scalars(wanted).all())
    own = (_entries.service_id == service_id, _entries.notification_id < before)
    last = select(_entries.notification_id).where(*own).order_by(_entries.notification_id.desc())
    edge = session.scalar(last.offset(stride - 1).limit(1))
    return found if found.reached else Found(found.rows, edge)


def _some(service_id: int, before: int, stride: int) -> Select[*tuple[Any, ...]]:
    own = (_entries.service_id == service_id, _entries.notification_id < before)
    newest = select(_entries.notification_id, _padded).where(*own)
    return newest.order_by(_entries.notification_id.desc()).limit(stride)


def _with(session: Session, terms: Sequence[Term], rows: Collection[int]) -> list[int]:
    """Return those of the rows that have these terms too."""
    some = select(_entries.notification_id, _padded).where(listed(_entries.notification_id, "rows")).subquery()
    wanted = select(some.c.notification_id).where(*map(_has, terms)).order_by(some.c.notification_id.desc())
    return list(session.scalars(wanted, {"rows": list(rows)}))


def having(session: Session, query: Query, rows: Collection[int]) -> set[int]:
    """Tell as ``backend.search.find`` does."""
    return set(_with(session, query.terms, rows))


def _has(term: Term) -> ColumnElement[bool]:
    return or_(*(and_(*map(_has_word, way)) for way in term.ways()))


def _has_word(word: str) -> ColumnElement[bool]:
    """Tell whether the words of an entry, each between two spaces, have one, or one that begins so."""
    sought = f" {word[:-1]}" if word.endswith("*") else f" {word} "
    return func.instr(column("padded"), sought) > 0
