"""The page of what a hundred models would cost: it says what is computed."""

import pytest

from harness.starter.build import scale_page


def test_the_matrix_overtakes_the_extraction_where_it_is_said():
    n = scale_page.overtaken_at()
    assert 1 + 27 * (n - 1) <= 877 + 165 < 1 + 27 * n


def test_the_scale_page_says_what_is_computed():
    page = scale_page.PAGE.read_text(encoding="utf-8")
    assert scale_page.renew(page) == page
    assert f"from **{scale_page.overtaken_at()} references** on" in page
    with pytest.raises(ValueError, match="expected one"):
        scale_page.renew("no marks")
