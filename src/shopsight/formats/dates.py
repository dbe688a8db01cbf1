"""Dates in cells and filters: ISO 8601, and other common forms that mean one day."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

_TIME = r"(?:[T ](\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?)\s?(Z|[+-]\d{2}:?\d{2})?)?"
_YEAR_FIRST = re.compile(rf"(\d{{4}})([-/.])(\d{{1,2}})\2(\d{{1,2}}){_TIME}")
_YEAR_LAST = re.compile(rf"(\d{{1,2}})([-/.])(\d{{1,2}})\2(\d{{4}}){_TIME}")
_DAY_MONTH = re.compile(
    rf"(\d{{1,2}})(?:st|nd|rd|th)?[ -]([a-z]{{3,9}})\.?,?[ -](\d{{4}}){_TIME}", re.I
)
_MONTH_DAY = re.compile(rf"([a-z]{{3,9}})\.? (\d{{1,2}})(?:st|nd|rd|th)?,? (\d{{4}}){_TIME}", re.I)
_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)


def parse_date(text: str, *, day_first: bool | None = None) -> date | datetime | None:
    """A date, or a time in whole seconds (UTC, if it has a zone); None for anything else.

    ``day_first`` says what 05/06/2024 means; without it, such a date is read only if one of its
    numbers cannot be a month. In 05.06.2024 the day is first.

    >>> parse_date("2024-06-01"), parse_date("1 June 2024"), parse_date("13/06/2024")
    (datetime.date(2024, 6, 1), datetime.date(2024, 6, 1), datetime.date(2024, 6, 13))
    >>> parse_date("05/06/2024"), parse_date("20240601"), parse_date("2024-13-01")
    (None, None, None)
    """
    text = text.strip()
    try:
        if match := _YEAR_FIRST.fullmatch(text):
            year, month, day = int(match[1]), int(match[3]), int(match[4])
            return _with_time(date(year, month, day), match[5], match[6])
        if match := _YEAR_LAST.fullmatch(text):
            first, second = int(match[1]), int(match[3])
            if match[2] == ".":
                day_first = True
            elif day_first is None and (first > 12) != (second > 12):
                day_first = first > 12
            elif day_first is None and first != second:
                return None
            day, month = (first, second) if day_first else (second, first)
            return _with_time(date(int(match[4]), month, day), match[5], match[6])
        if match := _DAY_MONTH.fullmatch(text):
            return _with_time(
                date(int(match[3]), _month(match[2]), int(match[1])), *match.groups()[3:]
            )
        if match := _MONTH_DAY.fullmatch(text):
            return _with_time(
                date(int(match[3]), _month(match[1]), int(match[2])), *match.groups()[3:]
            )
    except (ValueError, OverflowError):
        return None
    return None


def parse_period(text: str) -> tuple[datetime, datetime] | None:
    """Begin and end (exclusive) of a year, a month, a day or a second; None for anything else.

    >>> [str(moment) for moment in parse_period("2024-02")]
    ['2024-02-01 00:00:00', '2024-03-01 00:00:00']
    """
    text = text.strip()
    try:
        if match := re.fullmatch(r"(\d{4})(?:-(\d{2}))?", text):
            year, month = int(match[1]), int(match[2] or 1)
            months = 12 * year + month - 1 + (1 if match[2] else 12)
            return datetime(year, month, 1), datetime(months // 12, months % 12 + 1, 1)
        day = parse_date(text)
        if day is None:
            return None
        if isinstance(day, datetime):
            return day, day + timedelta(seconds=1)
        start = datetime(day.year, day.month, day.day)
        return start, start + timedelta(days=1)
    except (ValueError, OverflowError):
        return None


def _month(name: str) -> int:
    """The number of an English month or its abbreviation. Raises ValueError."""
    name = name.lower()
    matching = [i for i, month in enumerate(_MONTHS, 1) if month == name or month[:3] == name]
    return matching[0] if matching else _MONTHS.index({"sept": "september"}.get(name, name)) + 1


def _with_time(day: date, time: str | None, zone: str | None) -> date | datetime:
    if time is None:
        return day
    # Fractions of a second tell nothing about products.
    moment = datetime.fromisoformat(f"{day.isoformat()}T{time[:8]}{zone or ''}")
    return moment.astimezone(UTC).replace(tzinfo=None) if zone else moment
