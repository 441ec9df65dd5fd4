"""Languages by their tags (BCP 47): those that there are, their usual spelling, and their names."""

from functools import lru_cache

from babel import Locale, UnknownLocaleError

# As the files of CLDR are named; a territory that is not listed is written as its language is.
_WRITTEN = """
ar bg bn ca cs cy da de de_AT de_CH el en en_001 en_AU en_CA en_GB en_IE en_IN en_NZ en_US en_ZA es es_419 es_MX et
eu fa fi fr fr_CA fr_CH ga gd gl he hi hr hu id is it it_CH ja ko lb lt lv mt nb nl nl_BE nn no pl pt pt_BR pt_PT ro
root ru sk sl sr sv th tr uk ur vi zh zh_Hans zh_Hant
"""
WRITTEN = _WRITTEN.split()
MAX_LENGTH = 35


@lru_cache(maxsize=1024)
def language_tag(written: str) -> str:
    """Return the BCP 47 tag of a language that numbers and dates are written in, in its usual spelling.

    Raises:
        ValueError: with a sentence.
    """
    wanted = written.strip()
    try:
        found = Locale.parse(wanted, sep="-")
    except (UnknownLocaleError, ValueError):
        raise ValueError(f"There is no language '{wanted[:40]}'. Write its tag as in en, en-GB or de-CH.") from None
    if found.language not in WRITTEN or wanted.lower().startswith("und"):
        raise ValueError(f"Numbers and dates cannot be written in '{wanted[:40]}'. Choose another language.")
    return str(found).replace("_", "-")


def name(tag: str) -> str:
    """Return the English name of a language, such as ``German (Austria)``."""
    return Locale.parse(tag, sep="-").get_display_name("en") or tag


def languages() -> list[tuple[str, str]]:
    """Return the tags of the languages whose habits are known best, each with its English name, in order of these."""
    tags = (one.replace("_", "-") for one in WRITTEN if one != "root")
    return sorted(((tag, name(tag)) for tag in tags), key=lambda pair: pair[1])
