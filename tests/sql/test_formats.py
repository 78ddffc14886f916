from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from headgate.sql.formats import strptime_format


@pytest.mark.parametrize(
    ("words", "directives"),
    [
        ("YYYY-MM-DD", "%Y-%m-%d"),
        ("DD.MM.YYYY", "%d.%m.%Y"),
        ("yyyy-MM-dd HH:mm:ss", "%Y-%m-%d %H:%M:%S"),
        ("YYYY-MM-DD HH24:MI:SS", "%Y-%m-%d %H:%M:%S"),
        ("YYYY-MM-DDTHH:MM:SS", "%Y-%m-%dT%H:%M:%S"),
        ("MM/DD/YY hh:mm A", "%m/%d/%y %I:%M %p"),
        ("DD-MON-YYYY", "%d-%b-%Y"),
        ("YYYYMMDD", "%Y%m%d"),
        ("DD 'of' MMMM YYYY", "%d of %B %Y"),
        ("%d.%m.%Y", "%d.%m.%Y"),
    ],
)
def test_both_spellings_mean_the_same(words: str, directives: str) -> None:
    assert strptime_format(words) == directives


@pytest.mark.parametrize("text", ["", "soon", "YYYY-QQ-DD", "%", "%Y-%k", "100 %%", "--"])
def test_what_is_no_format_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"means nothing|no part of a date"):
        strptime_format(text)


@for_all(st.datetimes().map(lambda moment: moment.replace(microsecond=0, year=max(moment.year, 1900))))
def test_what_is_written_in_words_is_read_again(moment: datetime) -> None:
    directives = strptime_format("DD.MM.YYYY HH24:MI:SS")
    assert datetime.strptime(moment.strftime(directives), directives) == moment  # noqa: DTZ007 - a format without zone
