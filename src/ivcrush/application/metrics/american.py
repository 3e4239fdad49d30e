"""What the right to exercise early is worth, with known cash dividends, a borrow rate and variance that comes in lumps.

A binomial lattice whose steps are equal in variance and not in time: a report is a run of steps at one moment, through
which nobody can exercise. Steps are Cox, Ross and Rubinstein's (1979) for the forward price, cash dividends shift the
stock on the lattice (cubic interpolation), and the premium is the American less the European value of the same
lattice, so that most of its discretisation error cancels. Many contracts go through at once; what is priced and why is
the caller's affair.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ivcrush.application.metrics import black76
from ivcrush.domain.types import BoolArray, FloatArray, IntArray

# Ordinary variance left between lumps, so that time always passes.
LEAST_AMBIENT_SHARE = 0.01
# Nodes beyond the tree's own on either side, on top of what dividends shift.
_MARGIN = 3


@dataclass(frozen=True, slots=True)
class ExerciseTerms:
    """One expiration as an exerciser sees it: everything but strike, right and volatility.

    `years` to expiration, `rate` and `borrow` continuously compounded a year. `dividends` are (years, dollars) with
    years <= `years`. Of the variance, the share `lump` comes at `lump_years`, the rest evenly.
    """

    years: float
    rate: float
    borrow: float = 0.0
    dividends: tuple[tuple[float, float], ...] = ()
    lump: float = 0.0
    lump_years: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Contracts:
    """R contracts for each of G expirations, shapes (G, R): strikes in dollars, total standard deviations, rights."""

    strikes: FloatArray
    stdev: FloatArray
    is_call: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class LatticeValues:
    """American and European values of the same lattice, shapes (G, R), dollars."""

    american: FloatArray
    european: FloatArray

    @property
    def premium(self) -> FloatArray:
        """What early exercise adds, never negative."""
        return np.maximum(self.american - self.european, 0.0)


def lattice_values(spot: float, terms: Sequence[ExerciseTerms], contracts: Contracts, steps: int) -> LatticeValues:
    """Values of each expiration's contracts; `terms` has G entries.

    `steps` equal steps of variance; the premium's error falls as 1/steps.
    """
    lattice = _Lattice.build(spot, terms, contracts.stdev, steps)
    sign = np.where(contracts.is_call, 1.0, -1.0)[:, :, None]
    signed_nodes, signed_strikes = sign * lattice.nodes, sign * contracts.strikes[:, :, None]
    values = np.repeat(_before_expiration(lattice, contracts, steps)[None], 2, axis=0)
    for step in range(steps - 1, -1, -1):
        if step < steps - 1:
            after_fall = lattice.down * values[..., :-1]
            values = lattice.up * values[..., 1:]
            values += after_fall
        exercise = signed_nodes[:, :, lattice.columns(step)] * lattice.stock_factor[:, step, None, None]
        exercise -= signed_strikes * lattice.cash_factor[:, step, None, None]
        exercise[~lattice.exercisable[:, step]] = -np.inf
        np.maximum(values[0], exercise, out=values[0])
        if lattice.drops[step]:
            groups, amounts = map(list, zip(*lattice.drops[step], strict=True))
            values[:, groups] = lattice.shifted(values[:, groups], groups, step, amounts)
            values[0, groups] = np.maximum(values[0, groups], exercise[groups])
    middle = values[..., lattice.margin]
    return LatticeValues(middle[0], middle[1])


def _before_expiration(lattice: "_Lattice", contracts: Contracts, steps: int) -> FloatArray:
    """European values one step before the end (G, R, n), by Black's formula, so that no kink falls between nodes.

    Broadie and Detemple, "American option valuation" (RFS 9(4), 1996): their BBS method.
    """
    stock = lattice.nodes[:, :, lattice.columns(steps - 1)] * lattice.stock_factor[:, steps, None, None]
    cash = contracts.strikes[:, :, None] * lattice.cash_factor[:, steps, None, None]
    return black76.price(stock, cash, lattice.half_step[:, :, None], contracts.is_call[:, :, None])


@dataclass(frozen=True, slots=True, eq=False)
class _Lattice:
    """Node prices (G, R, width) of the carried stock without dividends, step probabilities, and what time does.

    `stock_factor` and `cash_factor` (G, steps + 1) bring an exercise at a step to today. `drops[step]` lists the groups
    that pay then, and how much in today's carried dollars.
    """

    nodes: FloatArray
    half_step: FloatArray
    up: FloatArray
    down: FloatArray
    stock_factor: FloatArray
    cash_factor: FloatArray
    exercisable: BoolArray
    drops: tuple[tuple[tuple[int, float], ...], ...]
    margin: int
    spot: float

    @classmethod
    def build(cls, spot: float, terms: Sequence[ExerciseTerms], stdev: FloatArray, steps: int) -> "_Lattice":
        half_step = stdev / steps**0.5
        paid = max((sum(amount for _, amount in each.dividends) for each in terms), default=0.0)
        margin = _MARGIN + int(np.ceil(paid / spot / (2 * float(half_step.min()))))
        margin = min(margin, 4 * steps)
        reach = steps + 2 * margin
        nodes = spot * np.exp(np.clip(half_step[:, :, None] * np.arange(-reach, reach + 1), -500.0, 500.0))
        up = 1 / (1 + np.exp(half_step))
        calendars = [_step_times(each, steps) for each in terms]
        times = np.array([calendar[0] for calendar in calendars])
        rate, borrow = (np.array([getattr(each, name) for each in terms])[:, None] for name in ("rate", "borrow"))
        drops: list[list[tuple[int, float]]] = [[] for _ in range(steps + 1)]
        for group, (each, (_, _, paying)) in enumerate(zip(terms, calendars, strict=True)):
            for (when, amount), step in zip(each.dividends, paying, strict=True):
                drops[step].append((group, amount * float(np.exp((each.borrow - each.rate) * when))))
        return cls(
            nodes,
            half_step,
            up[:, :, None],
            1 - up[:, :, None],
            np.exp(-borrow * times),
            np.exp(-rate * times),
            np.array([calendar[1] for calendar in calendars]),
            tuple(tuple(each) for each in drops),
            margin,
            spot,
        )

    def columns(self, step: int) -> slice:
        """The nodes that the tree holds at a step, among all."""
        reach = (self.nodes.shape[2] - 1) // 2
        lowest = reach - step - 2 * self.margin
        return slice(lowest, self.nodes.shape[2] - lowest, 2)

    def shifted(self, values: FloatArray, groups: list[int], step: int, drops: list[float]) -> FloatArray:
        """Values (2, g, R, n) just before the stock of g groups falls by dollars, from those just after; cubic."""
        nodes = self.nodes[groups][:, :, self.columns(step)]
        spacing = 2 * self.half_step[groups][:, :, None]
        after = np.maximum(nodes - np.array(drops)[:, None, None], 1e-12 * nodes)
        position = np.log(after / nodes[:, :, :1]) / spacing
        base = np.minimum(np.maximum(np.floor(position).astype(np.int64) - 1, 0), nodes.shape[2] - 4)
        offset = np.maximum(position - base, -1.0)
        less_one, less_two, less_three = offset - 1, offset - 2, offset - 3
        outer, inner = less_one * less_two, offset * less_three
        weights = (-outer * less_three / 6, inner * less_two / 2, -inner * less_one / 2, outer * offset / 6)
        group, contract = np.ogrid[: nodes.shape[0], : nodes.shape[1]]
        first = base + nodes.shape[2] * (contract + nodes.shape[1] * group)[:, :, None]
        flat = values.reshape(2, -1)
        total: FloatArray = sum((weight * flat[:, first + shift] for shift, weight in enumerate(weights)), np.zeros(1))
        return total


def _step_times(terms: ExerciseTerms, steps: int) -> tuple[FloatArray, BoolArray, IntArray]:
    """When each step happens (years), whether one can exercise then, and the step at which each dividend is paid."""
    ambient = max(1 - terms.lump, LEAST_AMBIENT_SHARE)
    lump = 1 - ambient
    before = ambient * min(max(terms.lump_years / terms.years, 0.0), 1.0)
    share = np.arange(steps + 1) / steps
    running = np.where(share <= before, share, np.maximum(share - lump, before))
    times = np.minimum(running / ambient, 1.0) * terms.years
    half = 0.5 / steps
    exercisable = (share <= before + half) | (share >= before + lump - half)
    paying = []
    for when, _ in terms.dividends:
        level = ambient * when / terms.years + (lump if when > terms.lump_years else 0.0)
        step = min(round(level * steps), steps - 1)
        times[step] = when
        exercisable[step] = True
        paying.append(step)
    return times, exercisable, np.array(paying, dtype=np.int64)
