"""All targets by name.

A new module of targets is one line here.

Public: ALL.
"""

from __future__ import annotations

from tests.fuzz import json_files
from tests.fuzz.target import Target

ALL: dict[str, Target] = {target.name: target for module in (json_files,) for target in module.TARGETS}
