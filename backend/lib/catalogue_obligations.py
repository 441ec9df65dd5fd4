"""The codes of the error catalogue that are about obligations and policies."""

from backend.lib.catalogue_entry import Entry

ROWS = (
    Entry(
        "unknown_policy",
        "Unknown policy",
        422,
        "The notification names a policy that the service does not have.",
        "Store it with PUT /registry/v1/policies, or correct its identifier.",
    ),
    Entry(
        "no_obligation",
        "Nothing is owed",
        409,
        "The notification was sent without an obligation, so there is none to acknowledge or to close.",
        "Send it with the member obligation if somebody has to answer for it.",
    ),
    Entry(
        "obligation_closed",
        "Closed by a person",
        409,
        "A person has closed the obligation, with a reason that the notification shows.",
        "Nothing: it has ended. Send a new notification if the matter has come up again.",
    ),
)
