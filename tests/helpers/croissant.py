"""Opens the metadata of a published suite as `mlcroissant validate` does."""

from __future__ import annotations

import logging
from pathlib import Path

import mlcroissant
import pytest

THEIR_WARNINGS = [
    pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The inplace keyword:DeprecationWarning"),
]
"""Of mlcroissant about the libraries that it is built on."""

ASKED = (
    *("name", "description", "license", "url", "creator", "datePublished", "version", "citeAs"),
    *("rai:dataLimitations", "rai:dataBiases", "rai:personalSensitiveInformation", "rai:dataUseCases"),
    *("rai:dataSocialImpact", "rai:hasSyntheticData", "prov:wasDerivedFrom", "prov:wasGeneratedBy"),
)
"""The core fields, and those of responsible AI that NeurIPS asks of data sets."""


def valid(folder: Path, caplog: pytest.LogCaptureFixture) -> mlcroissant.Dataset:
    """The dataset of a published folder; neither an error nor a warning was given for it."""
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        dataset = mlcroissant.Dataset(folder / "croissant.json", mapping={"repo": folder})
    issues = dataset.metadata.ctx.issues
    assert (issues.errors, issues.warnings, caplog.messages) == (set(), set(), [])
    return dataset
