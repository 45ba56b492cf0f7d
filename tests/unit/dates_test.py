"""HTTP dates, in the three forms that a recipient reads (RFC 9110 §5.6.7)."""

import unittest
from email.utils import formatdate

from hypothesis import given
from hypothesis import strategies as st

from taskservice.http.dates import http_date, parse_http_date
from tests.helpers.strategies import property_settings

NOW = 1_783_000_000
"""Thu, 02 Jul 2026 13:46:40 GMT."""


def read(value: str | None) -> int | None:
    """Read a date in July 2026."""
    return parse_http_date(value, NOW)


class DatesTest(unittest.TestCase):

    def test_the_three_forms_of_the_rfc(self) -> None:
        for value in ("Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                      "Sun Nov  6 08:49:37 1994", " Sun, 06 Nov 1994 08:49:37 GMT\t"):
            with self.subTest(value):
                self.assertEqual(read(value), 784_111_777)
        self.assertEqual(read("Wed Nov 16 08:49:37 1994"), 784_111_777 + 10 * 86_400)

    def test_a_date_is_written_in_the_first(self) -> None:
        self.assertEqual(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT")
        self.assertEqual(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT")

    @property_settings()
    @given(st.integers(-2_000_000_000, 200_000_000_000))
    def test_what_is_written_is_read(self, seconds: int) -> None:
        self.assertEqual(read(http_date(seconds)), seconds)
        self.assertEqual(http_date(seconds), formatdate(seconds, usegmt=True))

    def test_every_month_and_day_of_the_week_is_read(self) -> None:
        for month in range(12):
            seconds = NOW + month * 31 * 86_400
            self.assertEqual(read(http_date(seconds)), seconds)
        long_days = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
        for day in long_days:
            self.assertEqual(read(f"{day}, 06-Nov-94 08:49:37 GMT"), 784_111_777)
            self.assertEqual(read(f"{day[:3]}, 06 Nov 1994 08:49:37 GMT"), 784_111_777)

    def test_a_leap_second_belongs_to_the_next_minute(self) -> None:
        self.assertEqual(read("Sat, 31 Dec 2016 23:59:60 GMT"), read("Sun, 01 Jan 2017 00:00:00 GMT"))

    def test_a_year_of_two_digits_is_at_most_50_years_ahead(self) -> None:
        for digits, year in (("26", 2026), ("27", 2027), ("75", 2075), ("77", 1977), ("99", 1999),
                             ("00", 2000), ("94", 1994)):
            with self.subTest(digits):
                self.assertEqual(
                    read(f"Sunday, 06-Nov-{digits} 08:49:37 GMT"),
                    read(f"Sun, 06 Nov {year} 08:49:37 GMT"))
        for value, year in (("02-Jul-76 13:46:40", 2076), ("02-Jul-76 13:46:41", 1976),
                            ("01-Jul-76 23:59:59", 2076), ("03-Jul-76 00:00:00", 1976),
                            ("01-Aug-76 00:00:00", 1976)):
            day, month, time = value[:2], value[3:6], value[10:]
            with self.subTest(value):
                self.assertEqual(
                    read(f"Sunday, {value} GMT"), read(f"Sun, {day} {month} {year} {time} GMT"))

    def test_a_year_of_two_digits_may_be_of_the_next_century(self) -> None:
        self.assertEqual(
            parse_http_date("Sunday, 06-Nov-01 08:49:37 GMT", 4_085_000_000),  # in 2099
            read("Sun, 06 Nov 2101 08:49:37 GMT"))

    def test_what_is_no_date_is_none(self) -> None:
        for value in (
                None, "", "yesterday", "0", "784111777", "1994-11-06T08:49:37Z",
                "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
                "Sun, 06 Nov 1994 08:49:37 +0000", "Sun, 06 Nov 1994 08:49:37 gmt",
                "sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT",
                "Sun, 6 Nov 1994 08:49:37 GMT", "Sun,  06 Nov 1994 08:49:37 GMT",
                "Sun 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 94 08:49:37 GMT",
                "Sun, 06-Nov-1994 08:49:37 GMT", "Sunday, 06 Nov 1994 08:49:37 GMT",
                "Sunday, 06-Nov-1994 08:49:37 GMT", "Sun, 06-Nov-94 08:49:37 GMT",
                "Sun Nov 6 08:49:37 1994", "Sun Nov  6 08:49:37 94",
                "Sun, 06 Nov 1994 8:49:37 GMT", "Sun, 06 Nov 1994 08:49 GMT",
                "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
                "Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
                "Sun, 31 Nov 1994 08:49:37 GMT", "Tue, 29 Feb 1994 08:49:37 GMT",
                "Sun, 06 Nov 0000 08:49:37 GMT", "Sun, ٠٦ Nov 1994 08:49:37 GMT",
                "Sun Nov  0 08:49:37 1994", "Sun, 06 Nov 1994 08:49:37 GMT\n",
                "Sun, 06 Nov 1994 08:49:37 GMT,Sun, 06 Nov 1994 08:49:37 GMT",
                "Sun, 06 Nov 1994 08:49:37 GMT, Mon, 07 Nov 1994 08:49:37 GMT"):
            with self.subTest(value):
                self.assertIsNone(read(value))


if __name__ == "__main__":
    unittest.main()
