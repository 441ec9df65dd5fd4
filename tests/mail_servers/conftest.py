"""The office, the web process that bounces come home to, and a note of each count."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator

import msgspec
import pytest
import uvicorn

from backend.db.database import Database
from backend.delivery.providers import routes
from backend.lib import settings
from tests.application import application
from tests.mail_servers import packages
from tests.mail_servers.office import Count, Office
from tests.smtp_server import SmtpServer

COUNTED = "mail_server"


@pytest.fixture(scope="package", autouse=True)
def servers() -> None:
    """Skip where there are no mail servers and none can be brought."""
    for name in packages.PACKAGES:
        try:
            packages.root(name)
        except packages.MissingError as fault:
            pytest.skip(str(fault))


@pytest.fixture
def sink() -> Iterator[SmtpServer]:
    """Give the server that takes what the mail server passes on."""
    with SmtpServer() as running:
        yield running


@pytest.fixture
def office(database: Database, configure: Callable[..., settings.Settings], sink: SmtpServer) -> Iterator[Office]:
    """Give the service whose mail is sent."""
    yield Office(database, configure, sink)
    routes.routes.cache_clear()


@pytest.fixture
def http_client(configure: Callable[..., settings.Settings], office: Office) -> Iterator[str]:
    """Serve the application on a port of its own; give its address, which is the setting now."""
    listening = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    configure(BASE_URL=address)
    server = uvicorn.Server(uvicorn.Config(application(), lifespan="off", log_config=None))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True)
    thread.start()
    yield address
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def note(record_property: Callable[[str, object], None]) -> Callable[[str, str, Count], None]:
    """Give what keeps a count for the table, and says it to who reads along."""

    def noted(server: str, case: str, count: Count) -> None:
        record_property(COUNTED, {"server": server, "case": case, **msgspec.structs.asdict(count)})
        print(f"{server}, {case}: {count}")

    return noted
