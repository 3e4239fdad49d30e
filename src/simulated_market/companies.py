"""Who is listed: the well-known names a demonstration wants to see, and any number of invented ones, each drawn from
its name alone.

Numbers of the well-known names are of the size their owners have; they are not data about those companies. Nothing here
knows a date: schedules, bars and quotes are built on top of it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from simulated_market.jumps import JumpKind
from simulated_market.seeding import stream


class Timing(StrEnum):
    """When on its day a company reports: before the open, after the close, during market hours."""

    BMO = "BMO"
    AMC = "AMC"
    DMH = "DMH"


@dataclass(frozen=True, slots=True)
class Company:
    """The standing facts of one listing. Volatilities and yields are fractions a year, `spot` is dollars on the anchor
    day.
    """

    ticker: str
    name: str
    kind: str  # "stock" or "etf"
    exchange: str  # Tradier's one-letter code
    spot: float
    ambient_vol: float
    short_end_tilt: float  # relative rise (backwardation) or fall (contango) of the ambient vol at the short end
    smile_slope: float
    smile_curvature: float
    jump_kind: JumpKind
    jump_sigma: float  # option-implied, per report
    true_vrp: float  # option-implied over real-world size of the move
    timing: Timing
    publishes_timing: bool
    sessions_to_report: int  # from the anchor session; -1 for a listing that never reports
    past_quarters: int
    dividend_yield: float
    days_from_report_to_dividend: int
    split: tuple[int, float] | None  # (sessions before the anchor, new shares for one old)
    has_options: bool
    has_weeklies: bool
    liquidity: float  # 0 (wide, thin) to 1 (a penny wide)

    @property
    def reports(self) -> bool:
        """Whether there is anything to report: funds do not."""
        return self.sessions_to_report >= 0


# ticker: name, exchange, spot, ambient vol, jump sigma, timing, sessions to the report, dividend yield
_KNOWN: Final[dict[str, tuple[str, str, float, float, float, str, int, float]]] = {
    "AAPL": ("Apple Inc", "Q", 212.40, 0.24, 0.043, "AMC", 1, 0.005),
    "MSFT": ("Microsoft Corp", "Q", 448.20, 0.22, 0.046, "AMC", 3, 0.008),
    "NVDA": ("NVIDIA Corp", "Q", 131.50, 0.42, 0.078, "AMC", 3, 0.0003),
    "TSLA": ("Tesla Inc", "Q", 342.10, 0.52, 0.092, "AMC", 0, 0.0),
    "AMZN": ("Amazon.com Inc", "Q", 205.70, 0.28, 0.064, "AMC", 4, 0.0),
    "META": ("Meta Platforms Inc", "Q", 640.30, 0.30, 0.082, "AMC", 2, 0.003),
    "GOOGL": ("Alphabet Inc", "Q", 171.80, 0.26, 0.055, "AMC", 5, 0.005),
    "JPM": ("JPMorgan Chase & Co", "N", 267.50, 0.21, 0.032, "BMO", 1, 0.021),
    "NFLX": ("Netflix Inc", "Q", 1178.00, 0.32, 0.089, "AMC", 7, 0.0),
    "IBM": ("International Business Machines Corp", "N", 267.00, 0.21, 0.061, "AMC", 3, 0.025),
    "KO": ("Coca-Cola Co", "N", 71.90, 0.14, 0.021, "BMO", 2, 0.028),
    "BRK.B": ("Berkshire Hathaway Inc Class B", "N", 514.00, 0.17, 0.018, "BMO", 9, 0.0),
    "BF.B": ("Brown-Forman Corp Class B", "N", 34.60, 0.27, 0.066, "BMO", 13, 0.024),
    "AMD": ("Advanced Micro Devices Inc", "Q", 117.20, 0.46, 0.079, "AMC", 6, 0.0),
    "INTC": ("Intel Corp", "Q", 21.70, 0.44, 0.083, "AMC", 8, 0.0),
    "DIS": ("Walt Disney Co", "N", 112.60, 0.25, 0.062, "BMO", 4, 0.009),
    "NKE": ("Nike Inc Class B", "N", 62.80, 0.29, 0.073, "AMC", 12, 0.025),
    "WMT": ("Walmart Inc", "N", 98.20, 0.20, 0.045, "BMO", 3, 0.009),
    "HD": ("Home Depot Inc", "N", 380.10, 0.20, 0.035, "BMO", 2, 0.024),
    "COST": ("Costco Wholesale Corp", "Q", 1020.00, 0.20, 0.034, "AMC", 10, 0.005),
    "CRM": ("Salesforce Inc", "N", 288.40, 0.30, 0.074, "AMC", 8, 0.006),
    "ORCL": ("Oracle Corp", "N", 160.90, 0.31, 0.081, "AMC", 15, 0.012),
    "ADBE": ("Adobe Inc", "Q", 416.30, 0.28, 0.077, "AMC", 18, 0.0),
    "PEP": ("PepsiCo Inc", "Q", 131.40, 0.17, 0.026, "BMO", 20, 0.042),
    "XOM": ("Exxon Mobil Corp", "N", 108.30, 0.23, 0.025, "BMO", 11, 0.036),
    "GS": ("Goldman Sachs Group Inc", "N", 611.00, 0.25, 0.036, "BMO", 1, 0.020),
    "BA": ("Boeing Co", "N", 206.40, 0.33, 0.047, "BMO", 5, 0.0),
    "PFE": ("Pfizer Inc", "N", 22.90, 0.22, 0.036, "BMO", 6, 0.075),
    "SNOW": ("Snowflake Inc", "N", 183.00, 0.45, 0.142, "AMC", 3, 0.0),
    "T": ("AT&T Inc", "N", 27.60, 0.21, 0.042, "DMH", 7, 0.040),
}
_KNOWN_SPLITS: Final = {
    "NVDA": (480, 10.0),
    "TSLA": (930, 3.0),
    "AMZN": (980, 20.0),
    "GOOGL": (955, 20.0),
    "WMT": (550, 3.0),
}
_KNOWN_VRP: Final = {"AAPL": 1.32, "TSLA": 1.05, "NVDA": 1.12, "META": 0.95, "IBM": 1.25}
_KNOWN_SHAPES: Final = {"SNOW": JumpKind.BIMODAL, "NFLX": JumpKind.BIMODAL, "INTC": JumpKind.FAT_TAILED}
_INVENTED_PREFIX: Final = "SM"  # SMAAA, SMAAB, … five letters, none of them a company
_FUND: Final = "SPY"
_WITHOUT_WEEKLIES: Final = frozenset({"BF.B"})

KNOWN_TICKERS: Final = (*_KNOWN, _FUND)


def invented_ticker(index: int) -> str:
    """The `index`-th invented ticker: SM and three letters counting up, 17,576 of them."""
    high, rest = divmod(index, 676)
    letters = (high, *divmod(rest, 26))
    return _INVENTED_PREFIX + "".join(chr(ord("A") + letter) for letter in letters)


def company(seed: int, ticker: str) -> Company:
    """The listing called `ticker`, well-known or invented; the caller knows that it is listed."""
    if ticker == _FUND:
        return _fund(ticker)
    if ticker in _KNOWN:
        return _known(seed, ticker)
    return _invented(seed, ticker)


def _known(seed: int, ticker: str) -> Company:
    name, exchange, spot, ambient, sigma, timing, ahead, dividend = _KNOWN[ticker]
    random = stream(seed, ticker, "company")
    return Company(
        ticker=ticker,
        name=f"{name} (simulated)",
        kind="stock",
        exchange=exchange,
        spot=spot,
        ambient_vol=ambient,
        short_end_tilt=float(random.uniform(-0.15, 0.15)),
        smile_slope=float(random.uniform(-0.07, -0.02)),
        smile_curvature=float(random.uniform(0.01, 0.03)),
        jump_kind=_KNOWN_SHAPES.get(ticker, JumpKind.LOGNORMAL),
        jump_sigma=sigma,
        true_vrp=_KNOWN_VRP.get(ticker, float(random.lognormal(0.03, 0.2))),
        timing=Timing(timing),
        publishes_timing=timing != "DMH",
        sessions_to_report=ahead,
        past_quarters=20,
        dividend_yield=dividend,
        days_from_report_to_dividend=int(random.integers(6, 40)),
        split=_KNOWN_SPLITS.get(ticker),
        has_options=True,
        has_weeklies=ticker not in _WITHOUT_WEEKLIES,
        liquidity=0.55 if "." in ticker else 0.97,
    )


def _invented(seed: int, ticker: str) -> Company:
    random = stream(seed, ticker, "company")
    timing = Timing.DMH if random.random() < 0.01 else Timing.AMC if random.random() < 0.55 else Timing.BMO
    liquidity = float(random.beta(2.0, 1.5))
    return Company(
        ticker=ticker,
        name=f"Simulated Company {ticker}",
        kind="stock",
        exchange="N" if random.random() < 0.5 else "Q",
        spot=round(float(random.lognormal(4.2, 0.8)), 2),
        ambient_vol=min(float(random.lognormal(-1.1, 0.35)), 1.2),
        short_end_tilt=float(random.uniform(-0.2, 0.25)),
        smile_slope=float(random.uniform(-0.08, 0.01)),
        smile_curvature=float(random.uniform(0.005, 0.035)),
        jump_kind=_drawn_shape(float(random.random())),
        jump_sigma=min(max(float(random.lognormal(-2.73, 0.45)), 0.012), 0.3),
        true_vrp=float(random.lognormal(0.03, 0.2)),
        timing=timing,
        publishes_timing=timing is not Timing.DMH and random.random() > 0.03,
        sessions_to_report=_drawn_sessions_to_report(float(random.random()), float(random.random()), timing),
        past_quarters=20 if random.random() < 0.85 else int(random.integers(2, 20)),
        dividend_yield=float(random.uniform(0.004, 0.05)) if random.random() < 0.45 else 0.0,
        days_from_report_to_dividend=int(random.integers(3, 45)),
        split=(int(random.integers(30, 1000)), float(random.choice([2.0, 3.0, 4.0, 0.1])))
        if random.random() < 0.06
        else None,
        has_options=random.random() > 0.01,
        has_weeklies=liquidity > 0.45,
        liquidity=liquidity,
    )


def _fund(ticker: str) -> Company:
    return Company(
        ticker=ticker,
        name="S&P 500 fund (simulated)",
        kind="etf",
        exchange="P",
        spot=594.20,
        ambient_vol=0.15,
        short_end_tilt=-0.1,
        smile_slope=-0.08,
        smile_curvature=0.03,
        jump_kind=JumpKind.LOGNORMAL,
        jump_sigma=0.0,
        true_vrp=1.0,
        timing=Timing.BMO,
        publishes_timing=False,
        sessions_to_report=-1,
        past_quarters=0,
        dividend_yield=0.012,
        days_from_report_to_dividend=10,
        split=None,
        has_options=True,
        has_weeklies=True,
        liquidity=1.0,
    )


def _drawn_shape(share: float) -> JumpKind:
    return JumpKind.LOGNORMAL if share < 0.7 else JumpKind.BIMODAL if share < 0.85 else JumpKind.FAT_TAILED


def _drawn_sessions_to_report(group: float, within: float, timing: Timing) -> int:
    """One in twelve reports tonight or tomorrow morning, most within a month, the rest later in the quarter."""
    soonest = 0 if timing is Timing.AMC else 1
    if group < 0.08:
        return soonest
    return 1 + int(20 * within) if group < 0.75 else 21 + int(34 * within)
