"""What the demonstration and the first steps send."""

from backend.lib import clock

ATTRIBUTES = [
    {"key": "Country", "value": "United Kindm"},
    {"key": "Reference genome", "value": "NONE"},
]


def example(priority: str = "NORMAL") -> dict[str, object]:
    """Return the accessioning example, about a sample named after this moment, so that each is a new one."""
    fields: dict[str, object] = {"sample_id": f"S-{clock.now():%Y%m%d-%H%M%S}", "attributes": ATTRIBUTES}
    subject = "Sample not accessioned: invalid input data"
    return {"channels": [_channel("ACCESSIONING_FAILURE", fields, subject)], "priority": priority}


def batch_example(number: int) -> dict[str, object]:
    """Return one notification of a batch: the failure of one sample of a manifest."""
    fields: dict[str, object] = {
        "sample_id": f"S-{clock.now():%Y%m%d}-{number}",
        "attributes": ATTRIBUTES[: 1 + number % 2],
    }
    channel = _channel("ACCESSIONING_FAILURES", fields, subject=None)
    return {"channels": [channel], "priority": "BATCH", "aggregator_id": "manifest-2841"}


def _channel(template_id: str, fields: dict[str, object], subject: str | None) -> dict[str, object]:
    channel: dict[str, object] = {
        "type": "EMAIL",
        "recipient": ["LAB_STAKEHOLDERS"],
        "content_type": "html",
        "template_id": template_id,
        "fields": fields,
    }
    return channel if subject is None else channel | {"subject": subject}
