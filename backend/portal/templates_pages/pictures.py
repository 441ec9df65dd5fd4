"""What a starter looks like, for the small frames by which one is chosen."""

from functools import lru_cache

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from backend.branding import logos
from backend.portal import access
from backend.portal.access import Workspace
from backend.portal.security import MESSAGE_POLICY
from backend.publishing import sources
from backend.rendering import engine
from backend.rendering.model import RenderJob, Source, Surroundings
from backend.rendering.starters import starters


@get("/templates/starters/{starter:str}", guards=[access.editors], sync_to_thread=True)
def picture(workspace: NamedDependency[Workspace], starter: FromPath[str]) -> Response[str]:
    """Serve a starter's message, made with its own sample and the service's brand, as inert HTML."""
    html = _pictures(sources.of_service(workspace.service_id)).get(starter)
    if html is None:
        raise NotFoundException
    return Response(logos.embedded(html), media_type="text/html", headers={"Content-Security-Policy": MESSAGE_POLICY})


@lru_cache(maxsize=64)
def _pictures(around: Surroundings) -> dict[str, str]:
    """Render every starter once, in this process: they are our own."""
    jobs = {
        one.identifier: RenderJob("", Source(one.format, one.source, around=around), one.sample_fields, one.batch)
        for one in starters()
    }
    return {identifier: engine.render(job).html or "" for identifier, job in jobs.items()}


ROUTES = [picture]
