"""How moments stand in the database: ISO text in UTC, always with microseconds, so that text order is time order."""

from datetime import UTC, datetime


def utc_text(moment: datetime) -> str:
    """`2026-05-15T19:45:00.000000+00:00`; a moment without a zone is a defect and raises ValueError."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no zone")
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def parse_utc_text(text: str) -> datetime:
    """The aware moment, in UTC. Raises ValueError."""
    return datetime.fromisoformat(text)
