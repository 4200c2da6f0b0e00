"""The files and columns of a published suite, as Croissant describes them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from harness.dataset import parquet_schema
from harness.dataset.card import FileFacts
from harness.dataset.column_descriptions import DESCRIPTIONS
from harness.plurals import plural

_REPOSITORY = "repo"
"""Id of the folder that holds the files."""

_LABELS = ("label", "truth", "expected", "predicted")
"""Columns that hold a class of the task."""

_DATA_TYPES = MappingProxyType(
    {
        pa.string(): "sc:Text",
        pa.binary(): "sc:Text",  # Croissant has no type for bytes, and its readers pass them on as they are
        pa.bool_(): "sc:Boolean",
        pa.int32(): "cr:Int32",
        pa.int64(): "cr:Int64",
        pa.float32(): "cr:Float32",
        pa.float64(): "cr:Float64",
    }
)

_TABLES = MappingProxyType(
    {
        "_clips": (parquet_schema.CLIPS, "clip_id", "clips"),
        "_sets": (parquet_schema.SETS, "set_id", "further sets of bins"),
        "_verdicts": (parquet_schema.CANDIDATE_VERDICTS, None, "answers of the references"),
        "": (parquet_schema.SIGNALS, "signal_id", "sufficient signals"),
    }
)
"""Ending of a configuration -> its columns, its key and what it holds."""


def distribution(files: Mapping[str, FileFacts], hashes: Mapping[str, str], url: str) -> list[dict[str, Any]]:
    """The folder, the files of each configuration, and every file with its hash.

    Args:
        files: every Parquet file, by path.
        hashes: sha256 of each of them.
        url: where the dataset lies as a git repository.
    """
    listing = "".join(f"{hashes[path]}  {path}\n" for path in sorted(files))
    folder = {
        "@type": "cr:FileObject",
        "@id": _REPOSITORY,
        "name": _REPOSITORY,
        "description": "The dataset as a git repository. The sha256 is over the list of its Parquet"
        " files, a line `sha256  path` each.",
        "contentUrl": url,
        "encodingFormat": "git+https",
        "sha256": hashlib.sha256(listing.encode()).hexdigest(),
    }
    within = {"containedIn": {"@id": _REPOSITORY}, "encodingFormat": "application/x-parquet"}
    sets = [
        {
            "@type": "cr:FileSet",
            "@id": f"files-of-{config}",
            "name": f"files-of-{config}",
            "description": f"The Parquet files of configuration {config}.",
            **within,
            "includes": f"{config}/*.parquet",
        }
        for config in _configurations(files)
    ]
    objects = [
        {
            "@type": "cr:FileObject",
            "@id": path,
            "name": path.rpartition("/")[2],
            **within,
            "contentUrl": path,
            "contentSize": f"{files[path].n_bytes} B",
            "sha256": hashes[path],
        }
        for path in sorted(files)
    ]
    return [folder, *sets, *objects]


def _configurations(files: Mapping[str, FileFacts]) -> list[str]:
    """Folders of the Parquet files: `<task>`, `<task>_clips`, `<task>_sets`, `<task>_verdicts`."""
    return list(dict.fromkeys(path.split("/")[0] for path in sorted(files)))


def record_sets(files: Mapping[str, FileFacts]) -> list[dict[str, Any]]:
    """The columns of each configuration of a suite, whose Parquet files are given by path."""
    return [_record_set(config, files) for config in _configurations(files)]


def _record_set(config: str, files: Mapping[str, FileFacts]) -> dict[str, Any]:
    ending = next(each for each in _TABLES if config.endswith(each))
    columns, key, contents = _TABLES[ending]
    facts_of_config = [facts for path, facts in files.items() if path.startswith(f"{config}/")]
    n_rows, names = sum(facts.n_rows for facts in facts_of_config), facts_of_config[0].columns
    return {
        "@type": "cr:RecordSet",
        "@id": config,
        "name": config,
        "description": f"{config.removesuffix(ending)}: {contents}, {plural(n_rows, 'row')}.",
        **({"key": {"@id": f"{config}/{key}"}} if key else {}),
        "field": [_field(config, column) for column in columns if column.name in names],
    }


def _field(config: str, column: pa.Field) -> dict[str, Any]:
    is_list, is_audio = pa.types.is_list(column.type), column.name == "audio"
    kind = column.type.value_type if is_list else column.type
    data_type = "sc:AudioObject" if is_audio else _DATA_TYPES[kind]
    return {
        "@type": "cr:Field",
        "@id": f"{config}/{column.name}",
        "name": column.name,
        "description": DESCRIPTIONS[column.name],
        "dataType": [data_type, "cr:Label"] if column.name in _LABELS else data_type,
        **({"isArray": True, "arrayShape": "-1"} if is_list else {}),
        "source": {
            "fileSet": {"@id": f"files-of-{config}"},
            "extract": {"column": column.name},
            **({"transform": {"jsonPath": "bytes"}} if is_audio else {}),
        },
    }
