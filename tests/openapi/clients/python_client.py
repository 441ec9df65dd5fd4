"""A client system with the client that openapi-python-client made: it asks for a token, previews, sends and reads."""

import json
import os

from carillon_client import AuthenticatedClient, Client
from carillon_client.api.authorization import issue_token
from carillon_client.api.notifications import get_notification, send_notification
from carillon_client.api.templates import preview_template
from carillon_client.models import (
    AcceptedNotification,
    AccessToken,
    ChannelRequest,
    ChannelRequestType,
    Notification,
    NotificationRequest,
    NotificationStatus,
    PreviewRequest,
    Problem,
    TemplatePreview,
    TokenRequest,
    TokenRequestGrantType,
)

URL = os.environ["CARILLON_URL"]


def token() -> str:
    form = TokenRequest(
        grant_type=TokenRequestGrantType.CLIENT_CREDENTIALS,
        client_id=os.environ["CLIENT_ID"],
        client_secret=os.environ["CLIENT_SECRET"],
    )
    answer = issue_token.sync(client=Client(base_url=URL), body=form)
    assert isinstance(answer, AccessToken), answer
    return answer.access_token


def notification(sample: str, recipient: str) -> NotificationRequest:
    fields = {"sample_id": sample, "attributes": []}
    channel = {"type": "EMAIL", "template_id": "ACCESSIONING_FAILURE", "subject": "Sample", "fields": fields}
    made = ChannelRequest.from_dict(channel)
    assert made.type_ is ChannelRequestType.EMAIL
    made.recipients = [recipient]  # the other spelling
    return NotificationRequest(channels=[made])


def main() -> None:
    client = AuthenticatedClient(base_url=URL, token=token())
    sample = os.environ["SAMPLE"]
    fields = PreviewRequest.from_dict({"fields": {"sample_id": sample, "attributes": []}})
    preview = preview_template.sync("ACCESSIONING_FAILURE", client=client, body=fields)
    assert isinstance(preview, TemplatePreview), preview

    wanted = notification(sample, "LAB_STAKEHOLDERS")
    sent = send_notification.sync(client=client, body=wanted, idempotency_key=f"python-{sample}")
    assert isinstance(sent, AcceptedNotification), sent
    assert sent.status is NotificationStatus.DISPATCHED
    read = get_notification.sync(sent.notification_id, client=client)
    assert isinstance(read, Notification), read
    refused = send_notification.sync(client=client, body=notification(sample, "NOBODY_HERE"))
    assert isinstance(refused, Problem), refused

    told = {
        "previewed": preview.text,
        "sent": sent.notification_id,
        "read": read.notification_id,
        "status": read.status.value,
        "channels": [channel.type_ for channel in read.channels],
        "refused": refused.code,
    }
    print(json.dumps(told))


main()
