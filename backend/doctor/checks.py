"""Everything that the doctor looks at, in the order in which it says so."""

from backend.doctor import configuration, engine, installation, mail, waiting

CHECKS = (*configuration.CHECKS, *installation.CHECKS, *engine.CHECKS, *mail.CHECKS, *waiting.CHECKS)
