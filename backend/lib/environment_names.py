"""What operators call an installation, and the colour in which its pages say so."""

COLOURS = ("red", "amber", "green", "blue", "indigo", "grey")
# For the names that most installations have; another one is blue.
_COLOUR_OF = {"production": "grey", "uat": "amber", "staging": "amber", "training": "indigo", "test": "green"}
_LONGEST = 40


class UnusableName(ValueError):
    """A name or a colour that cannot be used; the text is a sentence but for the beginning of the setting's name."""


def read(name: str, colour: str) -> tuple[str, str]:
    """Return the name and the colour, which is that of the name where none is given.

    Raises:
        UnusableName: for either of them that cannot be used.
    """
    if len(name) > _LONGEST or not name.isprintable():
        raise UnusableName(f"NAME must be at most {_LONGEST} printable characters, such as UAT.")
    chosen = colour or _COLOUR_OF.get(name.lower(), "blue")
    if chosen not in COLOURS:
        raise UnusableName(f"COLOUR must be one of {', '.join(COLOURS)}, not {colour[:80]!r}.")
    return name, chosen
