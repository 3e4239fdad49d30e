"""Randomness as a pure function of names: the same seed and words always give the same stream, in any order of asking.

It never keeps a generator between calls and never reads a clock, so a company drawn alone equals the same company drawn
among thousands.
"""

from hashlib import blake2b

import numpy as np


def _digest(seed: int, words: tuple[str, ...]) -> int:
    text = "\x1f".join((str(seed), *words)).encode()
    return int.from_bytes(blake2b(text, digest_size=16).digest(), "big")


def stream(seed: int, *words: str) -> np.random.Generator:
    """A generator of its own for `words`, independent of every other stream of the seed."""
    return np.random.Generator(np.random.PCG64(_digest(seed, words)))


def uniform(seed: int, *words: str) -> float:
    """One number in [0, 1) for `words`."""
    return (_digest(seed, words) >> 75) / float(1 << 53)
