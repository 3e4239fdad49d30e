"""The 95 % points of the normal and of Student's distribution: the ends of a central 90 % interval. Knows no data."""

NORMAL_95 = 1.6448536269514722
_T_95 = {1: 6.3138, 2: 2.9200, 3: 2.3534, 4: 2.1318}


def t_95(degrees: int) -> float:
    """The 95 % point of Student's t, exact to 0.002; `degrees` >= 1.

    From 5 on the expansion of Abramowitz and Stegun 26.7.5 about the normal one.
    """
    if degrees in _T_95:
        return _T_95[degrees]
    z, n = NORMAL_95, float(degrees)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / n + second / n**2 + third / n**3
