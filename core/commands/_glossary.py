"""Terms of the trade in a sentence or two, as data: name -> (explanation, the command that shows one's own figure)."""

from __future__ import annotations

ALIASES = {
    "bp": "buying power", "nlv": "net liquidation value", "days to expiry": "dte", "implied volatility": "iv", "implied vol": "iv",
    "pop": "probability of profit", "net liq": "net liquidation value", "spread": "vertical", "csp": "cash secured put",
    "short put": "naked put", "max profit": "max loss", "greeks": "delta", "break even": "break-even", "breakeven": "break-even",
    "bid ask": "natural", "exercise": "assignment", "vol": "iv", "commission": "fees", "automation": "autonomy",
    "ladder": "autonomy", "stop loss": "credit stop", "target": "profit target",
}

TERMS: dict[str, tuple[str, str]] = {
    "delta": (
        "How much an option's price moves when the underlying moves by one point; for a short put also a rough chance of ending in the "
        "money. The desk shows the book's delta as the gain in USD for +1% of the underlying.", "greeks",
    ),
    "gamma": ("How fast delta itself changes. Short options have negative gamma: losses grow faster the further it moves.", "greeks"),
    "theta": ("What time alone takes from an option's price in a day. Who sold it earns it; the desk shows it in USD a day.", "greeks"),
    "vega": ("What one point of implied volatility adds to an option's price. Short options lose when volatility rises.", "greeks"),
    "iv": ("The volatility at which a pricing model gives the option's market price, as a yearly fraction: 0.25 is 25%.", "chain SPX"),
    "iv rank": ("Where today's volatility lies between its lowest and highest of the last 252 sessions, 0 to 100%.", ""),
    "dte": ("Calendar days until an option expires.", "positions"),
    "credit": ("Money received for opening a position; + in every price of the desk. 1.20 on one contract is 120 USD.", "positions"),
    "debit": ("Money paid for opening a position; - in every price of the desk.", "positions"),
    "mid": ("Half way between bid and ask. A price to measure by: nobody promises to trade there.", "quote symbol=SPX"),
    "natural": ("The price you get at once: sell at the bid, buy at the ask, leg by leg. It is worse than mid by half the spread.", ""),
    "vertical": ("Two options of one expiry and right at two strikes, one sold, one bought. Its loss is bounded by the distance.", ""),
    "max loss": (
        "The most a position can lose at expiry. A put spread: strike distance less credit, x 100. A naked put: strike less credit, x 100.",
        "positions",
    ),
    "break-even": ("The underlying's price at expiry at which the trade neither gains nor loses. Short put: strike less credit.", ""),
    "probability of profit": (
        "The chance, under today's volatility and no drift of opinion, that the trade ends above zero. An estimate, not a promise.", "",
    ),
    "buying power": ("What new positions may still require under the account's margin rules: cash and shares less requirements.", "status"),
    "net liquidation value": ("Cash plus everything held at mid: what the account is worth now.", "status"),
    "margin": ("The deposit the rules require for what is held; here Regulation T, in money, for each position.", "status"),
    "assignment": (
        "The holder of an option you sold exercises it: a short put makes you buy 100 shares at the strike. SPX and XSP options are "
        "European and settle in cash, so there is no early assignment.", "positions",
    ),
    "settlement": (
        "How an expiring option is valued: PM on expiry day's closing value, AM (SPX monthlies) on a value from opening prices (SET). "
        "Until that value is published the position is pending, never guessed.", "pnl period=all",
    ),
    "naked put": ("A put sold without owning a lower one: paid to buy at the strike, with losses down to zero.", "help topic=naked_put"),
    "cash secured put": ("A put sold with the whole strike value set aside in cash.", "help topic=cash_secured_put"),
    "put credit spread": ("Sell a put, buy a cheaper one below: a bounded loss for a smaller credit.", "help topic=put_credit_spread"),
    "call credit spread": ("Sell a call, buy a dearer strike above: the put credit spread's mirror.", "help topic=call_credit_spread"),
    "iron condor": ("A put spread below the market and a call spread above it, both sold; one side can lose.", "help topic=iron_condor"),
    "short strangle": ("A put below and a call above the market, both sold bare: no end to the loss.", "help topic=short_strangle"),
    "covered call": ("A call sold against 100 shares that are held: above the strike they are called away.", "help topic=covered_call"),
    "protective put": ("A put bought for 100 shares that are held: it sells them at the strike however far they fall.",
                       "help topic=protective_put"),
    "debit spread": ("Buy an option, sell a cheaper one further out: what is paid is the most that can be lost.",
                     "help topic=call_debit_spread"),
    "calendar": ("Sell an option of a near expiry, buy the same strike of a later one; the card's profit is an estimate.",
                 "help topic=calendar"),
    "diagonal": ("A calendar whose far option has a better strike: it moves more like shares.", "help topic=diagonal"),
    "mandate": (
        "Your standing permission to close trades without your press, where a rule calls for it: bounded in units, orders a day and price, "
        "counted, and taken back by one tap. In HALT it sends nothing.", "mandate list",
    ),
    "autonomy": (
        "How far the desk goes by itself when an exit is due: off, suggest (says so), confirm (with a ready ticket); auto only under a "
        "mandate. Each rule has a level, and each strategy may have its own.", "settings exits",
    ),
    "profit target": (
        "The share of the credit, or of the debit paid, at which profit is taken: half for most trades, 70% for naked puts of a few days.",
        "settings profit_target",
    ),
    "credit stop": (
        "The loss, in credits received, at which a trade that sold premium is closed. Sold 1.20 with a stop of 2: closed when it costs "
        "3.60 to buy back. It acts on two looks at mid, 30 seconds apart.", "settings credit_stop",
    ),
    "ticket": (
        "A previewed order with everything it covers. It lives a short time, is used once, and is priced and judged again when you press.",
        "",
    ),
    "worst price": ("The price an order never goes beyond while it is worked from its start price.", ""),
    "fill": ("An execution: that part of an order that really traded, at its price.", "fills"),
    "working": ("An order at the broker that may still trade.", "status"),
    "denied": ("Refused by this desk before anything was sent; the broker's own no is called rejected.", ""),
    "unknown": ("Nobody knows whether the broker has the order. It is never sent again; a reconciliation finds out.", "status"),
    "halt": ("Nothing is sent but cancels and closing orders you confirm one by one, until you lift it with your PIN.", "status"),
    "reducing": ("Only orders that measurably reduce risk are sent: no worse stress loss, margin or uncovered short.", "status"),
    "paused": ("No new entries; exits go on.", "status"),
    "recovery": ("Read-only: the configuration is wrong or the broker's books have not been compared yet.", "status"),
    "reconciliation": ("Comparing the broker's books with ours. What differs is shown and halted, never silently adopted.", "status"),
    "fees": ("Commission and exchange fees by the published schedule of the account; every P&L is net of them.", "fills period=all"),
    "xsp": ("The Mini-SPX index: a tenth of SPX, European, cash-settled, PM. 100 x its price a contract.", "quote symbol=XSP"),
    "spx": ("The S&P 500 index. Root SPX: AM-settled monthlies; root SPXW: PM-settled. European, cash-settled.", "quote symbol=SPX"),
}
