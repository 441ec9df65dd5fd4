"""What each of the two writers makes of a source: MRML, and our own components."""

from dataclasses import dataclass

from backend.rendering.jinja.environments import MJML
from backend.rendering.jinja.masking import Mask, mask_jinja
from backend.rendering.mjml.assembly import assemble
from backend.rendering.mjml.mrml import Plain, by_mrml
from backend.rendering.mjml.source import correct
from backend.rendering.mjml.writer.sections import document
from backend.rendering.model import Source
from e2e.mjml_views import canonical, outlook


@dataclass(frozen=True)
class Written:
    """The HTML of both; ``difference`` is why MRML does not get the source, None if it does."""

    difference: str | None
    mrml: str
    ours: str

    @property
    def alike(self) -> bool:
        """Say whether both say the same to browsers and to Outlook."""
        pairs = ((self.mrml, self.ours), (outlook(self.mrml), outlook(self.ours)))
        return all(canonical(one) == canonical(other) for one, other in pairs)


def written(source: str) -> Written:
    """Compile by both; raises TemplateFault."""
    source = assemble(Source("mjml", source)).text
    mask = Mask(source)
    tree = correct(mask_jinja(MJML, source, mask), mask).tree
    plain = Plain(tree, mask)
    return Written(plain.difference, mask.unfold(by_mrml(plain) or ""), mask.unfold(document(tree)))
