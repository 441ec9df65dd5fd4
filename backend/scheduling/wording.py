"""Which variant of a template the messages of a channel go in that is due, as the registry stands at that moment."""

from collections.abc import Mapping, Sequence

from backend.intake.validate import speaker
from backend.registry.languages import choose
from backend.registry.lookup import FoundTemplate
from backend.scheduling.content import Part


class Wording:
    """Chooses for each message; ``languages`` are those of recipients, ``default`` is the service's.

    ``missed`` says of whom another language was taken than the one asked for.
    """

    def __init__(self, template: FoundTemplate, part: Part, languages: Mapping[str, str], default: str) -> None:
        self._template = template
        self._part = part
        self._languages = languages
        self._default = default
        self.missed: list[str] = []

    def of(self, names: Sequence[str]) -> FoundTemplate:
        """Return what goes to an address that these recipients share."""
        name = speaker(names, self._languages)
        choice = choose(self._template, (self._languages.get(name), self._part.language), self._default)
        if choice.missing is not None:
            self.missed.append(choice.sentence(name))
        return choice.template
