"""Write black76_exact.csv: Black-76 values and Greeks worked out with over a hundred digits in `decimal`, apart from all code under test.

Run it from this folder to write the table again: `python make_black76_exact.py`. The normal distribution is summed from its Taylor
series (Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.2.10 and 26.2.11) with enough digits for the tails.
"""

from __future__ import annotations

import csv
from decimal import Decimal, localcontext
from pathlib import Path

DIGITS = 130
GIVEN = ("right", "forward", "strike", "t_years", "discount", "vol")
RESULTS = ("value", "delta", "gamma", "theta_per_day", "vega_per_point", "rho_per_point", "vanna_per_point", "charm_per_day")
COLUMNS = GIVEN + RESULTS
PI = Decimal(
    "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534211706798214808651328230664709384460955"
)
CASES = [
    (right, forward, strike, t_years, discount, vol)
    for right in ("call", "put")
    for forward, strike, t_years, discount, vol in (
        ("100", "100", "1", "0.95", "0.2"),
        ("100", "120", "0.5", "0.97", "0.25"),
        ("100", "80", "0.5", "0.97", "0.25"),
        ("2925", "2500", "0.0821917808219178", "0.998", "0.28"),
        ("2925", "1500", "0.0273972602739726", "0.9993", "0.6"),
        ("2925", "2900", "0.0027397260273973", "0.9999", "0.13"),
        ("2925", "3000", "0.0003", "0.99999", "0.16"),
        ("2925", "2860", "0.0001", "0.99999", "0.3"),
        ("50", "90", "0.1", "0.99", "0.15"),
        ("50", "49.99", "0.00001", "1", "0.2"),
        ("10", "100", "5", "0.8", "0.9"),
        ("100", "10", "5", "0.8", "0.9"),
        ("100", "101", "30", "0.4", "2.5"),
        ("1", "1", "0.25", "1.002", "0.01"),
    )
]


def density(x: Decimal) -> Decimal:
    return (-x * x / 2).exp() / (2 * PI).sqrt()


def below(x: Decimal) -> Decimal:
    """N(x) = 1/2 + n(x) * (x + x^3/3 + x^5/15 + ...)."""
    term, total, odd = x, x, 1
    while abs(term) > abs(total) * Decimal(10) ** (-DIGITS):
        odd += 2
        term *= x * x / odd
        total += term
        if total == 0:
            break
    return Decimal(1) / 2 + density(x) * total


def row(right: str, forward: str, strike: str, t_years: str, discount: str, vol: str) -> dict[str, str]:
    """One line of the table; the numbers given are the exact decimals written in it."""
    with localcontext(prec=DIGITS):
        sign = 1 if right == "call" else -1
        f, k, t, d, v = (Decimal(each) for each in (forward, strike, t_years, discount, vol))
        total = v * t.sqrt()
        d1 = (f / k).ln() / total + total / 2
        d2 = d1 - total
        value = d * sign * (f * below(sign * d1) - k * below(sign * d2))
        rate = -d.ln() / t
        results = (
            value,
            d * sign * below(sign * d1),
            d * density(d1) / (f * total),
            (-d * f * density(d1) * v / (2 * t.sqrt()) + rate * value) / 365,
            d * f * density(d1) * t.sqrt() / 100,
            -t * value / 100,
            -d * density(d1) * d2 / v / 100,
            (rate * d * sign * below(sign * d1) + d * density(d1) * d2 / (2 * t)) / 365,
        )
        given = (right, forward, strike, t_years, discount, vol)
        return dict(zip(COLUMNS, (*given, *(f"{each:.20e}" for each in results)), strict=True))


def main() -> None:
    with Path(__file__).with_name("black76_exact.csv").open("w", newline="", encoding="utf-8") as out:
        table = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(row(*case) for case in CASES)


if __name__ == "__main__":
    main()
