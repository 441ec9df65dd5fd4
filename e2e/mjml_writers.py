"""What each of the two writers makes of a source: MRML, and our own components."""

from dataclasses import dataclass

from backend.rendering.environments import MJML
from backend.rendering.masking import Mask, mask_jinja
from backend.rendering.mjml.sections import document
from backend.rendering.mjml_assembly import assemble
from backend.rendering.mjml_differences import difference
from backend.rendering.mjml_mrml import by_mrml, plainly
from backend.rendering.mjml_source import correct
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
    plain = plainly(tree, mask)
    return Written(difference(plain), mask.unfold(by_mrml(plain) or ""), mask.unfold(document(tree)))
