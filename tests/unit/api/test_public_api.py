"""`import goodenough as ge`: what a notebook does, on a small suite with models of the starter suite."""

from __future__ import annotations
