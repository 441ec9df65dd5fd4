"""How languages write numbers and dates, by Babel, for a process that can open no file any more."""

from functools import lru_cache
from io import BytesIO
from pathlib import Path

from babel import Locale, UnknownLocaleError, localedata

from backend.rendering.faults import WrongUse

# As the files of CLDR are named; a territory that is not listed is written as its language is.
_LANGUAGES = [
    *("ar", "bg", "bn", "ca", "cs", "cy", "da", "de", "de_AT", "de_CH", "el", "en", "en_001", "en_AU", "en_CA"),
    *("en_GB", "en_IE", "en_IN", "en_NZ", "en_US", "en_ZA", "es", "es_419", "es_MX", "et", "eu", "fa", "fi", "fr"),
    *(
        "fr_CA",
        "fr_CH",
        "ga",
        "gd",
        "gl",
        "he",
        "hi",
        "hr",
        "hu",
        "id",
        "is",
        "it",
        "it_CH",
        "ja",
        "ko",
        "lb",
        "lt",
        "lv",
        "mt",
    ),
    *("nb", "nl", "nl_BE", "nn", "no", "pl", "pt", "pt_BR", "pt_PT", "ro", "root", "ru", "sk", "sl", "sr", "sv", "th"),
    *("tr", "uk", "ur", "vi", "zh", "zh_Hans", "zh_Hant"),
]
_MOST_SUBTAGS = 3
_FOLDER = Path(localedata.__file__).with_name("locale-data")


@lru_cache(maxsize=256)
def locale(tag: str) -> Locale:
    """Return a language by its tag, such as ``en``, ``en_GB`` or ``de-CH``; raises WrongUse with a sentence."""
    parts = tag.replace("-", "_").split("_")
    for length in range(min(len(parts), _MOST_SUBTAGS), 0, -1):
        tried = "_".join(parts[:length])
        try:
            found = Locale.parse(tried)
            localedata.load(str(found))
        except (UnknownLocaleError, ValueError, OSError):
            continue
        return found
    raise WrongUse(f"there is no language '{tag[:40]}'; write it as in 'en', 'en_GB' or 'de_CH'")


@lru_cache(maxsize=256)
def direction(tag: str) -> str:
    """Return how a language is written, ``ltr`` or ``rtl``."""
    return "rtl" if locale(tag).character_order == "right-to-left" else "ltr"


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
    if found.language not in _LANGUAGES or wanted.lower().startswith("und"):
        raise ValueError(f"Numbers and dates cannot be written in '{wanted[:40]}'. Choose another language.")
    return str(found).replace("_", "-")


def name(tag: str) -> str:
    """Return the English name of a language, such as ``German (Austria)``."""
    return Locale.parse(tag, sep="-").get_display_name("en") or tag


def languages() -> list[tuple[str, str]]:
    """Return the tags of the languages whose habits are known best, each with its English name, in order of these."""
    tags = (one.replace("_", "-") for one in _LANGUAGES if one != "root")
    return sorted(((tag, name(tag)) for tag in tags), key=lambda pair: pair[1])


def read_ahead() -> None:
    """Read what is known of languages, so that no file need be opened later.

    It is understood when it is first asked for: that takes a few milliseconds for each, and the memory of a megabyte.
    """
    files = {str(_FOLDER / f"{one}.dat"): (_FOLDER / f"{one}.dat").read_bytes() for one in _LANGUAGES}

    def opened(name: str, _: str) -> BytesIO:
        if name not in files:
            raise FileNotFoundError(name)
        return BytesIO(files[name])

    localedata.open = opened  # type: ignore[attr-defined] # in the place of the builtin
    Locale.parse("en")
