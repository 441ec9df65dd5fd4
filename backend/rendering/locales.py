"""How languages write numbers and dates, by Babel, for a process that can open no file any more."""

from functools import lru_cache
from io import BytesIO
from pathlib import Path

from babel import Locale, UnknownLocaleError, localedata

from backend.lib.languages import WRITTEN
from backend.rendering.faults import WrongUse

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


def read_ahead() -> None:
    """Read what is known of languages, so that no file need be opened later.

    It is understood when it is first asked for: that takes a few milliseconds for each, and the memory of a megabyte.
    """
    files = {str(_FOLDER / f"{one}.dat"): (_FOLDER / f"{one}.dat").read_bytes() for one in WRITTEN}

    def opened(name: str, _: str) -> BytesIO:
        if name not in files:
            raise FileNotFoundError(name)
        return BytesIO(files[name])

    localedata.open = opened  # type: ignore[attr-defined] # in the place of the builtin
    Locale.parse("en")
