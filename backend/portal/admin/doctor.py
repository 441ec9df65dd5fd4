"""What ``carillon doctor`` says, for platform administrators, as this web process sees it."""

from litestar import get
from litestar.di import NamedDependency

from backend.accounts.sessions import Viewer
from backend.doctor import checks, examination
from backend.doctor.examination import Level
from backend.portal.admin.tabs import admin_page
from backend.portal.pages import Page

_ORDER = (Level.FAULT, Level.WARNING, Level.SKIPPED, Level.OK)


@get("/admin/doctor", sync_to_thread=True)
def index(viewer: NamedDependency[Viewer]) -> Page:
    """Look at everything now; what is wrong comes first."""
    findings = sorted(examination.examine(checks.CHECKS), key=lambda one: _ORDER.index(one.level))
    wrong = sum(one.level in {Level.FAULT, Level.WARNING} for one in findings)
    return admin_page("doctor", viewer, "doctor", findings=findings, wrong=wrong)


ROUTES = [index]
