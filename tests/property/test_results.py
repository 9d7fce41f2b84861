"""Reports on any story the ledger is told: P&L adds up by day and by group, a trade's story to the trade's money, to the cent."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from hypothesis import settings
from hypothesis.stateful import invariant

from core.commands._periods import FIRST_DAY
from core.commands._results import BY, Period, grouped, period_of
from core.commands._trades import Holdings
from core.portfolio.book import Book
from core.portfolio.campaign import campaign_of
from tests.property.test_ledger import Books
from tests.unit.risk.market import EXPIRY, TODAY, account, empty_view

DAY = timedelta(days=1)
LAST = EXPIRY + 3 * DAY


def whole(book: Book, first: date = FIRST_DAY, last: date = LAST) -> Period:
    found = Holdings(account=account(), book=book, view=empty_view(), trades=(), rest={})
    return period_of(found, first=first, last=last, symbol=None)


class Reports(Books):
    """The same stories as the ledger's, with sums over what the reports say after every event."""

    @invariant()
    def days_and_groups_add_up_to_the_whole(self) -> None:
        book = self.log.book
        all_of_it = whole(book)
        parts = [whole(book, FIRST_DAY, TODAY), whole(book, TODAY + DAY, EXPIRY - DAY), whole(book, EXPIRY, LAST)]
        assert sum((part.net for part in parts), Decimal(0)) == all_of_it.net
        for by in BY:
            assert sum((row.net for row in grouped([all_of_it], by, first=FIRST_DAY, last=LAST)), Decimal(0)) == all_of_it.net

    @invariant()
    def every_trades_story_adds_up_to_its_money(self) -> None:
        book = self.log.book
        for name, trade in book.trades.items():
            steps = campaign_of(book, {}, name).steps
            assert sum((step.cash for step in steps), Decimal(0)) == trade.premium + trade.closing_cash, name
            assert sum((step.fees for step in steps), Decimal(0)) == trade.fees, name


TestReports = Reports.TestCase
TestReports.settings = settings(max_examples=max(5, settings().max_examples // 4), stateful_step_count=20)
