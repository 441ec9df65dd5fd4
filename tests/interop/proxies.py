"""Proxies in front of the web process, as they are where nobody has tuned them."""

import http.client
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.interop import programs
from tests.storms.installation import free_port, wait_until

# Bare `proxy_pass`: HTTP/1.0 towards the server, a connection for each request. Only the size of a body is let be.
_NGINX = """
{user}daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1;
events {{ worker_connections 256; }}
http {{
  access_log off; client_max_body_size 100m; client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{behind}; }} }}
}}
"""
_HAPROXY = """
defaults
  mode http
  timeout connect 5s
  timeout client 50s
  timeout server 50s
frontend front
  bind 127.0.0.1:{port}
  default_backend back
backend back
  {option}
  server one 127.0.0.1:{behind}
"""


def _nginx(folder: Path, port: int, behind: int) -> list[str]:
    user = "user root; " if os.geteuid() == 0 else ""  # its workers write bodies into the folder, which is ours alone
    (folder / "nginx.conf").write_text(_NGINX.format(user=user, folder=folder, port=port, behind=behind))
    return [programs.path("nginx"), "-e", f"{folder}/error.log", "-p", str(folder), "-c", f"{folder}/nginx.conf"]


def _haproxy(folder: Path, port: int, behind: int) -> list[str]:
    option = "option http-server-close" if folder.name == "closing" else "option http-keep-alive"
    (folder / "haproxy.cfg").write_text(_HAPROXY.format(port=port, behind=behind, option=option))
    return [programs.path("haproxy"), "-f", f"{folder}/haproxy.cfg"]


NAMES: dict[str, Callable[[Path, int, int], list[str]]] = {"nginx": _nginx, "haproxy": _haproxy}


@contextmanager
def in_front(name: str, folder: Path, behind: int) -> Iterator[int]:
    """Run a proxy in front of a port; give its own port."""
    folder.mkdir()
    port, log = free_port(), folder / "said.log"
    with log.open("w") as said, subprocess.Popen(NAMES[name](folder, port, behind), stdout=said, stderr=said) as proxy:
        try:
            wait_until(lambda: _answers(port), 30, log.read_text)
            yield port
        finally:
            proxy.terminate()
            proxy.wait(20)


def _answers(port: int) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
