"""The application that tests send requests to."""

import gc
from functools import lru_cache

import pytest
from litestar import Litestar

from backend.app import create_app
from backend.lib import logs, settings
from tests.conftest import SECRET_KEY


@lru_cache(maxsize=1)
def application() -> Litestar:
    """Build the application once, for it asks for settings and database anew at each request; pytest keeps its logs.

    What signs the tokens of forms is made with it, so that it has the key that all tests have, whoever asks first. It
    freezes no memory when it starts: it does so for every test, and what tests leave behind would stay.
    """
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(logs, "configure", lambda **_options: None)
        patched.setattr(gc, "freeze", lambda: None)
        own = settings.from_environment({"CARILLON_ENV": "test", "CARILLON_SECRET_KEY": SECRET_KEY})
        patched.setattr(settings, "current", lambda: own)
        return create_app()
