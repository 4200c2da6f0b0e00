"""Families by name: read and written, refused, put in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import families
from harness.completions import ZERO, Completion
from harness.domains import parse
from harness.errors import BadInput
from harness.families import (
    Family,
    family_of_search,
    headline_of,
    in_order,
    kind_of,
    parse_family,
    parse_search,
)

numbers = st.integers(1, 10_000_000)
resolutions = st.one_of(
    st.just("bins"),
    st.builds("{}{}".format, st.sampled_from(["bands", "mel", "erb"]), st.integers(2, 10_000_000)),
    st.builds("blocks{}0ms".format, st.integers(1, 1_000_000)),
    st.builds("tiles{}x{}".format, numbers, numbers),
)
completions = st.one_of(
    st.just(ZERO), st.just(Completion("swap")), st.builds(Completion, st.just("noise"), st.integers(-120, -1))
)


@given(st.sampled_from(families.KINDS), resolutions, completions)
def test_reading_a_name_and_writing_it_are_inverse(
    kind: str, resolution: str, completion: Completion
) -> None:
    family = Family(kind, parse(resolution), completion)
    assert parse_family(str(family)) == family
    assert str(parse_family(str(family))) == str(family)
    assert families.is_family(str(family))
    assert kind_of(str(family)) == kind


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("responsibility@bands128", Family("responsibility", parse("bands128"))),
        ("minimal@bins", Family("minimal", parse("bins"))),
        ("responsibility@tiles8x16+swap", Family("responsibility", parse("tiles8x16"), Completion("swap"))),
        ("minimal@blocks10ms+noise:-40", Family("minimal", parse("blocks10ms"), Completion("noise", -40))),
    ],
)
def test_families_by_hand(name: str, family: Family) -> None:
    assert parse_family(name) == family
    assert str(family) == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("responsibility", "no family is called 'responsibility'; expected responsibility@ or minimal@"),
        ("", "no family is called ''"),
        ("gradient@bins", "no family is called 'gradient@bins'"),  # a search of the kind `minimal`
        ("Minimal@bins", "no family is called"),
        ("minimal@", "no resolution is called ''"),
        ("minimal@band128", "did you mean 'bands128'?"),
        ("minimal@bins+", "no completion is called ''"),
        ("minimal@bins+zero", "no family is called 'minimal@bins+zero'"),  # it has a name already
        ("minimal@bins+swap+swap", "no completion is called 'swap+swap'"),
        ("minimal@bins@bins", "no resolution is called 'bins@bins'"),
        ("minimal@bins+noise", "no completion is called 'noise'"),
        (" minimal@bins", "no family is called"),
        ("minimal@bins\n", "no resolution is called"),
    ],
)
def test_what_is_no_family_is_refused_in_a_line(name: str, words: str) -> None:
    with pytest.raises(BadInput) as refusal:
        parse_family(name)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not families.is_family(name)


def test_the_headline_comes_first_then_kinds_then_names_each_once() -> None:
    names = ["minimal@bins", "responsibility@bands64", "minimal@blocks10ms", "responsibility@bands128+swap"]
    assert in_order([*names, *names], "minimal@blocks10ms") == (
        "minimal@blocks10ms",
        "responsibility@bands128+swap",
        "responsibility@bands64",
        "minimal@bins",
    )
    assert in_order(names[:1], "responsibility@bands64") == ("minimal@bins",), "a headline that is not there"
    assert in_order([], "minimal@bins") == ()


@pytest.mark.parametrize(
    ("names", "headline"),
    [
        (["minimal@bins", "responsibility@bands64", "responsibility@bands128"], "responsibility@bands64"),
        (["minimal@bins", "minimal@blocks10ms"], "minimal@bins"),
        (["responsibility@tiles8x16+swap"], "responsibility@tiles8x16+swap"),
    ],
)
def test_the_first_family_by_responsibility_is_the_headline_of_a_new_task(
    names: list[str], headline: str
) -> None:
    assert headline_of(names) == headline
    assert headline_of(iter(names)) == headline


@pytest.mark.parametrize(
    ("search", "family"),
    [
        ("responsibility", "responsibility@bands32"),
        ("minimal", "minimal@bins"),
        ("gradient", "minimal@bins"),
        ("gradient@tiles8x16", "minimal@tiles8x16"),
        ("responsibility@mel64", "responsibility@mel64"),
    ],
)
def test_a_search_names_the_family_of_its_signals(search: str, family: str) -> None:
    assert family_of_search(search) == family
    assert family_of_search(search, Completion("noise", -60)) == f"{family}+noise:-60"


@given(st.sampled_from(sorted(families.SEARCH_KINDS)), resolutions)
def test_a_search_is_read_with_its_resolution(name: str, resolution: str) -> None:
    assert parse_search(f"{name}@{resolution}") == (name, parse(resolution))
    assert parse_search(name) == (name, parse(families.DEFAULT_RESOLUTIONS[name]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "minimum",
            "no search named 'minimum'; known: responsibility, minimal, gradient; did you mean 'minimal'?",
        ),
        ("", "no search named ''"),
        ("@bins", "no search named ''"),
        ("minimal@", "no resolution is called ''"),
        ("minimal@blocks15ms", "blocks are multiples of 10 ms"),
    ],
)
def test_what_is_no_search_is_refused_in_a_line(text: str, words: str) -> None:
    with pytest.raises(BadInput) as refusal:
        family_of_search(text)
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("family", "n_samples", "n"),
    [
        ("minimal@bins", 400, 201),
        ("responsibility@bands128", 401, 201),
        ("minimal@blocks20ms", 400, 3),  # blocks of 160 samples at 16 kHz, whatever the resolution is
        ("minimal@tiles8x16+swap", 400, 3 * 256),  # hops of 256, one frame more than hops
    ],
)
def test_masks_are_as_long_as_their_domain_says(family: str, n_samples: int, n: int) -> None:
    assert families.n_coefficients(family, n_samples, 16_000) == n
