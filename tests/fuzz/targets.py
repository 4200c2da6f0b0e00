"""All targets by name.

A new module of targets is one name here.
"""

from __future__ import annotations

from tests.fuzz import json_files, model_files, other_files, parquet_files
from tests.fuzz.target import Target

_MODULES = (json_files, model_files, other_files, parquet_files)

ALL: dict[str, Target] = {target.name: target for module in _MODULES for target in module.TARGETS}
