"""The guide: how a system calls the API, written with the reader's own ids and never with a secret."""

import json
import shlex
from typing import Any

import msgspec
from litestar import get
from litestar.di import NamedDependency

from backend.channels import simulator
from backend.channels.records import NEED_SUBJECT
from backend.db import database as db
from backend.lib import settings
from backend.lib.catalogue import CATALOGUE
from backend.portal import code
from backend.portal.access import Workspace
from backend.portal.pages import Page, page
from backend.reports import first_steps
from backend.reports.first_steps import Example

# What stands where the service has nothing of its own yet.
_CLIENT, _RECIPIENT = "YOUR_CLIENT_ID", "YOUR_RECIPIENT"
_TEMPLATE, _BATCH_TEMPLATE = "YOUR_TEMPLATE", "YOUR_BATCH_TEMPLATE"
_AGGREGATOR_ID = "manifest-21784312"
_AGGREGATOR = f"/notifications/v1/aggregators/{_AGGREGATOR_ID}"
_FIELDS = {"sample_id": "S-1"}
_SUBJECT = "Sample not accessioned"


class Lines(msgspec.Struct, frozen=True):
    """The lines to copy, each for a shell or as Python."""

    token: str
    send: str
    status: str
    explain: str
    python: str
    batch: str
    flush: str
    loop: str


def lines(example: Example, base: str) -> Lines:
    """Write the examples for one service; the secret is left to the reader."""
    body, client = notification(example), example.client or _CLIENT
    batch = batch_notification(example)
    return Lines(
        token=_token(base, client),
        send=_post(base, "/notifications/v1", body),
        status=f'curl -sS {base}/notifications/v1/NOTIFICATION_ID -H "Authorization: Bearer $TOKEN"',
        explain=_post(base, "/notifications/v1/explain", body),
        python=code.python(base, client, body),
        batch=_post(base, "/notifications/v1", batch),
        flush=f'curl -sS -X POST {base}{_AGGREGATOR}/flush -H "Authorization: Bearer $TOKEN"',
        loop=_loop(batch),
    )


def notification(example: Example) -> dict[str, Any]:
    """Write a notification that the service can send, as far as it has what it needs."""
    made = {"template_id": example.template or _TEMPLATE, "fields": example.fields or _FIELDS}
    return {"channels": [_channel(example, made, subject_needed=example.subject_needed)], "priority": "NORMAL"}


def batch_notification(example: Example) -> dict[str, Any]:
    """Write a notification that the service can send into a batch, in the same way."""
    made = {"template_id": example.batch_template or _BATCH_TEMPLATE, "fields": example.batch_fields or _FIELDS}
    channel = _channel(example, made, subject_needed=example.batch_subject_needed)
    return {"channels": [channel], "priority": "BATCH", "aggregator_id": _AGGREGATOR_ID}


def _channel(example: Example, made: dict[str, Any], *, subject_needed: bool) -> dict[str, Any]:
    channel = {"type": example.channel, "recipient": [example.recipient or _RECIPIENT], "content_type": "html"}
    if example.channel in NEED_SUBJECT and subject_needed:
        channel["subject"] = _SUBJECT
    return channel | made


def _token(base: str, client: str) -> str:
    take = 'sed \'s/.*"access_token":"\\([^"]*\\)".*/\\1/\''
    return (
        # bash and zsh read these options alike; -p is another thing in zsh.
        "printf 'Client secret: '; read -rs SECRET\n"
        f'TOKEN=$(curl -sS -u "{client}:$SECRET" -d grant_type=client_credentials {base}/oauth/token | {take})'
    )


def _post(base: str, path: str, body: dict[str, Any]) -> str:
    text = shlex.quote(json.dumps(body, indent=2, ensure_ascii=False))
    return (
        f"curl -sS -X POST {base}{path} \\\n"
        '  -H "Authorization: Bearer $TOKEN" \\\n'
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d {text}"
    )


def _loop(body: dict[str, Any]) -> str:
    """Write the loop with the first field of the example."""
    name = json.dumps(next(iter(body["channels"][0]["fields"])), ensure_ascii=False)
    return "{% for field in fields %}\n  <li>{{ field[" + name + "] }}</li>\n{% endfor %}"


@get("/guide", sync_to_thread=True)
def show(workspace: NamedDependency[Workspace]) -> Page:
    """Show the guide."""
    with db.current().read() as reading:
        example = first_steps.example(reading, workspace.service_id)
    configuration = settings.current()
    return page(
        "guide/index.html",
        workspace.viewer,
        current="guide",
        workspace=workspace,
        base=configuration.base_url,
        example=example,
        lines=lines(example, configuration.base_url),
        catalogue=list(CATALOGUE.values()),
        quiet=configuration.batch_quiet_seconds,
        longest=configuration.batch_max_wait_seconds,
        most=configuration.batch_max_items,
        retention=configuration.retention_days,
        simulated=simulator.ADDRESSES,
        simulator_domain=simulator.DOMAIN,
    )


ROUTES = [show]
