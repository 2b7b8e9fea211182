"""Answers to requests for reports."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import InvalidError
from shared_events.messaging.report import (
    ConversationReport,
    ConversationReportRow,
    GetConversationReport,
)

from crm_messaging.reports import figures
from crm_messaging.reports.figures import Span

MOST = timedelta(days=92)
_USUAL = timedelta(days=30)
_ONE_DAY = timedelta(days=1)


async def get_conversation_report(
    tx: Transaction, request: GetConversationReport, call: Call
) -> ConversationReport:
    """Report on conversations. InvalidError for a stretch or a time zone that cannot be.

    Days without anything are there too; channels and agents with nothing are not.
    """
    del call
    zone = _zone(request.timezone)
    span = _span(request)
    total, rows = await figures.conversations(tx, request, span)
    if request.by == "day":
        found = {row.day: row for row in rows}
        empty = (ConversationReportRow(day=day) for day in _days(span, zone))
        rows = [found.get(row.day, row) for row in empty]
    return ConversationReport(
        starts_at=span.starts_at,
        ends_at=span.ends_at,
        by=request.by,
        timezone=request.timezone,
        total=total,
        data=rows,
    )


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise figures.unknown_time_zone() from None


def _span(request: GetConversationReport) -> Span:
    ends_at = request.to or datetime.now(UTC)
    try:
        starts_at = request.from_ or ends_at - _USUAL
    except OverflowError:
        raise InvalidError.field("to", "out_of_range", "There was nothing then.") from None
    if starts_at > ends_at:
        raise InvalidError.field("from", "after_its_end", "It must not be later than `to`.")
    if ends_at - starts_at > MOST:
        raise InvalidError.field(
            "from", "too_long", f"At most {MOST.days} days at once.", max_length=MOST.days
        )
    return Span(starts_at, ends_at)


def _days(span: Span, zone: ZoneInfo) -> list[str]:
    """The days a stretch touches, by the calendar of a place."""
    if span.starts_at == span.ends_at:
        return []
    try:
        day = span.starts_at.astimezone(zone).date()
        last = (span.ends_at - timedelta(microseconds=1)).astimezone(zone).date()
    except OverflowError:
        raise InvalidError.field("from", "out_of_range", "There was nothing then.") from None
    return [str(day + n * _ONE_DAY) for n in range((last - day).days + 1)]
