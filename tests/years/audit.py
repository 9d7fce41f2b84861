"""Works years of trading out a second time, from plain files and published rates, with nothing of the desk's own code.

Reads the folder that `played.py` wrote: `journal.json` (the broker's books line by line), `orders.json` (its orders), `days.json` (what the
desk said it had after each session) and `market.json` (closes, opens, dividends, splits). Everything is held to plain arithmetic:

- cash and positions after each session are the sums of the lines before it, to the cent and the contract, and the desk says the same
- every fee is that of the published rates, order by order, with the order's minimum
- every option is gone after its last day, once: on the published close (PM) or open (AM), paid in cash or turned into shares at the strike
- what was assigned early was American, short, in the money, and worth its holder's while
- every dividend and split of what was held is there once, and no line is there that none of this explains
- cash under zero is said to be so, day by day, with what made it so
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

CENT = Decimal("0.01")
BY_EXCEPTION = Decimal("0.01")
ORDER_MINIMUM = Decimal("1.00")
INDEX_FEES = {  # exchange fee a contract by premium under a bound; None: every higher one
    "SPX": ((Decimal(1), Decimal("0.57")), (None, Decimal("0.66"))),
    "SPXW": ((Decimal(1), Decimal("0.49")), (None, Decimal("0.58"))),
    "XSP": ((None, Decimal("0.07")),),
    "VIX": ((Decimal("0.11"), Decimal("0.10")), (Decimal(1), Decimal("0.25")), (Decimal(2), Decimal("0.45")), (None, Decimal("0.50"))),
}
INDEX_FEES["VIXW"] = INDEX_FEES["VIX"]
FREE_UNDER = {"XSP": 10}
PINNED = Decimal("0.001")  # part of the strike within which a short contract may be assigned or not
KINDS = ("Fill", "Settled", "CashMoved", "CorporateAction")
MORNING = ("SPX", "VIX", "VIXW")  # roots that settle on the opening prints


@dataclass
class Audit:
    """What was found, what was counted, and which days ended under zero."""

    findings: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    overdrawn: dict[str, str] = field(default_factory=dict)  # day -> what made it so

    def miss(self, text: str) -> None:
        self.findings.append(text)


def audit(
    folder: Path, *, market: dict[str, Any] | None = None, quotes: Mapping[tuple[str, str], tuple[Decimal, Decimal]] | None = None
) -> Audit:
    """Work the folder's years out anew; `market` in place of what was kept of one, `quotes` (day, contract) where they are on record."""
    journal, orders, days, kept = (
        json.loads((folder / f"{name}.json").read_text("utf-8")) for name in ("journal", "orders", "days", "market")
    )
    market, found = market or kept, Audit()
    lines = [{**item, "number": number} for number, item in enumerate(journal, 1) if item["~"] in KINDS]
    _balances(found, lines, days)
    _fees(found, lines, orders)
    _prices(found, lines, orders, quotes or {})
    _settlements(found, lines, days, market)
    _cash_lines(found, lines, days, market)
    return found


# --- cash and positions --------------------------------------------------------------------------------------------------


def _balances(found: Audit, lines: list[dict[str, Any]], days: list[dict[str, Any]]) -> None:
    cash, held, place = Decimal(0), Counter[str](), 0
    for day in days:
        reasons: list[str] = []
        while place < len(lines) and lines[place]["number"] <= day["lines"]:
            line = lines[place]
            cash += _cash(line)
            for key, count in _moved(line):
                held[key] += count
            reasons.append(_words(line))
            place += 1
        mine = {key: count for key, count in held.items() if count}
        if cash != Decimal(day["cash"]):
            found.miss(f"{day['day']}: the lines come to {cash}, the desk says {day['cash']}")
        if mine != day["positions"]:
            found.miss(f"{day['day']}: the lines come to {mine}, the desk says {day['positions']}")
        if cash < 0:
            found.overdrawn[day["day"]] = "; ".join(reasons) or "as the day before"
        found.counts["days"] += 1
    if place < len(lines):
        found.miss(f"{len(lines) - place} lines lie after the last day")


def _cash(line: dict[str, Any]) -> Decimal:
    if line["~"] == "Fill":
        sign = 1 if line["side"] == "sell" else -1
        return sign * line["quantity"] * Decimal(line["price"]) * _multiplier(line["instrument"]) - Decimal(line["fees"])
    if line["~"] == "Settled":
        return Decimal(line["cash"]) - Decimal(line.get("fees", "0"))
    if line["~"] == "CorporateAction":
        return sum((Decimal(one.get("cash", "0")) for one in line["lines"]), Decimal(0))
    return Decimal(line["amount"])


def _moved(line: dict[str, Any]) -> list[tuple[str, int]]:
    if line["~"] == "Fill":
        return [(_key(line["instrument"]), line["quantity"] if line["side"] == "buy" else -line["quantity"])]
    if line["~"] == "Settled":
        moved = [(_key(line["instrument"]), line["quantity"])]
        return [*moved, (line["share_symbol"], line["shares"])] if line.get("shares") else moved
    if line["~"] == "CorporateAction":
        before = [(_key(one["instrument"]), -one["quantity"]) for one in line["lines"]]
        return [*before, *((_key(one["successor"]), one["becomes"]) for one in line["lines"])]
    return []


def _key(instrument: dict[str, Any]) -> str:
    if instrument["~"] != "Option":
        return str(instrument["symbol"])
    day = date.fromisoformat(instrument["expiry"])
    strike = int(Decimal(instrument["strike"]) * 1000)
    return f"{instrument['root']:<6}{day:%y%m%d}{instrument['right'][0].upper()}{strike:08d}"


def _multiplier(instrument: dict[str, Any]) -> int:
    return int(instrument.get("multiplier", 1))


def _day(at: str) -> str:
    return at[:10]


def _words(line: dict[str, Any]) -> str:
    if line["~"] == "CashMoved":
        return f"{line['reason']} {line['amount']}"
    if line["~"] == "CorporateAction":
        return f"split of {line['symbol']}"
    name = _key(line["instrument"])
    return f"{line['side']} {line['quantity']} {name}" if line["~"] == "Fill" else f"{line['outcome']} {name}"


# --- fees ------------------------------------------------------------------------------------------------------------------


def _fees(found: Audit, lines: list[dict[str, Any]], orders: list[dict[str, Any]]) -> None:
    by_order: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        if line["~"] == "Fill":
            by_order[line["broker_ref"]].append(line)
    for fills in by_order.values():
        commission = charged = Decimal(0)
        for fill in fills:
            own, passed = _rates(fill)
            commission += own
            due = max(ORDER_MINIMUM, commission)
            expected = (due - charged + passed).quantize(CENT, ROUND_HALF_EVEN)
            charged = due
            if expected != Decimal(fill["fees"]):
                found.miss(f"{fill['exec_id']}: the rates come to {expected}, charged were {fill['fees']}")
            found.counts["fees"] += 1
    known = {order["ref"] for order in orders}
    for ref in by_order.keys() - known:
        found.miss(f"{ref}: it traded, and there is no such order")
    for order in orders:
        units = order["filled"]
        for leg in order["envelope"]["legs"]:
            filled = sum(fill["quantity"] for fill in by_order.get(order["ref"], ()) if fill["instrument"] == leg["instrument"])
            if filled != units * leg["ratio"]:
                found.miss(f"{order['ref']}: {units} units are filled, and {filled} of {_key(leg['instrument'])}")
        found.counts["orders"] += 1


def _rates(fill: dict[str, Any]) -> tuple[Decimal, Decimal]:
    """The broker's own commission of an execution, and everything passed through."""
    item, count, price = fill["instrument"], fill["quantity"], Decimal(fill["price"])
    sale = fill["side"] == "sell"
    if item["~"] != "Option":
        value = price * count
        own = min(Decimal("0.005") * count, Decimal("0.01") * value)
        passed = min(Decimal("0.000166") * count, Decimal("8.30")) + Decimal("0.000008") * value if sale else Decimal(0)
        return own, passed
    own = count * (Decimal("0.25") if price < Decimal("0.05") else Decimal("0.50") if price < Decimal("0.10") else Decimal("0.65"))
    passed = Decimal("0.02685") * count + min(Decimal("0.02") * count, Decimal(55))
    if item["root"] in INDEX_FEES and count >= FREE_UNDER.get(item["root"], 0):
        passed += count * next(rate for under, rate in INDEX_FEES[item["root"]] if under is None or price < under)
    if sale:
        passed += Decimal("0.00279") * count
        if item["delivery"] == "physical" or item["root"] not in INDEX_FEES:
            passed += Decimal("0.000008") * price * count * _multiplier(item)
    return own, passed


def _prices(
    found: Audit, lines: list[dict[str, Any]], orders: list[dict[str, Any]], quotes: Mapping[tuple[str, str], tuple[Decimal, Decimal]]
) -> None:
    """No execution is beyond its order's limit, and on recorded days each is at the bid or ask on record."""
    by_order: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for line in lines:
        if line["~"] == "Fill":
            by_order[line["broker_ref"]][line["exec_id"].rsplit(".", 1)[0]].append(line)
    for order in orders:
        legs = order["envelope"]["legs"]
        unit = max(_multiplier(leg["instrument"]) for leg in legs)
        for name, fills in by_order.get(order["ref"], {}).items():
            units = fills[0]["quantity"] / next(leg["ratio"] for leg in legs if leg["instrument"] == fills[0]["instrument"])
            net = sum((_cash(fill) + Decimal(fill["fees"]) for fill in fills), Decimal(0)) / unit / Decimal(units)
            if net < Decimal(order["envelope"]["plan"]["worst"]):
                found.miss(f"{name}: {net} is worse than what was confirmed, {order['envelope']['plan']['worst']}")
            found.counts["executions"] += 1
    for line in lines:
        if line["~"] != "Fill" or not quotes:
            continue
        quote = quotes.get((_day(line["at"]), _key(line["instrument"])))
        if quote is None:
            found.miss(f"{line['exec_id']}: it traded on {_day(line['at'])}, and there is no quote on record")
        elif Decimal(line["price"]) != quote[line["side"] == "buy"] and line["instrument"]["~"] == "Option":
            found.miss(f"{line['exec_id']}: {line['side']} at {line['price']}, quoted were {quote[0]} and {quote[1]}")


# --- expiry and assignment -------------------------------------------------------------------------------------------------


def _settlements(found: Audit, lines: list[dict[str, Any]], days: list[dict[str, Any]], market: dict[str, Any]) -> None:
    last = days[-1]["day"]
    held: Counter[str] = Counter()
    ends: dict[str, dict[str, Any]] = {}
    for line in lines:
        if line["~"] == "Fill" and line["instrument"]["~"] == "Option":
            ends[_key(line["instrument"])] = line["instrument"]
        if line["~"] == "CorporateAction":
            ends |= {_key(one["successor"]): one["successor"] for one in line["lines"] if one["successor"]["~"] == "Option"}
        if line["~"] == "Settled":
            _settled(found, line, held, market)
        for key, count in _moved(line):
            held[key] += count
    for key, item in ends.items():
        if item["expiry"] < last and held[key]:
            found.miss(f"{key}: {held[key]} are held after their last day")


def _settled(found: Audit, line: dict[str, Any], held: Counter[str], market: dict[str, Any]) -> None:
    item, key, on = line["instrument"], _key(line["instrument"]), _day(line["at"])
    early = on < item["expiry"]
    source = "open" if item["root"] in MORNING else "close"
    value = Decimal(line["value"]) if early else Decimal(market[source].get(item["underlying"], {}).get(item["expiry"], "NaN"))
    if value.is_nan():
        found.miss(f"{key}: the market published nothing for {item['expiry']}")
        return
    if value != Decimal(line["value"]):
        found.miss(f"{key}: settled on {line['value']}, published was {value}")
    count = -line["quantity"]  # what was held of it
    if abs(count) > abs(held[key]) or count * held[key] <= 0:
        found.miss(f"{key}: settled {count} of {held[key]}")
    physical = item["delivery"] == "physical"
    strike, shares = Decimal(item["strike"]) * _multiplier(item), item["deliverable"]["shares"] if physical else _multiplier(item)
    paid = Decimal(item["deliverable"]["cash"]) if physical else Decimal(0)
    direction = 1 if item["right"] == "call" else -1
    worth = direction * (value * shares + paid - strike)  # of one contract
    if early:
        _early(found, line, worth, count)
    near = physical and count < 0 and not early and abs(worth) < PINNED * strike
    if count != held[key] and not near:
        found.miss(f"{key}: settled {count} of {held[key]}, and it did not end near its strike")
    delivers = early or worth >= BY_EXCEPTION * _multiplier(item)
    if near:
        delivers = line["outcome"] == "assigned"  # a draw decides; what is paid and delivered follows
        found.counts["pinned"] += 1
    expected: tuple[str, Decimal, int] = ("expired", Decimal(0), 0)
    if not physical and worth > 0:
        expected = "cash_settled", worth * count, 0
    elif physical and delivers:
        expected = "exercised" if count > 0 else "assigned", direction * count * (paid - strike), direction * count * shares
    if (line["outcome"], Decimal(line["cash"]), line.get("shares", 0)) != expected:
        found.miss(
            f"{key}: {line['outcome']}, {line['cash']} USD and {line.get('shares', 0)} shares; at {value} it is {expected[0]}, "
            f"{expected[1]} USD and {expected[2]} shares"
        )
    if Decimal(line.get("fees", "0")):
        found.miss(f"{key}: {line['fees']} USD were charged for what is free")
    found.counts["early" if early else line["outcome"]] += 1


def _early(found: Audit, line: dict[str, Any], worth: Decimal, count: int) -> None:
    item = line["instrument"]
    if item["exercise"] != "american" or item["delivery"] != "physical":
        found.miss(f"{_key(item)}: assigned early, and it cannot be exercised before its last day")
    if count >= 0:
        found.miss(f"{_key(item)}: a contract of one's own was exercised early by nobody")
    if worth <= 0:
        found.miss(f"{_key(item)}: assigned early, and it was not in the money")


# --- cash that moves by itself -----------------------------------------------------------------------------------------------


def _cash_lines(found: Audit, lines: list[dict[str, Any]], days: list[dict[str, Any]], market: dict[str, Any]) -> None:
    shares: dict[str, list[tuple[str, bool, int]]] = defaultdict(list)  # day, whether it came before the day began, change
    for line in lines:
        overnight = line["~"] == "CorporateAction" or (line["~"] == "Settled" and _day(line["at"]) < line["instrument"]["expiry"])
        on = min(_day(line["at"]), line["instrument"]["expiry"]) if line["~"] == "Settled" else _day(line["at"])  # booked later, gone then
        for key, count in _moved(line):
            shares[key].append((on, overnight, count))
    first, last = days[0]["day"], days[-1]["day"]
    due: dict[tuple[str, str], Decimal] = {}
    for symbol, paid in market["dividends"].items():
        for day, amount in paid.items():
            before = sum(count for on, overnight, count in shares.get(symbol, ()) if on < day or (on == day and overnight))
            if before and first <= day <= last:
                due[symbol, day] = (before * Decimal(amount)).quantize(CENT, ROUND_HALF_EVEN)
    for line in lines:
        if line["~"] != "CashMoved":
            continue
        found.counts[line["reason"]] += 1
        if line["reason"] == "deposit" and line["movement_id"].endswith(":start"):
            continue
        expected = due.pop((line.get("symbol", ""), line["movement_id"].rsplit(":", 1)[-1]), None)
        if line["reason"] != "dividend" or expected != Decimal(line["amount"]):
            found.miss(f"{line['movement_id']}: {line['amount']} USD ({line['reason']}), and nothing says why; due were {expected}")
    for (symbol, day), amount in due.items():
        found.miss(f"{symbol} went ex on {day}, and {amount} USD for what was held did not come")
    _splits(found, lines, shares, market)


def _splits(
    found: Audit, lines: list[dict[str, Any]], shares: dict[str, list[tuple[str, bool, int]]], market: dict[str, Any]
) -> None:
    """Each split once and for all that was held; shares times the ratio, contracts as their clearing adjusts them, nobody richer."""
    booked = {(line["symbol"], _day(line["at"])): line for line in lines if line["~"] == "CorporateAction"}
    for symbol, days in market["splits"].items():
        for day, (new, old) in days.items():
            line = booked.pop((symbol, day), None)
            held = sum(count for on, _, count in shares.get(symbol, ()) if on < day)
            if line is None and held:
                found.miss(f"{symbol} was split {new} for {old} on {day}, and the {held} shares held were not")
            for one in line["lines"] if line else ():
                before, after = _units(one["instrument"], one["quantity"]), _units(one["successor"], one["becomes"])
                if before * new - after * old not in range(-old * abs(one["quantity"]) - new, old * abs(one["quantity"]) + new + 1):
                    found.miss(f"{_key(one['instrument'])}: {before} shares became {after} in a split of {new} for {old}")
                if _strike(one["instrument"], one["quantity"]) != _strike(one["successor"], one["becomes"]):
                    found.miss(f"{_key(one['instrument'])}: what exercise pays changed in a split")
                found.counts["split lines"] += 1
    for symbol, day in booked:
        found.miss(f"{symbol}: split on {day}, and the market says of none")


def _units(instrument: dict[str, Any], count: int) -> int:
    return count * (instrument["deliverable"]["shares"] if instrument["~"] == "Option" else 1)


def _strike(instrument: dict[str, Any], count: int) -> Decimal:
    return Decimal(instrument["strike"]) * _multiplier(instrument) * count if instrument["~"] == "Option" else Decimal(0)
