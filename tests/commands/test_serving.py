"""What the web process is started with."""

import socket
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn
from click.testing import CliRunner

from backend.commands.serve import serve
from backend.db.database import Database
from backend.lib import logs, settings


@pytest.mark.parametrize(("setting", "seconds"), [({}, 75), ({"KEEP_ALIVE_SECONDS": "300"}, 300)])
def test_idle_connections_live_longer_than_a_proxy_keeps_its_own(
    database: Database,
    configure: Callable[..., settings.Settings],
    monkeypatch: pytest.MonkeyPatch,
    setting: dict[str, str],
    seconds: int,
) -> None:
    started: dict[str, Any] = {}
    monkeypatch.setattr(uvicorn, "run", lambda *_application, **options: started.update(options))
    monkeypatch.setattr(logs, "configure", lambda **_options: None)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    configure(PORT=str(port), **setting)
    done = CliRunner().invoke(serve, [], catch_exceptions=False)
    assert (done.exit_code, started["timeout_keep_alive"]) == (0, seconds)
