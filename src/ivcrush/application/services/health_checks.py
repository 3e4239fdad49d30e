"""What is asked before trading, and when the answer is worth an alarm.

An alarm is for what keeps the next run from working or has kept the last one from it. What puts itself right (a spent
quota, a cache or schema that the next run makes) is told and is healthy. What could not be looked at is not healthy.
A missing Alpha Vantage key is an alarm, and so is one that was refused when it was last used: without it a company
that is new here cannot be analysed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ivcrush.application.services.ground import CLOCK_LIMIT, CLOCK_TOLERANCE
from ivcrush.application.services.health import Check, Look
from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err
from ivcrush.domain.health import HistoryCoverage, QuotaState
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.operations import RunRecord

COMING_DAYS = 7
# One session may go by without a run (a day off, a machine that slept): the next one not.
MISSED_SESSIONS = 2
_GOOD_EXITS = (0, 3)


@dataclass(frozen=True, slots=True)
class Probes:
    """How each thing is looked at; nothing is looked at before a check asks.

    `tradier` gives the Date of its reply, `alpha_vantage` the host that was met, `run_holder` who holds the run lock.
    """

    configuration: Look[str]
    tradier: Look[datetime | None]
    alpha_vantage: Look[str]
    quota: Look[QuotaState]
    database: Look[str]
    cache: Look[str]
    disk: Look[str]
    last_run: Look[RunRecord | None]
    run_holder: Look[str | None]
    coverage: Look[HistoryCoverage]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a check may take: one that asks a provider, and one that asks this machine."""

    provider_s: float
    machine_s: float


class HealthChecks:
    """The checks of the contract; `now` is the real clock, which every age is measured by."""

    def __init__(self, probes: Probes, *, calendar: MarketCalendar, now: Callable[[], datetime]) -> None:
        self._probes = probes
        self._calendar = calendar
        self._now = now

    def all(self, patience: Patience) -> tuple[Check, ...]:
        """In the order in which a person wants to read them."""
        probes = self._probes
        return (
            Check("configuration", patience.machine_s, probes.configuration),
            Check("tradier", patience.provider_s, self._tradier),
            Check("alpha_vantage", patience.provider_s, self._alpha_vantage),
            Check("clock", patience.provider_s, self._clock),
            Check("database", patience.machine_s, probes.database),
            Check("cache", patience.machine_s, probes.cache),
            Check("disk", patience.machine_s, probes.disk),
            Check("last_run", patience.machine_s, self._last_run),
            Check("history", patience.machine_s, self._history),
        )

    async def _tradier(self) -> Result[str]:
        served_at = await self._probes.tradier()
        return served_at if isinstance(served_at, Err) else Ok("answers, token accepted")

    async def _clock(self) -> Result[str]:
        served_at = await self._probes.tradier()
        if isinstance(served_at, Err) or served_at.value is None:
            return err(ErrorCode.NODATA, "not compared: no reply of Tradier with a date")
        return clock_judged(served_at.value, self._now())

    async def _alpha_vantage(self) -> Result[str]:
        met = await self._probes.alpha_vantage()
        if isinstance(met, Err):
            return met
        quota = await self._probes.quota()
        if isinstance(quota, Err):
            return Ok(f"{met.value} can be reached; calls left not known ({quota.error.message})")
        refused_at = quota.value.key_refused_at
        if refused_at is not None:
            return err(
                ErrorCode.AUTH,
                f"{met.value} refused the key (ALPHA_VANTAGE_KEY) at {_minute(refused_at)}, no answer has come since; "
                "ivcrush backfill --calendar --refresh tries another one",
            )
        return Ok(f"{met.value} can be reached; {_quota_told(quota.value)}")

    async def _last_run(self) -> Result[str]:
        holder = await self._probes.run_holder()
        if isinstance(holder, Err):
            return holder
        last = await self._probes.last_run()
        if holder.value is not None:
            return Ok(f"run in progress: {holder.value}{_progress(holder.value, last)}")
        if isinstance(last, Err):
            return _unless_older(last)
        return last_run_judged(last.value, self._now(), self._calendar)

    async def _history(self) -> Result[str]:
        coverage = await self._probes.coverage()
        return _unless_older(coverage) if isinstance(coverage, Err) else history_judged(coverage.value)


def clock_judged(served_at: datetime, now: datetime) -> Result[str]:
    """This machine's clock against a reply's Date, by the tolerance that an analysis has. Errors: CONFIG."""
    ahead = now - served_at
    told = f"{abs(ahead).total_seconds():.0f} s {'ahead of' if ahead > timedelta(0) else 'behind'} the provider's"
    if abs(ahead) <= CLOCK_TOLERANCE:
        return Ok(told)
    consequence = "nothing can be dated" if abs(ahead) > CLOCK_LIMIT else "analyses are flagged host_clock_off"
    return err(ErrorCode.CONFIG, f"{told}, which says {_minute(served_at)}: {consequence}; set the clock")


def last_run_judged(last: RunRecord | None, now: datetime, calendar: MarketCalendar) -> Result[str]:
    """The last run, while none is under way.

    An alarm if it was cut, failed, lost more rows to providers than it analysed, or the past of more than half of
    those, or is `MISSED_SESSIONS` sessions old.
    """
    if last is None:
        return Ok("there was no run yet")
    told = f"{last.command} of {_minute(last.started_at)}"
    if last.ended_at is None:
        return err(ErrorCode.SKIPPED, f"{told} was cut after {last.reached} of {last.rows} rows; run it again")
    if not last.complete:
        what = f"stopped with exit code {last.exit_code} after {last.reached} of {last.rows} rows"
        return err(ErrorCode.SKIPPED, f"{told} {what}; run it again")
    if last.exit_code not in _GOOD_EXITS:
        return err(ErrorCode.NODATA, f"{told} ended with exit code {last.exit_code}")
    if _lost_to_providers(last):
        lost = f"{last.provider_failed} of {last.rows} rows failed for reasons of providers"
        return err(ErrorCode.EXTERNAL, f"{told}: {lost}, {last.analysed} were analysed; run it again")
    if last.history_lost * 2 > last.analysed:
        lost = f"{last.history_lost} of {last.analysed} analyses lack the past moves, which a provider did not give"
        return err(
            ErrorCode.EXTERNAL, f"{told}: {lost}; ivcrush quota, ivcrush backfill --reporting-days {COMING_DAYS}"
        )
    ended = last.ended_at.astimezone(NEW_YORK).date()
    missed = calendar.sessions_between(ended, calendar.last_finished_session(now))
    if missed >= MISSED_SESSIONS:
        return err(ErrorCode.NODATA, f"{told} is the last one: {missed} sessions have gone by without a run since")
    return Ok(f"{told} ended with exit code {last.exit_code}, {last.reached} of {last.rows} rows")


def history_judged(coverage: HistoryCoverage) -> Result[str]:
    """The coming reporters with enough past moves, and some of those without where they are most. Errors: NODATA.

    An alarm where none has a past: no row of a list would have its VRP, however well the run went. Some having none is
    no alarm: a calendar of everybody takes weeks to fill at 25 calls a day, and a trader of few never fills it.
    """
    if coverage.reporters == 0:
        return Ok(f"no stored report in the coming {COMING_DAYS} days")
    reporters = f"{coverage.reporters} reporters of the coming {COMING_DAYS} days"
    told = f"{coverage.covered} of {reporters} have the {coverage.needed} past moves needed"
    if coverage.covered * 2 >= coverage.reporters:
        return Ok(told)
    others = coverage.reporters - coverage.covered - len(coverage.lacking)
    lacking = ", ".join(coverage.lacking) + (f" and {others} others" if others else "")
    what = f"lacking: {lacking}; ivcrush backfill --reporting-days {COMING_DAYS} fetches them, the soonest first"
    return Ok(f"{told}; {what}") if coverage.covered else err(ErrorCode.NODATA, f"{told}; {what}")


def _lost_to_providers(last: RunRecord) -> bool:
    """Whether a run that reached every row is no list to trade by: the threshold of what counts as a good one."""
    return last.provider_failed > last.analysed


def _unless_older(unread: Err) -> Result[str]:
    """A database of an older schema knows nothing yet, and the next run puts that right."""
    return Ok(f"not known: {unread.error.message}") if unread.error.about("reason") == "older_schema" else unread


def _quota_told(quota: QuotaState) -> str:
    left = f"{quota.left} of {quota.limit} calls left of 24 hours"
    return left if quota.next_at is None else f"{left}, the next at {_minute(quota.next_at)}"


def _progress(holder: str, last: Result[RunRecord | None]) -> str:
    """How far the run under way is, where the last run noted is its own."""
    if isinstance(last, Err) or last.value is None or last.value.ended_at is not None:
        return ""
    own = holder.startswith(f"{last.value.command}, ")
    return f", {last.value.reached} of {last.value.rows} rows" if own else ""


def _minute(moment: datetime) -> str:
    return moment.astimezone(NEW_YORK).isoformat(timespec="minutes")
