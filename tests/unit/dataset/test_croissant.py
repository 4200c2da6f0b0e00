"""Croissant metadata: valid for the library it is for, and nothing but what suite and card say."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import mlcroissant
import pyarrow.parquet as pq
import pytest

from harness import cli
from harness.dataset import croissant, data_card, licences, parquet_schema, publish, suites
from harness.dataset.column_descriptions import DESCRIPTIONS
from harness.starter.paths import embedded
from tests.helpers.croissant import ASKED, THEIR_WARNINGS, valid
from tests.helpers.hand_made_signals import add

pytestmark = THEIR_WARNINGS

ROOT = Path(__file__).parents[3]
CARD = """---
configs: [deepfake]
version: 1.2.0
synthetic: false
language: [en, nl]
creator: [Ada, Grace]
---

# Toys

## Provenance

Recorded in a **quiet** room.

## Labels

By two listeners.

## Uses

- Trying it.

## Limits

- Toys
  alone.
- Noise.

## Biases

None known, and none looked for.

## Personal and sensitive information

No.

## Social impact

Small.
"""


def published(root: Path, card: str | None = CARD, **options) -> tuple[Path, dict]:
    """The published form of a folder, and its metadata."""
    given = {"repo_id": "lab/toys", "licence": "cc-by-4.0", "cards": {"deepfake": card} if card else {}}
    made = publish.prepare(suites.load(str(root)), [], **given | options)
    return made.root, json.loads((made.root / "croissant.json").read_text())


# ---- valid, and loaded through it ----------------------------------------------------------------


@pytest.mark.parametrize("masks_only", [False, True])
def test_every_table_is_loaded_through_mlcroissant_as_it_lies_in_the_folder(tmp_path, caplog, masks_only):
    add(tmp_path, levels=True)
    add(tmp_path, repo_id="toys/b")
    folder, _ = published(tmp_path, masks_only=masks_only)
    dataset = valid(folder, caplog)
    assert [each.id for each in dataset.metadata.record_sets] == ["deepfake", "deepfake_clips"]
    for record_set in dataset.metadata.record_sets:
        rows = [
            r for path in sorted(folder.glob(f"{record_set.id}/*")) for r in pq.read_table(path).to_pylist()
        ]
        loaded = [
            {name.split("/")[1]: value for name, value in record.items()}
            for record in dataset.records(record_set.id)
        ]
        assert len(loaded) == len(rows)
        for record, row in zip(loaded, rows, strict=True):
            assert record.keys() == row.keys()
            for name, value in row.items():
                value = value["bytes"] if name == "audio" and value else value
                assert record[name] == (value.encode() if isinstance(value, str) else value), name
        assert all((row["audio"] is None) == masks_only for row in rows)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("options", [[], ["--masks-only"]])
def test_the_published_starter_suite_is_valid_and_lacks_nothing(tmp_path, caplog, capsys, options):
    here = tmp_path / "starter"
    shutil.copytree(embedded(), here)
    cards = [f"--card={path}" for path in sorted(ROOT.glob("data_cards/starter-*.md"))]
    assert cli.run(["publish", str(here), *cards, *options]) == 0
    assert "croissant.json leaves" not in capsys.readouterr().err
    dataset = valid(here / ".published", caplog)
    kinds = ("", "_clips", "_verdicts")
    configurations = [f"{task}{kind}" for task in ("deepfake", "emotion", "music-genre") for kind in kinds]
    assert [each.id for each in dataset.metadata.record_sets] == configurations
    for configuration in configurations:
        record = next(iter(dataset.records(configuration)))
        assert (record.get(f"{configuration}/audio") is None) == (
            configuration.endswith("_verdicts") or bool(options)
        )
    document = here / ".published/croissant.json"
    assert [name for name in ASKED if not json.loads(document.read_text()).get(name)] == []
    command = [Path(sys.executable).with_name("mlcroissant"), "validate", "--jsonld", document]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert told.endswith("Done.\n")
    assert told.count("\n") == 1


def test_mlcroissant_refuses_metadata_with_a_column_that_leads_nowhere(tmp_path):
    add(tmp_path)
    folder, document = published(tmp_path)
    document["recordSet"][0]["field"][0]["source"]["fileSet"]["@id"] = "nowhere"
    (folder / "croissant.json").write_text(json.dumps(document))
    with pytest.raises(mlcroissant.ValidationError, match="nowhere"):
        mlcroissant.Dataset(folder / "croissant.json")


# ---- what it says --------------------------------------------------------------------------------


def test_what_the_maintainer_says_is_read_from_the_card(tmp_path, caplog):
    add(tmp_path)
    folder, document = published(tmp_path)
    metadata = valid(folder, caplog).metadata
    assert metadata.data_limitations[-2:] == ["Toys alone.", "Noise."]
    assert metadata.data_biases == ["None known, and none looked for."]
    assert metadata.personal_sensitive_information == ["No."]
    assert metadata.data_use_cases[-1] == "Trying it."
    assert metadata.data_social_impact == "Small."
    assert metadata.data_collection == "Recorded in a quiet room."
    assert metadata.data_annotation_protocol[-1] == "By two listeners."
    assert metadata.in_language == ["en", "nl"]
    assert metadata.version == "1.2.0"
    assert [creator.name for creator in metadata.creators] == ["Ada", "Grace"]
    assert document["rai:hasSyntheticData"] is False
    assert [name for name in ASKED if name not in document] == []


def test_files_licences_and_provenance_are_counted_from_the_suite(tmp_path, caplog):
    made, found = add(tmp_path)
    folder, document = published(tmp_path)
    metadata = valid(folder, caplog).metadata
    assert (metadata.name, metadata.url) == ("toys", "https://huggingface.co/datasets/lab/toys")
    assert [str(each) for each in metadata.license] == [
        "https://spdx.org/licenses/Apache-2.0.html",
        "https://spdx.org/licenses/CC-BY-4.0.html",
    ]
    assert (
        "6 sufficient signals of 1 reference model for deepfake, as masks and as audio"
        in metadata.description
    )
    assert "arXiv:2604.02937" in metadata.cite_as
    tables = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.parquet")}
    objects = {each.id: each for each in metadata.file_objects if each.id != "repo"}
    assert objects.keys() == tables.keys()
    for name, path in tables.items():
        assert objects[name].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert objects[name].content_size == f"{path.stat().st_size} B"
    (source,) = document["prov:wasDerivedFrom"]
    assert (source["@id"], source["prov:label"]) == ("urn:sha256:" + "c" * 64, "local/toys")
    collection, extraction = document["prov:wasGeneratedBy"]
    assert collection["description"] == "Recorded in a quiet room."
    assert extraction["description"] == "responsibility@bands32(); minimal@bins()"
    assert [each["@id"] for each in extraction["prov:used"]] == [
        source["@id"],
        "https://huggingface.co/toys/a/tree/" + "a" * 64,
    ]
    assert extraction["prov:wasAssociatedWith"]["prov:label"] == "goodenough 0"
    (prepared,) = document["rai:dataPreprocessingProtocol"]
    assert f"{len(made)} clips of local/toys, of these 0 averaged to mono" in prepared
    assert len(found) == 6
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (
        manifest["files"]["croissant.json"]
        == hashlib.sha256((folder / "croissant.json").read_bytes()).hexdigest()
    )


def test_what_no_card_says_is_left_out_and_named(tmp_path, caplog):
    add(tmp_path)
    folder, document = published(tmp_path, card=None)
    absent = {"rai:dataBiases", "rai:dataSocialImpact", "rai:personalSensitiveInformation"}
    assert absent.isdisjoint(document)
    assert "rai:hasSyntheticData" not in document
    with pytest.raises(AssertionError):
        valid(folder, caplog)
    assert 'Property "https://schema.org/version" is recommended' in caplog.text
    suite = suites.load(str(tmp_path))
    assert croissant.missing(suite, {}) == []  # that there is no card is told already
    assert croissant.missing(suite, {"deepfake": CARD}) == []
    card = CARD.replace("## Biases", "## Other").replace("version: 1.2.0\nsynthetic: false\n", "")
    assert croissant.missing(suite, {"deepfake": card}) == [
        "deepfake: its data card has no section `## Biases`",
        "no data card has version or synthetic in its head, as version: 1.0.0, synthetic: false",
    ]


def test_publish_says_what_is_missing_and_publishes(tmp_path, capsys, monkeypatch):
    add(tmp_path / "signals", masks_only=True)
    monkeypatch.setattr("harness.cli.publish.check_target", lambda *_: ([], []))
    card = tmp_path / "card.md"
    card.write_text(CARD.replace("## Biases", "## Other"))
    command = ["publish", str(tmp_path / "signals"), "--masks-only", "--licence", "cc-by-4.0"]
    assert cli.run([*command, "--card", str(card)]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("deepfake")]
    assert lines == ["deepfake: its data card has no section `## Biases`; croissant.json leaves that out"]
    assert cli.run(command) == 0
    assert "deepfake: no data card given with --card; README and croissant.json" in capsys.readouterr().err


def test_a_statement_that_is_not_of_all_tasks_names_those_it_is_of():
    cards = {
        "one": data_card.read("## Limits\n\n- Both.\n- First.\n"),
        "two": data_card.read("## Limits\n\n- Both.\n"),
    }
    assert croissant._of_cards(cards, "Limits", 2) == ["Both.", "one: First."]
    assert croissant._of_cards(cards, "Limits", 3) == ["one, two: Both.", "one: First."]


def test_the_day_of_publication_stays_until_something_changes(tmp_path):
    add(tmp_path)
    folder, document = published(tmp_path)
    path = folder / "croissant.json"
    path.write_text(json.dumps({**document, "datePublished": "2020-01-02"}))
    assert published(tmp_path)[1]["datePublished"] == "2020-01-02"
    assert (
        published(tmp_path, card=CARD.replace("Small.", "Large."))[1]["datePublished"]
        == document["datePublished"]
    )
    path.write_text("[")
    assert published(tmp_path)[1] == document


def test_every_column_is_described_and_nothing_else():
    tables = (
        parquet_schema.CLIPS,
        parquet_schema.SIGNALS,
        parquet_schema.SETS,
        parquet_schema.CANDIDATE_VERDICTS,
    )
    assert {name for table in tables for name in table.names} == DESCRIPTIONS.keys()


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("cc-by-nc-sa-4.0", "https://spdx.org/licenses/CC-BY-NC-SA-4.0.html"),
        ("cc0-1.0", "https://spdx.org/licenses/CC0-1.0.html"),
        ("odc-by", "https://spdx.org/licenses/ODC-By-1.0.html"),
        ("Ask the authors.", "Ask the authors."),
    ],
)
def test_a_licence_leads_to_its_page(name, address):
    assert licences.address(name) == address


# ---- data cards ----------------------------------------------------------------------------------


def test_a_card_is_taken_apart_whatever_its_line_ends():
    head, one = (
        "---\nconfigs: [a]\n---\n\n# T\n",
        "## One \n\nIntro\nmore.\n\n- a\n  b\n- **c**\n\n### Deeper\n\nd",
    )
    text = f"{head}\n{one}\n\n## Two\n"
    for card in (data_card.read(text), data_card.read(text.replace("\n", "\r\n"))):
        assert card.head == {"configs": ["a"]}
        assert list(card.sections) == ["One", "Two"]
        assert data_card.items(card.sections["One"]) == ["Intro more.", "a b", "c", "### Deeper", "d"]
        assert card.sections["Two"] == ""
    assert data_card.read("# No head\n").head == {}
