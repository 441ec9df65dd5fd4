"""Looking at an installation: how is it set."""

import json
import os

import click
import msgspec

from backend.lib import settings_catalogue


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.option("--markdown", "as_page", is_flag=True, help="Print the handbook's page: what each is for, and no value.")
def settings(*, as_json: bool, as_page: bool) -> None:
    """List every setting with its value, where that is from, and what it is otherwise; secrets are masked."""
    if as_page:
        click.echo(settings_catalogue.markdown(), nl=False)
        return
    values = settings_catalogue.listed(os.environ)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(values), ensure_ascii=False))
        return
    for one in values:
        click.echo(f"{one.name:<32} {one.source:<12} {one.value or '(not set)'}")
    for unknown in settings_catalogue.unknown(os.environ):
        click.echo(unknown.sentence(), err=True)
