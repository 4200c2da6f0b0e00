"""The libraries that commands open, opened once for `tests.helpers.forking`, which forks its processes here.

The client of the Hub reads its settings when it is opened. Those that depend on the test are read again in
every process (`tests.helpers.forking`); until then it knows of no Hub at all.
"""

# ruff: noqa: F401

from __future__ import annotations

import os

os.environ |= {
    "OMP_NUM_THREADS": "1",
    "HF_ENDPOINT": "http://127.0.0.1:9",
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}

import huggingface_hub.hf_api
import pandas
import pyarrow.parquet
import rich.progress
import scipy.signal
import scipy.stats
import sklearn.metrics
import soundfile
import torch._dynamo
import transformers
from transformers import (
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    HubertForSequenceClassification,
    SEWForSequenceClassification,
    Wav2Vec2ForSequenceClassification,
)

import harness.cli.download
import harness.cli.evaluate
import harness.cli.extract
import harness.cli.leaderboard
import harness.cli.publish
import harness.cli.submit
import harness.cli.verify
import harness.dataset.download
import harness.dataset.publish
import harness.entries.export
import harness.entries.validate
import harness.evaluation.runner
import harness.extract.runner
import harness.hub.fetching
import harness.hub.pushing
import harness.models.checkpoints
import harness.models.loading
import harness.submit.pull_request
import harness.submit.replay
import leaderboard.reports.entry_report
from harness.manifest import Manifest
from harness.schemas import Entry, _adapter

for document in (Entry, Manifest):
    _adapter(document)
transformers.conversion_mapping.get_checkpoint_conversion_mapping("wav2vec2")
