"""Asking the index of PostgreSQL, which has no order.

Of what is common the newest are found sooner by going through so many entries, the newest first; of what is rarer the
index tells all that there are. Of the beginning of a word it gathers all that have it, so that it is not asked for one
that very many have.
"""

from collections.abc import Collection, Sequence

from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

from backend.search import frequent_words
from backend.search.found import EVERYTHING, MOST, Found, cut
from backend.search.query import TSQUERY, Query, Term

_MOST_BY_INDEX = 20_000

_EDGE = text(
    "SELECT notification_id FROM search_entries WHERE service_id = :service AND notification_id < :before"
    " ORDER BY notification_id DESC OFFSET :stride LIMIT 1"
)
# The offset keeps the index of words out of it.
_AMONG = text(
    "SELECT notification_id FROM ("
    " SELECT notification_id, words FROM search_entries WHERE service_id = :service AND notification_id < :before"
    " AND notification_id >= :edge ORDER BY notification_id DESC OFFSET 0"
    ") AS newest WHERE words @@ CAST(:words AS tsquery) ORDER BY notification_id DESC LIMIT :most"
)
_BY_INDEX = text(
    "WITH found AS MATERIALIZED (SELECT notification_id, words @@ CAST(:words AS tsquery) AS whole FROM search_entries"
    " WHERE words @@ CAST(:rare AS tsquery) AND notification_id < :before LIMIT :most)"
    " SELECT notification_id, whole FROM found ORDER BY notification_id DESC"
)
_HAVING = text(
    "SELECT notification_id FROM search_entries WHERE notification_id = ANY(:rows) AND words @@ CAST(:words AS tsquery)"
)
# It is for the transaction, which only reads: the planner knows little of the beginnings of words.
_NOT_FROM_END_TO_END = text("SET LOCAL enable_seqscan = off")


def find(session: Session, service_id: int, query: Query, before: int | None, page: int) -> Found:
    """Find as ``backend.search.find`` does."""
    end = EVERYTHING if before is None else before
    wanted = {"service": service_id, "words": TSQUERY.write(query, service_id), "before": end}
    looked_for = frequent_words.looked_for(query.terms)
    each = {f"word{number}": TSQUERY.term(term) for number, term in enumerate(looked_for)}
    newest = session.execute(_newest(looked_for), wanted | each | {"stride": frequent_words.STRIDE}).all()
    matching = [row[0] for row in newest if row[1]]
    if len(newest) < frequent_words.STRIDE:
        return Found(matching)
    if len(matching) >= page:
        return Found(matching, newest[-1][0])
    rare = Query(tuple(frequent_words.rare(query.terms, [row[2:] for row in newest])), query.address)
    lately = _lately(session, wanted) if matching or rare.is_empty else None
    if lately and (rare.is_empty or lately.reached is None or len(lately.rows) >= page):
        return lately
    found = _by_index(session, wanted | {"rare": TSQUERY.write(rare, service_id)})
    return found or lately or _lately(session, wanted)


def _newest(terms: Sequence[Term]) -> TextClause:
    """Write the question for the newest entries: which have all of it, and which have each of the terms."""
    each = "".join(f", words @@ CAST(:word{number} AS tsquery)" for number in range(len(terms)))
    return text(
        f"SELECT notification_id, words @@ CAST(:words AS tsquery){each} FROM ("  # noqa: S608 - numbers alone
        " SELECT notification_id, words FROM search_entries"
        " WHERE service_id = :service AND notification_id < :before ORDER BY notification_id DESC LIMIT :stride"
        ") AS newest ORDER BY notification_id DESC"
    )


def _lately(session: Session, wanted: dict[str, object]) -> Found:
    """Go through many of the newest entries."""
    edge = session.scalar(_EDGE, wanted | {"stride": frequent_words.LONG_STRIDE})
    rows = session.scalars(_AMONG, wanted | {"edge": edge or 0, "most": MOST}).all()
    return Found(list(rows), rows[-1] if len(rows) == MOST else edge)


def _by_index(session: Session, wanted: dict[str, object]) -> Found | None:
    """Find all that there are; ``None`` where the index has too many to look at."""
    session.execute(_NOT_FROM_END_TO_END)
    found = session.execute(_BY_INDEX, wanted | {"most": _MOST_BY_INDEX + 1}).all()
    return cut([row for row, is_whole in found if is_whole]) if len(found) <= _MOST_BY_INDEX else None


def having(session: Session, query: Query, rows: Collection[int]) -> set[int]:
    """Tell as ``backend.search.find`` does."""
    return set(session.scalars(_HAVING, {"rows": list(rows), "words": TSQUERY.whole(query)}))
