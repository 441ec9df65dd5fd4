"""How languages write numbers and dates, by Babel, for a process that can open no file any more."""

from functools import lru_cache
from io import BytesIO
from pathlib import Path

from babel import Locale, UnknownLocaleError, localedata

from backend.rendering.faults import WrongUse

# As the files of CLDR are named; a territory that is not listed is written as its language is.
_LANGUAGES = [
    *("ar", "bg", "bn", "ca", "cs", "cy", "da", "de", "de_AT", "de_CH", "el", "en", "en_001", "en_AU", "en_CA"),
    *("en_GB", "en_IE", "en_IN", "en_NZ", "en_US", "en_ZA", "es", "es_419", "es_MX", "et", "eu", "fi", "fr", "fr_CA"),
    *("fr_CH", "ga", "gd", "gl", "he", "hi", "hr", "hu", "id", "is", "it", "it_CH", "ja", "ko", "lb", "lt", "lv", "mt"),
    *("nb", "nl", "nl_BE", "nn", "no", "pl", "pt", "pt_BR", "pt_PT", "ro", "root", "ru", "sk", "sl", "sr", "sv", "th"),
    *("tr", "uk", "ur", "vi", "zh", "zh_Hans", "zh_Hant"),
]
_FOLDER = Path(localedata.__file__).with_name("locale-data")


@lru_cache(maxsize=256)
def locale(name: str) -> Locale:
    """Return a language by its name, such as ``en``, ``en_GB`` or ``de-CH``; raises WrongUse with a sentence."""
    wanted = name.replace("-", "_")
    for tried in (wanted, wanted.partition("_")[0]):
        try:
            found = Locale.parse(tried)
            localedata.load(str(found))
        except (UnknownLocaleError, ValueError, OSError):
            continue
        return found
    raise WrongUse(f"there is no language '{name[:40]}'; write it as in 'en', 'en_GB' or 'de_CH'")


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
