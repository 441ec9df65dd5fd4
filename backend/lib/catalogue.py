"""The error catalogue: each code with its title, HTTP status, meaning and what to do about it."""

import msgspec


class Entry(msgspec.Struct, frozen=True):
    """One row of the catalogue; ``status`` is the HTTP number that a request with this fault answers."""

    code: str
    title: str
    status: int
    meaning: str
    remedy: str


_ROWS = (
    # Form of the request
    Entry(
        "malformed_json",
        "Malformed JSON",
        400,
        "The body is not one JSON text in UTF-8.",
        "Mend the body at the line and column that the detail names.",
    ),
    Entry(
        "duplicate_member",
        "Duplicate member name",
        400,
        "An object of the body names the same member twice, so its meaning is unclear.",
        "Keep one of the two members.",
    ),
    Entry(
        "invalid_request",
        "Invalid request",
        400,
        "The body, the address or a parameter does not follow the API's schema.",
        "Mend each place that the list of errors points at.",
    ),
    Entry("missing_member", "Missing member", 400, "A member that must be there is missing.", "Add the member."),
    Entry(
        "unknown_member",
        "Unknown member",
        400,
        "The API knows no member or parameter of this name, and guesses at none.",
        "Remove it, or correct its spelling.",
    ),
    Entry(
        "invalid_type",
        "Wrong type",
        400,
        "A value has another JSON type than the schema asks for.",
        "Send the type that the detail names.",
    ),
    Entry(
        "invalid_value",
        "Value not allowed",
        400,
        "A value has the right type but is not one that the schema allows.",
        "Send a value that the detail describes.",
    ),
    Entry(
        "too_large",
        "Request too large",
        413,
        "The body is larger than the limit, or the files in it have more bytes than a notification may.",
        "Send at most 1 MiB a request beside the files of notifications, and 10 MiB of these; split the data over"
        " several notifications.",
    ),
    Entry(
        "unsupported_media_type",
        "Unsupported media type",
        415,
        "The body is not declared as the type that this address reads.",
        "Send the header that the detail names, usually Content-Type: application/json.",
    ),
    # Who asks
    Entry(
        "unauthenticated",
        "Authentication needed",
        401,
        "The request has no access token.",
        "Ask the token endpoint for one and send it as Authorization: Bearer TOKEN.",
    ),
    Entry(
        "invalid_token",
        "Invalid access token",
        401,
        "The access token is malformed, expired, revoked, or was issued for someone else.",
        "Ask the token endpoint for a new one.",
    ),
    Entry(
        "insufficient_scope",
        "Insufficient scope",
        403,
        "The access token was issued without the scope that this address asks for.",
        "Ask for a token with the scope that the detail names, or have it granted to the API client.",
    ),
    Entry(
        "forbidden",
        "Not allowed",
        403,
        "You are known, but this is not yours to see or change.",
        "Ask an administrator of the service.",
    ),
    Entry(
        "not_found",
        "Not found",
        404,
        "There is nothing at this address that you may see.",
        "Check the address and the identifier.",
    ),
    Entry(
        "method_not_allowed",
        "Method not allowed",
        405,
        "The address exists but does not answer this method.",
        "Use a method of the Allow header.",
    ),
    Entry(
        "not_implemented",
        "Method not known",
        501,
        "The request does not begin with a method of HTTP that the server knows.",
        "Use a method that the API's description names; methods are written in capitals, such as POST.",
    ),
    Entry(
        "request_timeout",
        "Request too slow",
        408,
        "The request did not come whole in the time that it may take, so the connection was closed.",
        "Send it again on a new connection; if the line is slow, in smaller pieces.",
    ),
    Entry(
        "head_too_large",
        "Request head too large",
        431,
        "The lines before the body, or what stands between its pieces, are larger than 64 KiB.",
        "Send a shorter address and fewer or shorter headers.",
    ),
    Entry(
        "link_over",
        "Link no longer good",
        410,
        "A link that was sent by e-mail was used before, has been replaced, or is too old.",
        "Ask for a new one.",
    ),
    Entry(
        "last_administrator",
        "Last administrator",
        409,
        "The service would be left without an administrator.",
        "Make another member an administrator first.",
    ),
    Entry(
        "sign_in_unavailable",
        "Sign-in service away",
        503,
        "The identity provider that people sign in through cannot be reached, or answers what cannot be used.",
        "Try again in a moment; if it goes on, tell the people who run this installation.",
    ),
    # Limits
    Entry(
        "rate_limited",
        "Too many requests",
        429,
        "The API client has used up its requests for this moment.",
        "Wait for the seconds of the Retry-After header, then send again.",
    ),
    Entry(
        "daily_limit_reached",
        "Daily limit reached",
        429,
        "The service has sent as many messages today as it may.",
        "Wait until midnight UTC, or ask an administrator for a higher limit.",
    ),
    Entry(
        "render_share_exceeded",
        "Rendering takes too long",
        429,
        "The service's templates take long to render, and it has asked for more of them at once than its share of"
        " the platform's time.",
        "Send fewer at a time and wait for the seconds of the Retry-After header, or make the template simpler.",
    ),
    Entry(
        "too_many_messages",
        "Too many messages in one notification",
        422,
        "The notification would become more messages, one for each channel and address, than one may.",
        "Split the recipients over several notifications, or ask the operators for a higher limit.",
    ),
    # Meaning of a notification
    Entry(
        "idempotency_key_reused",
        "Idempotency-Key reused",
        422,
        "The same Idempotency-Key came before with other content, which was accepted; this content was not.",
        "Send other content with a key of its own; send a key again only to repeat its request.",
    ),
    Entry(
        "aggregator_unused",
        "Aggregator without effect",
        422,
        "A notification that is no BATCH has an aggregator_id: it is kept and shown, and gathers nothing.",
        "Nothing has to be done: this is a warning, and the notification was taken.",
    ),
    Entry(
        "invalid_notification",
        "Notification refused",
        422,
        "The notification is well formed but cannot be carried out as a whole, so no part of it was sent.",
        "Mend each place that the list of errors points at and send it again.",
    ),
    Entry(
        "invalid_attachment",
        "Attachment refused",
        422,
        "A file of the notification cannot be sent as it is, so no part of the notification was sent.",
        "Mend each file that the list of errors points at, or leave it out, and send the notification again.",
    ),
    Entry(
        "unknown_recipient",
        "Unknown recipient",
        422,
        "No recipient group of this service has this identifier.",
        "Register the recipient, or correct the identifier.",
    ),
    Entry(
        "no_address_for_channel",
        "Recipient without an address for this channel",
        422,
        "The recipient group has no endpoint of the channel's type.",
        "Add an endpoint of that type to the recipient, or use another channel.",
    ),
    Entry(
        "unknown_template",
        "Unknown template",
        422,
        "No template of this service has this identifier.",
        "Register the template, or correct the identifier.",
    ),
    Entry(
        "callback_disabled",
        "Callback switched off",
        409,
        "The callback address of this API client is switched off, so nothing is posted to it.",
        "Enable it again once it takes messages, then repeat the request.",
    ),
    Entry(
        "forged_receipt",
        "Receipt not believed",
        403,
        "The report about a message is not signed by its provider, or its secret is wrong, so it was not read.",
        "Give the provider the address as it is in the settings, and the settings the provider's key.",
    ),
    Entry(
        "template_arguments",
        "Template arguments do not render",
        422,
        "The template cannot be rendered with the fields of the notification.",
        "Send the field that the detail names, or mend the template at the line it names.",
    ),
    Entry(
        "missing_subject",
        "Missing subject",
        422,
        "The channel needs a subject, and neither the notification nor its template has one.",
        "Send a subject, or give the template one.",
    ),
    Entry(
        "service_disabled",
        "Service disabled",
        422,
        "The service that this API client belongs to has been switched off.",
        "Ask an administrator to activate the service.",
    ),
    # Batches
    Entry(
        "batch_gone",
        "Batch gone out",
        409,
        "The notification has left with its batch, so it can no longer be taken out.",
        "Look the notification up to see what became of its batch.",
    ),
    # Registry
    Entry(
        "invalid_identifier",
        "Invalid identifier",
        400,
        "Identifiers of recipients and templates are 3 to 64 capital letters, digits and underscores, "
        "beginning with a letter.",
        "Choose an identifier such as X_LAB_STAKEHOLDERS.",
    ),
    Entry(
        "identifier_taken",
        "Identifier taken",
        409,
        "Another service owns this identifier; identifiers are unique in the installation.",
        "Choose another identifier.",
    ),
    Entry(
        "name_taken",
        "Name taken",
        409,
        "There is a service or user of this name already.",
        "Choose another name, or use the one that is there.",
    ),
    Entry(
        "invalid_address",
        "Invalid address",
        422,
        "The address cannot be reached through a channel of this type.",
        "Write the address in the form that the detail names.",
    ),
    Entry(
        "invalid_template",
        "Template refused",
        422,
        "The template cannot work, so it was not published.",
        "Mend the template at the line that the detail names.",
    ),
    Entry(
        "in_use",
        "Still in use",
        409,
        "Something that is still to be sent needs this, so it was not deleted.",
        "Deal with what the detail names first.",
    ),
    Entry(
        "job_moved_on",
        "Job not in that state",
        409,
        "The job has come further than this page showed, or is not so far yet; nothing was changed.",
        "Look at the job's page again and choose what it offers now.",
    ),
    Entry(
        "draft_changed",
        "Draft changed",
        409,
        "Somebody else has changed this template's draft since it was opened; nothing was written over.",
        "Look at their text, then save yours over it or take theirs.",
    ),
    # Ours
    Entry(
        "unavailable",
        "Temporarily unavailable",
        503,
        "The platform cannot do this at the moment; nothing was stored.",
        "Send the request again after the seconds of the Retry-After header.",
    ),
    Entry(
        "channel_unavailable",
        "Channel unavailable",
        503,
        "The operators have switched a channel of the notification off; nothing was sent.",
        "Send it again later, or without that channel.",
    ),
    Entry(
        "internal_error",
        "Internal error",
        500,
        "The platform failed at something it should have done.",
        "Send the request again; if it fails again, tell the people who run the platform the time and address.",
    ),
)

CATALOGUE: dict[str, Entry] = {row.code: row for row in _ROWS}
