"""The part of the error catalogue that says what of a notification that was taken is of no use, or goes otherwise."""

from backend.lib.catalogue_entry import Entry

ROWS = (
    Entry(
        "other_language",
        "Another language than the one asked for",
        422,
        "A recipient, or its channel, asks for a language that the template has no variant in: it gets another one.",
        "Nothing has to be done: this is a warning, and the notification was taken. A variant can be added.",
    ),
    Entry(
        "aggregator_unused",
        "Aggregator without effect",
        422,
        "A notification that is no BATCH has an aggregator_id: it is kept and shown, and gathers nothing.",
        "Nothing has to be done: this is a warning, and the notification was taken.",
    ),
    Entry(
        "send_at_passed",
        "The moment has passed",
        422,
        "A notification asks to be sent at a moment that has passed: it is sent at once.",
        "Nothing has to be done: this is a warning, and the notification was taken.",
    ),
)
