"""Reads entries of protocol 1 in today's form: fields they lack are unknown, and they are not ranked.

Protocol 1 ranked by transfer minus the `permuted` control, called floor; lift is another number now, so that
neither of the two is carried over. What was counted alike keeps its value: coverage, transfer, agreeing
transfer, `largest`, silence, and acceptance of whole clips, then called ceiling. A rate that was not measured
has n = 0. No swap and no matched control was asked: all applicable signals are without them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from harness import untrusted
from harness.dataset import parquet_schema
from harness.schemas import Entry, from_json
from harness.types import STIMULI

PROTOCOL_1 = 1
"""What such an entry says its protocol is."""

REASON = "Evaluated under protocol 1, which ranked by another number: evaluate the model again."
"""Why none of them is ranked."""

_NOT_MEASURED = {
    **dict.fromkeys(("value", "low", "high")),
    "level": 0.95,
    "method": "not measured under protocol 1",
    "n": 0,
}
_UNKNOWN = ("swap", "lift", "matched", "placement", "beyond_largest")

_ADDED = ("draw", "replicate", "other_clip", "robust")
"""Columns of VERDICTS that protocol 1 did not have."""

_FAMILIES = MappingProxyType({"responsibility": "responsibility@bins", "minimal": "minimal@bins"})
"""What its families are called now; the first was its headline."""

VERDICTS = pa.schema([field for field in parquet_schema.VERDICTS if field.name not in _ADDED])
"""Its columns."""


def in_current_form(data: Any) -> dict[str, Any]:
    """The parsed entry.json of protocol 1 in the current form; `data` is not changed.

    Fields that protocol 1 does not know are passed on, and the strict reader refuses them.

    Raises:
        ValueError: it is no entry of protocol 1.
    """
    try:
        scorecard = {**data["scorecard"], "ranked": False, "unranked_because": REASON}
        scorecard["families"] = [_family(family) for family in scorecard["families"]]
        headline = _FAMILIES["responsibility"]
        return {
            **data,
            "scorecard": {**scorecard, "headline_family": headline},
            "signals": {**data["signals"], "headline": headline},
            "references": [{**each, "family": _name(each["family"])} for each in data["references"]],
            "likeness": [],
        }
    except LookupError as error:
        raise ValueError(f"{error} is missing, expected an entry of protocol 1") from None
    except (TypeError, AttributeError):
        raise ValueError("a list or a text in place of fields, expected an entry of protocol 1") from None


def entry_of(text: bytes) -> Entry:
    """An entry of protocol 1, the text of its entry.json, as a record.

    Raises:
        ValueError: it is none.
    """
    return from_json(Entry, json.dumps(in_current_form(untrusted.json_of(text))))


def is_protocol_1(text: bytes) -> bool:
    """Whether an entry.json states protocol 1."""
    try:
        data = untrusted.json_of(text)
    except untrusted.Unreadable:
        return False
    protocol = data.get("protocol") if isinstance(data, dict) else None
    return protocol == PROTOCOL_1 and type(protocol) is int


def with_current_columns(table: pa.Table) -> pa.Table:
    """Verdicts of protocol 1 with the columns of `dataset.parquet_schema.VERDICTS`.

    Every signal was the first and only draw of its clip; its id has no seed and no draw in it. The `permuted`
    controls, which no rate knows any more, are left out.
    """
    table = table.cast(VERDICTS)
    table = table.filter(pc.is_in(table["stimulus"], pa.array(STIMULI)))
    draws = pc.if_else(pc.is_valid(table["signal_id"]), pa.scalar(1, pa.int32()), None)
    empty_columns = {name: pa.nulls(len(table), parquet_schema.VERDICTS.field(name).type) for name in _ADDED}
    columns = {**empty_columns, "draw": draws, **{name: table[name] for name in VERDICTS.names}}
    for old, new in _FAMILIES.items():
        columns["family"] = pc.if_else(pc.equal(columns["family"], old), new, columns["family"])
    return pa.table(
        {name: columns[name] for name in parquet_schema.VERDICTS.names}, schema=parquet_schema.VERDICTS
    )


def _family(old: Mapping[str, Any]) -> dict[str, Any]:
    rates = {name: _rates(old[name]) for name in ("rates", "visible")}
    return {
        **old,
        **rates,
        "family": _name(old["family"]),
        "robust": dict.fromkeys(rates["rates"], _NOT_MEASURED),
        "as_silence": {},
        "cells": [_cell(cell) for cell in old["cells"]],
    }


def _name(family: str) -> str:
    return _FAMILIES.get(family, family)


def _cell(old: Mapping[str, Any]) -> dict[str, Any]:
    without = dict.fromkeys(("n_unswapped", "n_unmatched"), old["n_applicable"])
    return {**old, "near_copy": False, **without, "rates": _rates(old["rates"])}


def _rates(old: Mapping[str, Any]) -> dict[str, Any]:
    rates = dict(old)
    for name in ("floor", "lift"):
        del rates[name]
    agreement = rates.pop("ceiling")
    return {**rates, "agreement": agreement, **dict.fromkeys(_UNKNOWN, _NOT_MEASURED)}
