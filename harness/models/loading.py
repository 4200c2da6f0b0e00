"""Opens what a user names as MODEL: a folder, a Hub id, or an adapter.

    source = resolve(name)          # found, pinned and hashed
    classifier = open_model(source)

An adapter is code, and is run by naming it here. So what comes from others (a submission, a suite, a form)
goes to `checkpoints.resolve`, which runs none.
"""

from __future__ import annotations

from typing import TypeAlias

from harness.errors import BadInput
from harness.models import checkpoints, heads
from harness.models.checkpoints import Checkpoint, is_adapter
from harness.models.classifiers import Classifier
from harness.models.external import pinned
from harness.models.external.classifier import AdapterClassifier
from harness.models.external.options import AdapterOptions
from harness.models.external.pinned import PinnedAdapter

ModelSource: TypeAlias = Checkpoint | PinnedAdapter
"""What a model is opened from; both have a `ref`."""

_NO_OPTIONS = AdapterOptions()


def resolve(
    model: str,
    revision: str | None = None,
    *,
    trust_remote_code: bool = False,
    device: str | None = None,
    adapter: AdapterOptions = _NO_OPTIONS,
) -> ModelSource:
    """Find a model and pin it; an adapter is run for that.

    Args:
        model: a folder, a Hub id, `path/to/file.py:Class`, or `adapter:NAME` for one of those shipped.
        revision: branch, tag or commit on the Hub.
        trust_remote_code: see `checkpoints.resolve`.
        device: where an adapter is to run; None as in `open_model`.
        adapter: what an adapter is given; other models have no use for it.

    Raises:
        BadModel: it is not there, cannot be reached, or is no such model; the line says what to do.
        BadInput: an option that adapters do not have.
    """
    if not is_adapter(model):
        return checkpoints.resolve(model, revision, trust_remote_code=trust_remote_code)
    if revision is not None:
        raise BadInput(
            f"{model} is an adapter, whose revision is its sha256; leave --revision {revision} out, or give"
            " it with --adapter-arg if the adapter takes one"
        )
    if trust_remote_code:
        raise BadInput(f"{model} is an adapter: code that you name is run; leave --trust-remote-code out")
    return pinned.pin(model, adapter, device=device)


def open_model(
    source: ModelSource,
    *,
    device: str | None = None,
    batch_size: int = 16,
    dtype: str = "float32",
) -> Classifier:
    """Open a model that is already pinned; see `load`."""
    if isinstance(source, Checkpoint):
        return heads.open_checkpoint(source, device=device, batch_size=batch_size, dtype=dtype)
    if dtype != "float32":
        raise BadInput(
            f"{source.name} is an adapter, and computes as it is written; leave --dtype {dtype} out, or give"
            " it with --adapter-arg if the adapter takes one"
        )
    return AdapterClassifier(source, batch_size)


def load(
    model: str,
    revision: str | None = None,
    *,
    device: str | None = None,
    batch_size: int = 16,
    dtype: str = "float32",
    trust_remote_code: bool = False,
    adapter: AdapterOptions = _NO_OPTIONS,
) -> Classifier:
    """Find and open a model.

    Args:
        model: as for `resolve`.
        revision: branch, tag or commit on the Hub.
        device: as torch names it; a CUDA card if there is one, else the processor, when None.
        batch_size: largest batch.
        dtype: one of `classifiers.DTYPES`: the arithmetic of a checkpoint, whatever it was saved in.
        trust_remote_code: run the Python files that a checkpoint brings; of a folder, or of one commit.
        adapter: what an adapter is given.

    Raises:
        BadModel: it cannot be found, loaded or trusted.
        BadInput: no such device or arithmetic.
    """
    adapter.refuse_without_adapter(model)
    source = resolve(model, revision, trust_remote_code=trust_remote_code, device=device, adapter=adapter)
    return open_model(source, device=device, batch_size=batch_size, dtype=dtype)


def class_names_of(source: ModelSource) -> tuple[str, ...]:
    """The classes by index, as far as they are known before the model is opened; none where they are not."""
    if isinstance(source, Checkpoint):
        return checkpoints.class_names_of(source)
    return source.settings.class_names
