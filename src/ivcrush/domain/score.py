"""Kept analyses held against what came: which move answered each, why none did, and how right all of them were.

Values only; how they are found and computed stands in `application`. `_pct` is percent, moves are of the stock's price.
"""

from dataclasses import dataclass
from datetime import date

from ivcrush.domain.analysis import Interval, Statement, UnreadableStatement
from ivcrush.domain.enums import Finding, Timing, Unscored
from ivcrush.domain.types import HistoricalMove, Ticker


@dataclass(frozen=True, slots=True)
class ScoredReport:
    """A report's last analysis that could be traded, and the move that was measured over its reaction session."""

    statement: Statement
    move: HistoricalMove

    @property
    def realised_pct(self) -> float:
        """The size of the close-to-close move."""
        return abs(self.move.close_to_close_pct)

    @property
    def inside(self) -> bool:
        """Whether the move was not larger than the straddle."""
        return self.realised_pct <= self.statement.straddle_pct

    @property
    def premium_pct(self) -> float:
        """Implied less realised: what was asked for the move beyond the move."""
        return self.statement.event_move_pct - self.realised_pct

    @property
    def after_costs_pct(self) -> float | None:
        """The premium less the quoted costs, None where the quotes could not be traded."""
        return None if self.statement.cost_pct is None else self.premium_pct - self.statement.cost_pct

    @property
    def moved(self) -> bool:
        """Whether the report came on another date, or in another session, than the analysis had it."""
        said = self.statement
        return said.report_date != self.move.report_date or said.timing not in (Timing.UNKNOWN, self.move.timing)


@dataclass(frozen=True, slots=True)
class UnscoredStatement:
    """An analysis that is not scored, and why; `detail` is what the move lacked, or what is wrong with the document."""

    statement: Statement | UnreadableStatement
    reason: Unscored
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 90 % interval, None where there is too little to give one."""

    value: float
    interval_90: Interval | None

    def against(self, number: float) -> Finding:
        """On which side of the number the whole interval lies."""
        if self.interval_90 is None:
            return Finding.TOO_FEW
        low, high = self.interval_90
        if low > number:
            return Finding.ABOVE
        return Finding.BELOW if high < number else Finding.CHANCE


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Reports of like stated probability: the mean that was stated, and the share that stayed inside."""

    reports: int
    stated: float
    inside: Estimate


@dataclass(frozen=True, slots=True)
class InsideScore:
    """The stated probabilities against what came. Brier score and log loss are losses: smaller is better.

    The base rate is the share inside of these very reports, known only afterwards; a gain is what the statements lose
    less than it. `excess` is share less stated. `bins` is empty where there are too few reports.
    """

    reports: int
    stated: float
    inside: float
    excess: Estimate
    brier: float
    base_brier: float
    brier_gain: Estimate
    log_loss: float
    base_log_loss: float
    log_loss_gain: Estimate
    bins: tuple[CalibrationBin, ...]


@dataclass(frozen=True, slots=True)
class RichnessScore:
    """The stated ratios against what came.

    `stated_ratio` is what the shrunk ratios promised for the ratio of sums, `realised_ratio` what it was.
    `rank_correlation` is of the point ratios with how little of the implied move came.
    """

    reports: int
    stated_ratio: float
    realised_ratio: Estimate
    rank_correlation: Estimate | None


@dataclass(frozen=True, slots=True)
class GroupScore:
    """What a verdict was worth, means a report; `costed` reports had quotes that could be traded."""

    name: str
    reports: int
    implied_pct: float
    realised_pct: float
    premium_pct: Estimate
    costed: int
    after_costs_pct: Estimate | None


@dataclass(frozen=True, slots=True)
class Scorecard:
    """How right the analyses of one or more reports were."""

    reports: int
    companies: int
    sessions: int
    implied_pct: float
    realised_pct: float
    ratio: Estimate | None
    inside: InsideScore | None
    richness: RichnessScore | None
    groups: tuple[GroupScore, ...]


@dataclass(frozen=True, slots=True)
class Score:
    """Every analysis that was asked about, in exactly one of the two lists; the card is None where none is scored."""

    scored: tuple[ScoredReport, ...]
    unscored: tuple[UnscoredStatement, ...]
    card: Scorecard | None


@dataclass(frozen=True, slots=True)
class ScoreQuestion:
    """Which analyses: of these companies (none named: all), of reports from that date on; `simulated` ones or real."""

    tickers: tuple[Ticker, ...]
    since: date | None
    simulated: bool
