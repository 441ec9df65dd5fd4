"""What an installation answers to; it loads the whole web, which no other look at an installation needs."""

import click

from backend.app import create_app


@click.command()
def routes() -> None:
    """List every address with its methods."""
    for route in sorted(create_app().routes, key=lambda route: route.path):
        methods = ",".join(sorted(getattr(route, "methods", ())))
        click.echo(f"{methods or '-':<20} {route.path}")


# By this name the GOV.UK Notify alpha lists its own.
list_routes = routes
