"""What every message of a service is surrounded by: its name and brand, those of the installation, its address."""

from functools import lru_cache

from backend.branding import brands
from backend.db import database as db
from backend.db.database import Database
from backend.lib import settings
from backend.lib.ttl_cache import TtlCache
from backend.rendering.brand import NEUTRAL, Brand
from backend.rendering.model import Surroundings

# A service that is given another name or brand has it in the messages of other processes after so long.
_SECONDS = 30.0


def of_service(service_id: int) -> Surroundings:
    """Return what a service's templates see besides their fields; a service that is new has its name at once."""
    return of(*_known(service_id))


def brand(service_id: int) -> Brand:
    """Return a service's brand."""
    return _known(service_id)[1]


def of(name: str, brand: Brand) -> Surroundings:
    """Return what the templates of a service of this name would see with this brand."""
    current = settings.current()
    environment = current.environment_name or current.env
    production = environment.lower() == "production"
    return _surroundings(name, environment, current.base_url, brand, production=production)


def clear() -> None:
    """Look again at the next message, since something was changed."""
    _services(db.current()).clear()


@lru_cache(maxsize=4096)
def _surroundings(name: str, environment: str, base_url: str, brand: Brand, *, production: bool) -> Surroundings:
    return Surroundings(name, environment, production, base_url, brand)


def _known(service_id: int) -> tuple[str, Brand]:
    services = _services(db.current())
    found = services.get()
    if service_id not in found:
        services.clear()
        found = services.get()
    return found.get(service_id, ("", NEUTRAL))


@lru_cache(maxsize=8)
def _services(database: Database) -> TtlCache[dict[int, tuple[str, Brand]]]:
    """Keep the names and brands of all services."""

    def find() -> dict[int, tuple[str, Brand]]:
        with database.read_beside() as session:
            return brands.of_services(session)

    return TtlCache(find, seconds=_SECONDS)
