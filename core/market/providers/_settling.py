"""What a recording's contracts settle on, and from when that is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from core.domain.calendar import CalendarError, session, trading_expiry
from core.domain.instruments import Delivery, InstrumentError, SeriesSpec, Settlement, series_of
from core.domain.money import to_cents
from core.market.providers._compact import Recording
from core.ports import SettlementValue

PUBLICATION = timedelta(minutes=15)  # after the close: official closes and daily bars are known
AM_PUBLICATION = timedelta(hours=2)  # after the open, where a settlement file gives a value without its time


class Settlements:
    """Published values first; for PM series the official close otherwise. AM series without a published value stay pending."""

    def __init__(self, recording: Recording, *, closes: Mapping[str, Mapping[int, float]]) -> None:
        self._closes = closes
        self._published = {(root, expiry): (value, at, label) for root, expiry, value, at, label in recording.settlements}

    def value(self, spec: SeriesSpec, expiry: date) -> SettlementValue | None:
        """What the recording holds for a series, known by now or not."""
        day = trading_expiry(spec, expiry)
        regular = session(day)
        if regular is None:
            return None
        morning = spec.settlement is Settlement.AM
        published = self._published.get((spec.root, expiry))
        if published is not None:
            text, said_at, label = published
            usual = regular.open_at + AM_PUBLICATION if morning else regular.close_at + PUBLICATION
            label = label or ("settlement value" if morning else "closing index")
            return SettlementValue(
                root=spec.root, expiry=expiry, value=to_cents(Decimal(text)), label=label,
                published_at=usual if said_at is None else datetime.fromisoformat(said_at).astimezone(UTC),
            )
        close = self._closes.get(spec.underlying, {}).get(day.toordinal())
        if morning or close is None:
            return None
        return SettlementValue(
            root=spec.root, expiry=expiry, value=to_cents(Decimal(repr(close))), published_at=regular.close_at + PUBLICATION,
            label="closing index" if spec.delivery is Delivery.CASH else "closing price",
        )

    def instants(self, listed: Iterable[tuple[str, date]], *, after: datetime) -> set[datetime]:
        """When something of the listed roots and expiries is settled."""
        values = []
        for root, expiry in listed:
            try:
                values.append(self.value(series_of(root), expiry))
            except (CalendarError, InstrumentError):
                continue  # an expiry the calendar does not know: its contracts are shown, but nothing says when they settle
        return {value.published_at for value in values if value is not None and value.published_at > after}
