"""CITATION.cff is of Citation File Format 1.2.0 and says of software and paper what other files say."""

from __future__ import annotations

import copy
import re
import tomllib
from typing import Any

import jsonschema
import pytest
import yaml

from tests.helpers.repository import ROOT

TEXT = {"type": "string", "minLength": 1}
PERSON = {
    "required": ["family-names", "given-names"],
    "additionalProperties": False,
    "properties": {"family-names": TEXT, "given-names": TEXT, "orcid": TEXT, "affiliation": TEXT},
}
ENTITY = {"required": ["name"], "additionalProperties": False, "properties": {"name": TEXT, "website": TEXT}}
AUTHORS = {"type": "array", "minItems": 1, "items": {"type": "object", "anyOf": [PERSON, ENTITY]}}
DOI = {"type": "string", "pattern": r"^10\.\d{4,9}(\.\d+)?/[A-Za-z0-9:/_;\-.()\[\]\\]+$"}
SCHEMA = {
    "type": "object",
    "required": ["cff-version", "message", "title", "authors"],
    "additionalProperties": False,
    "properties": {
        **dict.fromkeys(("message", "title", "abstract", "version", "url", "repository-code"), TEXT),
        "cff-version": {"const": "1.2.0"},
        "type": {"enum": ["software", "dataset"]},
        "license": TEXT,
        "doi": DOI,
        "date-released": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"},
        "authors": AUTHORS,
        "keywords": {"type": "array", "minItems": 1, "uniqueItems": True, "items": TEXT},
        "references": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["type", "title", "authors"],
                "additionalProperties": False,
                "properties": {
                    **dict.fromkeys(("title", "journal", "url"), TEXT),
                    "type": {"enum": ["article", "software", "data"]},
                    "authors": AUTHORS,
                    "year": {"type": "integer"},
                    "doi": DOI,
                    "identifiers": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["type", "value"],
                            "properties": {"type": {"enum": ["doi", "url", "swh", "other"]}},
                        },
                    },
                },
            },
        },
    },
}
"""The part of the format that is used, closed to everything else.

Its own schema (github.com/citation-file-format/citation-file-format, schema.json) comes with `cffconvert`,
which demands a jsonschema before 4.
"""


def citation() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "CITATION.cff").read_text())


def test_the_citation_is_of_its_format():
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(citation(), SCHEMA)


@pytest.mark.parametrize(
    "damage",
    [{"authors": []}, {"cff-version": "1.1.0"}, {"titel": "x"}, {"references": [{"type": "article"}]}],
)
def test_a_citation_of_another_form_is_refused(damage):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(copy.deepcopy(citation()) | damage, SCHEMA)


def test_software_and_paper_are_those_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    cited = citation()
    # The recorded voices in the package have licences of their own.
    assert (cited["title"], cited["license"]) == (project["name"], project["license"].split(" AND ")[0])
    (paper,) = cited["references"]
    bibtex = re.search(r"```bibtex\n(.*?)```", (ROOT / "harness/dataset/card.md").read_text(), re.DOTALL)[1]
    names = " and ".join(f"{a['family-names']}, {a['given-names']}" for a in paper["authors"])
    assert f"title  = {{{paper['title']}}}" in bibtex
    assert f"author = {{{names}}}" in bibtex
    assert f"year   = {{{paper['year']}}}" in bibtex
    assert paper["journal"] in bibtex
    assert paper["doi"].endswith(paper["url"].rpartition("/")[2])
