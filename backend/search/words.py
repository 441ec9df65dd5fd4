"""Words: how texts are cut into them, the same for what is kept and for what is asked."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from uuid import UUID

# A run of letters and digits of any script, with the marks that stand over them.
_RUN = re.compile(r"[^\W_](?:[^\W_]|[\u0300-\u036f])*")
_PLAIN_RUN = re.compile(r"[a-z0-9]+")
# Longer words are known by so many of their first characters.
_LONGEST = 64
_BLOCK, _STEP = 4, 2
_PHONE = re.compile(r"\+[\d .()/-]+")

# What is no word of any text has a mark in front, which no word of a text has.
SERVICE, ID, ADDRESS = "s_", "i_", "w_"


@lru_cache(maxsize=4096)
def folded(word: str) -> str:
    """Return a word as it is compared: without case, accents or umlauts' dots, and no longer than is kept."""
    if word.isascii():
        return word.lower()[:_LONGEST]
    plain = unicodedata.normalize("NFKD", word.casefold()).casefold()
    return "".join(one for one in plain if one.isalnum())[:_LONGEST]


def composed(text: str) -> str:
    """Return a text as ``spans`` counts its characters."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def spans(text: str) -> Iterator[tuple[str, int, int]]:
    """Give each word of a composed text: folded, where it begins and where it ends."""
    for run in _RUN.finditer(text):
        if word := folded(run[0]):
            yield word, run.start(), run.end()


def of_text(text: str) -> list[str]:
    """Return the folded words of a text in their order."""
    if text.isascii():  # the same, in a third of the time
        return [word[:_LONGEST] for word in _PLAIN_RUN.findall(text.lower())]
    return [word for word, _, _ in spans(composed(text))]


def of_id(uid: UUID) -> list[str]:
    """Return the words of a notification's id, by which every part of it is found: four digits from each second on."""
    return _blocks(uid.hex)


def _blocks(digits: str) -> list[str]:
    return [ID + digits[span : span + _BLOCK] for span in range(0, len(digits) - _BLOCK + 1, _STEP)]


def of_service(service_id: int) -> str:
    """Return the word that all notifications of a service have."""
    return f"{SERVICE}{service_id}"


def of_address(address: str) -> str:
    """Return the word of a whole address, which tells nothing of one that is a secret."""
    plain = address.strip().casefold()
    if _PHONE.fullmatch(plain):
        plain = "+" + "".join(one for one in plain if one.isdigit())
    return ADDRESS + blake2b(plain.encode(errors="replace"), digest_size=8).hexdigest()


def of_addresses(address: str) -> set[str]:
    """Return the words by which an address is found as a whole: also without the options that follow it."""
    return {of_address(address), of_address(address.partition(";")[0])}


def id_parts(digits: str) -> list[list[str]]:
    """Tell which words an id has that a part of it is of, for each place where the part can begin.

    A part of five digits has some wherever it begins, one of four where the words of the id do. What is found so is to
    be compared with the whole id.
    """
    return [blocks for skipped in range(_STEP) if (blocks := _blocks(digits[skipped:]))]
