"""The greeting of a start, as soon as the web process answers; it loads little, for it starts beside that one."""

import json
import time
from collections.abc import Callable

import click
import httpx2

from backend.commands import demo_access
from backend.commands.demo_access import DemoAccess
from backend.commands.demo_examples import example
from backend.lib import settings
from backend.portal.keys import outbox_key

_PATIENCE_SECONDS = 60.0


@click.command()
def welcome() -> None:
    """Wait until the web process answers, then print how to use it."""
    greet(lambda: True)


def greet(runs: Callable[[], bool]) -> None:
    """Print how to use it, once the web process answers; ``runs`` tells whether there is one to wait for.

    Raises:
        ClickException: it does not answer.
    """
    access = demo_access.present()
    if not _answers(runs):
        raise click.ClickException("The web process did not become ready within a minute; its own lines say why.")
    click.echo(_greeting(access) if access else f"\nCarillon is ready at {settings.current().base_url}\n")


def _answers(runs: Callable[[], bool]) -> bool:
    end = time.monotonic() + _PATIENCE_SECONDS
    with httpx2.Client(timeout=5, trust_env=False) as http:
        while time.monotonic() < end and runs():
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
        f"-H 'Content-Type: application/json' -d '{json.dumps(example())}'; echo"
    )
    return token, send
