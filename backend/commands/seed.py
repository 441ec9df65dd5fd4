"""The first start: make the database and the demo service, then greet."""

import json
import time

import click
import httpx2

from backend.commands import demo_data
from backend.commands.database import bring_up
from backend.commands.demo_data import DemoAccess
from backend.lib import clock, logs, settings
from backend.portal.keys import outbox_key

_PATIENCE_SECONDS = 60.0


@click.command()
def seed() -> None:
    """Create the database and, outside production, the demo service. A second run changes nothing."""
    logs.configure()
    click.echo("› Preparing the database")
    bring_up()
    if settings.current().env != "production" and demo_data.present() is None:
        click.echo("› Registering the demo service, its recipients and the starter templates")
        demo_data.create()
    click.echo("› Starting the web and worker processes")


@click.command()
def welcome() -> None:
    """Wait until the web process answers, then print how to use it."""
    access = demo_data.present()
    if not _answers():
        raise click.ClickException("The web process did not become ready within a minute; its own lines say why.")
    click.echo(_greeting(access) if access else f"\nCarillon is ready at {settings.current().base_url}\n")


def _answers() -> bool:
    end = time.monotonic() + _PATIENCE_SECONDS
    with httpx2.Client(timeout=5, trust_env=False) as http:
        while time.monotonic() < end:
            try:
                if http.get(f"{settings.current().base_url}/readyz").status_code == 200:
                    return True
            except httpx2.TransportError:
                pass
            time.sleep(0.1)
    return False


def _greeting(access: DemoAccess) -> str:
    base = settings.current().base_url
    token, send = commands(base, access)
    return f"""
  Carillon is ready at {base}

  Sign in            {base}/portal/sign-in
                     {access.email}   {access.password}
  Outbox             {base}/portal/outbox?key={outbox_key(access.service_id)}
  API documentation  {base}/docs

  Send a first notification: paste these two lines into another terminal, then look into the outbox.

{token}
{send}
"""


def commands(base: str, access: DemoAccess) -> tuple[str, str]:
    """Return the two shell commands that ask for a token and send the accessioning example."""
    token = (
        f"TOKEN=$(curl -sS -u '{access.client_id}:{access.client_secret}' -d grant_type=client_credentials "
        f'{base}/oauth/token | sed \'s/.*"access_token":"\\([^"]*\\)".*/\\1/\')'
    )
    send = (
        f'curl -sS -X POST {base}/notifications/v1 -H "Authorization: Bearer $TOKEN" '
        f"-H 'Content-Type: application/json' -d '{json.dumps(example())}'"
    )
    return token, send


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
        "sample-id": f"S-{clock.now():%Y%m%d}-{number}",
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
