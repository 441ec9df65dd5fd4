"""Which words of a search are common: told by the newest entries, which are looked through first on every database.

An index answers at once for words that few have. Of one that very many have it gathers all before it gives the first.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from backend.search.query import Term

# So many of the newest entries are looked through, and so many more where the index would be slower.
STRIDE, LONG_STRIDE = 1_000, 20_000
# A term that more of the newest have than this part of them is common.
_COMMON = 0.05


def looked_for(terms: Sequence[Term]) -> list[Term]:
    """Return what each of the newest entries is to be asked for: the terms, and then the last word of each alone."""
    return [*terms, *(msgspec.structs.replace(term, words=term.words[-1:], digits=None) for term in terms)]


def rare(terms: Sequence[Term], newest: Sequence[Sequence[Any]]) -> list[Term]:
    """Return what the index is to be asked for: terms that are not common, of which there may be none.

    ``newest`` are rows that say which of ``looked_for`` an entry has. A term is left without its last word where that
    is common and what stands before it is not: what is found then is to be compared with the whole.
    """
    often = [sum(map(bool, has)) > STRIDE * _COMMON for has in zip(*newest, strict=True)]
    return [
        msgspec.structs.replace(term, words=term.words[:-1]) if ending and len(term.words) > 1 else term
        for term, whole, ending in zip(terms, often, often[len(terms) :], strict=False)
        if not whole
    ]
