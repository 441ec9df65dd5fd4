"""The editor's two fields of a template's senders, each a choice among those of the service that can be used."""

import msgspec
from sqlalchemy.orm import Session

from backend.accounts import sender_choice
from backend.db.models.senders import SenderKind
from backend.portal.templates_pages.texts import EditorForm

_HINT = "Addresses are added, and verified, on the page of senders in the settings. A notification may choose another."


class SenderField(msgspec.Struct, frozen=True):
    """One field: what is chosen, and what can be."""

    name: str
    label: str
    chosen: str
    options: list[tuple[str, str]]
    hint: str


def choices(session: Session, service_id: int, form: EditorForm) -> list[SenderField]:
    """Return the fields; where there is nothing to choose and nothing chosen, there are none."""
    known = sender_choice.of_service(session, service_id)
    fields = []
    for kind, name, label, chosen, hint in (
        (SenderKind.FROM, "sender", "Its e-mails come from", form.sender, _HINT),
        (SenderKind.REPLY_TO, "reply_to", "Answers to its e-mails go to", form.reply_to, ""),
    ):
        options = [("", "The service’s default"), *((one.address, one.mailbox) for one in known.usable(kind))]
        present = known.chosen(kind, chosen) if chosen else None
        if chosen and present is None:
            options.append((chosen, f"{chosen} (cannot be used)"))
        if len(options) > 1:
            fields.append(SenderField(name, label, present.address if present else chosen, options, hint))
    return fields
