"""The page of what a hundred models would cost: it says what is computed."""

import pytest

from harness.starter.build import scale


def test_the_matrix_overtakes_the_extraction_where_it_is_said():
    n = scale.overtaken_at()
    assert 1 + 27 * (n - 1) <= 877 + 165 < 1 + 27 * n


def test_the_scale_page_says_what_is_computed():
    page = scale.PAGE.read_text(encoding="utf-8")
    assert scale.renew(page) == page
    assert f"from **{scale.overtaken_at()} references** on" in page
    with pytest.raises(ValueError, match="expected one"):
        scale.renew("no marks")
