"""Pictures and brands for tests."""

import io

from PIL import Image

from backend.accounts.audit import Actor
from backend.branding import brands, pictures
from backend.branding.brands import LogoPart, Owner, Parts
from backend.db.database import Database
from backend.db.models.accounts import Organisation, Service
from backend.publishing import sources
from backend.rendering.model import Colours, Footer, FooterLink

BY = Actor("person", "ada@lab.example")
PLUM = Colours(primary="#7a1f5c", background="#faf0f7", link="#7a1f5c")
FOOTER = Footer(
    ("Aurora Institute, 1 Way", "CB10 1SA Hinxton"),
    (FooterLink("Imprint", "https://aurora.example/imprint"), FooterLink("Privacy", "https://aurora.example/privacy")),
)


def picture(width: int = 480, height: int = 120, form: str = "PNG", colour: str = "#7a1f5c") -> bytes:
    """Draw a picture of one colour."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, form)
    return out.getvalue()


def organisation(database: Database, service_id: int, name: str = "Aurora Institute") -> Owner:
    """Put a service under an organisation, and return that as an owner of a brand."""
    with database.transaction() as session:
        made = Organisation(name=name)
        session.add(made)
        session.flush()
        session.get_one(Service, service_id).organisation_id = made.id
    return Owner(name, organisation_id=made.id)


def give(database: Database, owner: Owner, content: bytes | None = None, **parts: object) -> list[str]:
    """Give an owner a brand; ``content`` is the picture of its logo."""
    new = pictures.read(content) if content is not None else None
    if new is not None:
        parts["logo"] = LogoPart(new.digest, new.type, "The Aurora Institute", new.width, new.height)
    with database.transaction() as session:
        changed = brands.put(session, owner, Parts(**parts), new, BY)  # type: ignore[arg-type] # of each its own
    sources.clear()
    return changed
