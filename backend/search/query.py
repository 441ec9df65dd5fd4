"""What somebody looks for: words that are all required, each one of them, the beginning of one, or a part of an id."""

from collections.abc import Sequence

import msgspec

from backend.search import words

MOST_CHARACTERS = 200
_SHORTEST_BEGINNING = 3
_SHORTEST_ID, _LONGEST_ID = 4, 32
_HEXADECIMAL = frozenset("0123456789abcdef")


class Term(msgspec.Struct, frozen=True):
    """What was written between two spaces.

    ``words`` stand beside each other where it is found; of the last one the beginning suffices, if that is not too
    short. ``digits`` are those of an id where it may be a part of one.
    """

    text: str
    words: tuple[str, ...]
    digits: str | None

    @property
    def is_beginning(self) -> bool:
        """Tell whether the last word may go on."""
        return len(self.words[-1]) >= _SHORTEST_BEGINNING

    def span(self, text: str) -> tuple[int, int] | None:
        """Return where a composed text has it, from the first character to behind the last; ``None`` for nowhere."""
        there = list(words.spans(text))
        count = len(self.words)
        for first in range(len(there) - count + 1):
            some = there[first : first + count]
            if all(one[0] == word for one, word in zip(some[:-1], self.words, strict=False)) and self._ends(some[-1]):
                return some[0][1], some[-1][2]
        return None

    def _ends(self, span: tuple[str, int, int]) -> bool:
        last = self.words[-1]
        return span[0].startswith(last) if self.is_beginning else span[0] == last

    def ways(self) -> list[list[str]]:
        """Return the words that an entry has to have: all of one of these lists. ``*`` is behind a beginning."""
        ending = f"{self.words[-1]}*" if self.is_beginning else self.words[-1]
        parts = words.id_parts(self.digits) if self.digits is not None else []
        return [[*self.words[:-1], ending], *parts]


class Query(msgspec.Struct, frozen=True):
    """What is looked for: ``terms``, all of them, and an ``address`` as a whole."""

    terms: tuple[Term, ...] = ()
    address: str | None = None

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing in it that anything could be found by."""
        return not self.terms and self.address is None

    @property
    def names(self) -> str | None:
        """Return what was written, if it is one term: it may be the id of something."""
        return self.terms[0].text if len(self.terms) == 1 else None

    @property
    def without_ids(self) -> "Query":
        """Return what is looked for where none of it is a part of an id."""
        return Query(tuple(msgspec.structs.replace(term, digits=None) for term in self.terms), self.address)

    @property
    def digits(self) -> str | None:
        """Return the digits of an id, if it is a part of one and nothing else."""
        return self.terms[0].digits if len(self.terms) == 1 else None


def read(text: str | None, address: str | None = None) -> Query:
    """Read what was written into a search box, and an address; whatever it holds is text and nothing else."""
    plain = "".join(one if one.isprintable() else " " for one in (text or "")[:MOST_CHARACTERS])
    found = [_term(part) for part in plain.split()]
    unique = {term.words: term for term in found if term.words}
    return Query(tuple(unique.values()), (address or "").strip() or None)


def _term(text: str) -> Term:
    digits = text.replace("-", "").lower()
    is_id = _SHORTEST_ID <= len(digits) <= _LONGEST_ID and set(digits) <= _HEXADECIMAL
    return Term(text, tuple(words.of_text(text)), digits if is_id else None)


class Notation(msgspec.Struct, frozen=True):
    """How a database writes a query: its two operators, a word, and the beginning of one."""

    both: str
    either: str
    word: str
    beginning: str

    def write(self, query: Query, service_id: int) -> str:
        """Write a query for the notifications of one service.

        It holds nothing of what people write but letters and digits.
        """
        return self.both.join([self._all([words.of_service(service_id)]), self.whole(query)])

    def whole(self, query: Query) -> str:
        """Write a query that is not empty, for the notifications of all services."""
        address = [] if query.address is None else [self._all([words.of_address(query.address)])]
        return self.both.join([*address, *map(self.term, query.terms)])

    def term(self, term: Term) -> str:
        """Write one term."""
        return f"({self.either.join(map(self._all, term.ways()))})"

    def _all(self, some: Sequence[str]) -> str:
        return f"({self.both.join(map(self._one, some))})"

    def _one(self, word: str) -> str:
        return self.beginning.format(word[:-1]) if word.endswith("*") else self.word.format(word)


FTS5 = Notation(" AND ", " OR ", '"{}"', '"{}"*')
TSQUERY = Notation(" & ", " | ", "'{}'", "'{}':*")
