"""Column types that both databases share."""

from sqlalchemy import JSON
from sqlalchemy.dialects.postgresql import JSONB

# Advanced Alchemy's JsonB also prepares for Oracle through a function that SQLAlchemy 2.1 no longer has.
JsonB = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
