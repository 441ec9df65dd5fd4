"""A token issuer outside of the installation, over real HTTP, whose tokens a test shapes."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import Key, RSAKey

from backend.accounts.clients import NewClient
from backend.accounts.oauth import signatures
from backend.lib import clock
from tests.accounts.http_client import BASE_URL

OAUTH = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"
FIRST = RSAKey.generate_key(2048, {"kid": "first", "use": "sig"})


class IssuerServer:
    """An identity provider: what it serves at each path, and how often it was asked."""

    def __init__(self) -> None:
        self.pages: dict[str, Any] = {}
        self.asked: list[str] = []
        self.drips = False
        self.stopped = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                page = server.pages.get(self.path)
                plain = (200 if page else 404, {}, json.dumps(page))
                status, headers, body = page if isinstance(page, tuple) else plain
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                for octet in body.encode() if server.drips else ():
                    if server.stopped.wait(0.02):
                        return
                    self.wfile.write(bytes([octet]))
                self.wfile.write(b"" if server.drips else body.encode())

            def log_message(self, *_arguments: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._http.server_port}"
        self.key: Key = FIRST
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def publish(self, where: str = OAUTH, **changes: Any) -> None:
        self.pages[where] = {"issuer": self.address, "jwks_uri": f"{self.address}/keys"} | changes
        self.pages["/keys"] = {"keys": [{"kty": "what"}, self.key.as_dict(private=False)]}

    def token(self, client: NewClient, key: Key | None = None, algorithm: str = "RS256", **changes: Any) -> str:
        now = int(clock.timestamp())
        claims = {
            "iss": self.address,
            "aud": ["https://other.example", BASE_URL],
            "sub": "robot",
            "client_id": client.client_id,
            "iat": now,
            "exp": now + 7200,
            "jti": "one",
            "scope": "notifications:read registry:write openid",
        }
        chosen = key or self.key
        header = {"alg": algorithm, "typ": "at+jwt", "kid": chosen.kid, "x-own": "1"}
        return jwt.encode(header, claims | changes, chosen, algorithms=[algorithm], registry=signatures.REGISTRY)

    def signed(self, claims: dict[str, Any], **header: Any) -> str:
        """Sign claims of any shape; a header member that is None is left out."""
        whole = {"alg": "RS256", "kid": self.key.kid} | header
        kept = {name: value for name, value in whole.items() if value is not None}
        return jwt.encode(kept, claims, self.key, algorithms=["RS256"], registry=signatures.REGISTRY)

    def close(self) -> None:
        self.stopped.set()
        self._http.shutdown()
        self._http.server_close()
