"""Every closed set of words the domain speaks; values are the words of the JSON output. Behaviour lives elsewhere."""

from enum import StrEnum


class Timing(StrEnum):
    """When in the New York day a company reports."""

    BMO = "BMO"  # before the open
    AMC = "AMC"  # after the close
    DMH = "DMH"  # during market hours
    UNKNOWN = "UNKNOWN"


class DateStatus(StrEnum):
    """How much a report date is worth."""

    CONFIRMED = "confirmed"
    ESTIMATED = "estimated"
    UNKNOWN = "unknown"


class ReportSource(StrEnum):
    """Who named the report date."""

    ALPHA_VANTAGE = "alpha_vantage"
    STORED = "stored"
    ARGUMENT = "argument"


class MoveMeasure(StrEnum):
    """Which past move the averages are taken of."""

    CLOSE_TO_CLOSE = "close_to_close"
    GAP = "gap"
    PEAK = "peak"


class Right(StrEnum):
    """What an option lets its holder do."""

    CALL = "call"
    PUT = "put"


class Recommendation(StrEnum):
    """The VRP ratio against the thresholds of the settings."""

    EXCELLENT = "excellent"
    GOOD = "good"
    MARGINAL = "marginal"
    SKIP = "skip"


class Trend(StrEnum):
    """Whether past absolute moves grow from quarter to quarter, by more than their noise."""

    STABLE = "stable"
    INCREASING = "increasing"
    DECREASING = "decreasing"


class SkewDirection(StrEnum):
    """Which side of the smile is dearer."""

    BULLISH = "bullish"
    NEUTRAL = "neutral"
    BEARISH = "bearish"


class ExecutionTier(StrEnum):
    """How well the event's options can be traded."""

    EXCELLENT = "excellent"
    GOOD = "good"
    WARNING = "warning"
    REJECT = "reject"


class SessionState(StrEnum):
    """What the exchange is doing at a moment."""

    OPEN = "open"
    PREMARKET = "premarket"
    POSTMARKET = "postmarket"
    CLOSED = "closed"


class LeftOut(StrEnum):
    """Why a company that reports is not in the list of a scan."""

    TOO_LATE = "too_late"
    NOT_LISTED = "not_listed"
    MARKET_CAP = "market_cap"
    DOLLAR_VOLUME = "dollar_volume"
    NO_DATA = "no_data"
    NO_VRP = "no_vrp"
    VRP_RATIO = "vrp_ratio"
    RANK = "rank"


class Unscored(StrEnum):
    """Why a kept analysis is not held against a move."""

    NOT_REPORTED = "not_reported"
    REACTION_NOT_OVER = "reaction_not_over"
    NOT_MEASURED = "not_measured"
    NOT_MEASURABLE = "not_measurable"
    AFTER_THE_FACT = "after_the_fact"
    EXPIRED_BEFORE = "expired_before"
    REPLACED = "replaced"
    OTHER_MARKET = "other_market"
    UNREADABLE = "unreadable"


class Finding(StrEnum):
    """What an estimate with its interval says against a fixed number."""

    TOO_FEW = "too_few"
    CHANCE = "chance"
    ABOVE = "above"
    BELOW = "below"
