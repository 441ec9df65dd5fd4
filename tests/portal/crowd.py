"""A service with very many notifications, written by the database itself."""

from datetime import timedelta

from sqlalchemy import text

from backend.db.models.notifications import DeliveryStatus
from backend.lib import clock
from tests.portal.desk import Desk

# Ten a minute over the last week: most were sent, some failed.
_MOMENT = "strftime('%Y-%m-%d %H:%M:%f', :begin, '+' || (i * 6) || ' seconds') || '000'"
_NOTIFICATIONS = f"""
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :many)
INSERT INTO notifications
    (uid, service_id, api_client_id, priority, status, content, created_at, updated_at, accepted_at)
SELECT randomblob(16), service_id, api_client_id, priority,
       CASE WHEN i % 50 = 0 THEN 'FAILED' WHEN i % 3 = 0 THEN 'DELIVERED' ELSE 'SENT' END,
       content, {_MOMENT}, {_MOMENT}, {_MOMENT}
FROM n CROSS JOIN (SELECT service_id, api_client_id, priority, content FROM notifications LIMIT 1)
"""  # noqa: S608 - constants of this file
_DELIVERIES = """
INSERT INTO deliveries
    (uid, notification_id, service_id, priority, channel_index, type, template_version_id, recipients, address,
     status, attempts, due_at, error, created_at)
SELECT randomblob(16), n.id, d.service_id, d.priority, 0, d.type, d.template_version_id, d.recipients, d.address,
       n.status, 1, d.due_at, CASE WHEN n.status = 'FAILED' THEN '550 no such user ' || n.id END, n.created_at
FROM notifications n CROSS JOIN (SELECT * FROM deliveries LIMIT 1) d
WHERE n.id NOT IN (SELECT notification_id FROM deliveries)
"""


def crowd(made: Desk, many: int) -> None:
    """Store as many notifications, each with its delivery, over the last week; the service must be a new one."""
    made.accept("S-1")
    made.finish(DeliveryStatus.SENT, "250 Ok")
    with made.lab.database.transaction() as session:
        begin = (clock.now() - timedelta(days=7)).strftime("%Y-%m-%d %H:%M:%S")
        session.execute(text(_NOTIFICATIONS), {"many": many, "begin": begin})
        session.execute(text(_DELIVERIES))
