"""From the name a user types to a pinned folder of files, by huggingface_hub.

A model is an existing folder or a Hub id. Either way the answer is a `Checkpoint`: the files of one moment,
identified by content. Only JSON and the head of the model card are read; weights are hashed.

Conventions: an existing folder wins over a Hub id of the same spelling. Only safetensors weights are taken:
unpickling a `.bin` file runs whatever its author put in it. Of a sharded model the weights are the shards its
index names, in the order of their names.
"""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import untrusted
from harness.disk_errors import pointer
from harness.errors import BadInput, BadModel
from harness.hub import download_limit
from harness.hub.repository import Repository, hub_errors, not_found
from harness.models.architectures import require_audio
from harness.models.class_names import require_one_reading
from harness.types import MAX_BASE_MODELS, MAX_DATASETS, ModelRef

if TYPE_CHECKING:
    from huggingface_hub import HfApi, ModelInfo

CONFIG, CARD = "config.json", "README.md"
PREPROCESSOR, PROCESSOR = "preprocessor_config.json", "processor_config.json"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"

_PATTERNS = ["*.safetensors", "*.safetensors.index.json", CONFIG, PREPROCESSOR, PROCESSOR, CARD]
SHIPPED_PREFIX = "adapter:"
"""What the name of an adapter that comes with goodenough starts with."""
_ADAPTER = re.compile(r".*\.py:[^\W\d]\w*", re.DOTALL)
_HEAD = re.compile(r"---[^\S\n]*\r?\n(.*?)\n---", re.DOTALL)
_NAME = re.compile(r"[\w./+-]{1,100}", re.ASCII)
_SHARD = re.compile(r"\w[\w.+=-]{0,199}\.safetensors", re.ASCII)
_PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_NOT_WEIGHTS = ("training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth", "scaler.pt")


@dataclass(frozen=True)
class Checkpoint:
    """The files of a model at one moment."""

    ref: ModelRef
    folder: Path
    licence: str | None
    """As the head of its model card states it."""
    trusted: bool = False
    """Whether the Python files next to it may be run."""
    trained_on: tuple[str, ...] | None = None
    """Datasets that this head names, if any."""
    base_models: tuple[str, ...] | None = None
    """Models that this head says it was made from, if any."""
    released: str | None = None
    """YYYY-MM-DD on which the Hub first had it; None where the Hub was not asked."""


def resolve(model: str, revision: str | None = None, *, trust_remote_code: bool = False) -> Checkpoint:
    """Find a model and pin it.

    Args:
        model: a folder, or a Hub id (`org/name`, or a bare canonical name).
        revision: branch, tag or commit on the Hub; the default branch when None. Not for folders.
        trust_remote_code: its Python files may be run; of a Hub model only with all 40 digits of a commit.

    Raises:
        BadModel: it is not there, cannot be reached, or lacks a file; the line says which and what to do.
    """
    if not model:
        raise BadModel("no model given; name a folder or a Hub id, as in org/name")
    if is_adapter(model):
        raise BadModel(f"{model} is an adapter, and no code is run for what names it here")
    path = Path(model).expanduser()
    if path.is_dir():
        if revision is not None:
            raise BadModel(
                f"{model} is a folder, and a folder has no revision {revision!r}: its revision is the"
                " sha256 of its files; leave --revision out, or give a Hub id"
            )
        return _from_folder(model, path.resolve(), trust_remote_code)
    if path.is_file():
        is_code, files = path.suffix == ".py", f"give the folder that holds {CONFIG} and {WEIGHTS}"
        raise BadModel(f"{model} is a file; {f'name its class, as in {model}:Class' if is_code else files}")
    if "://" in model:
        raise BadModel(f"{model} is an address; give the Hub id alone, as in org/name")
    if model.startswith((".", "/", "~")) or model.endswith("/") or "\\" in model or model.count("/") > 1:
        raise BadModel(f"no folder at {model}; give an existing folder or a Hub id, as in org/name")
    if trust_remote_code and not re.fullmatch(r"[0-9a-f]{40}", revision or ""):
        raise BadModel(
            f"--trust-remote-code runs code of {model} as it is at one moment; name it: --revision and all 40"
            " digits of the commit that you have read"
        )
    return _from_hub(model, revision, trust_remote_code)


def is_adapter(model: str) -> bool:
    """Whether a name is that of an adapter, `path/to/file.py:Class` or `adapter:NAME`."""
    return model.startswith(SHIPPED_PREFIX) or _ADAPTER.fullmatch(model) is not None


def class_names_of(checkpoint: Checkpoint) -> tuple[str, ...]:
    """The classes by index, as config.json names them; none where it does not, or not all."""
    id2label = config_of(checkpoint).get("id2label")
    if not isinstance(id2label, dict) or set(id2label) != {str(i) for i in range(len(id2label))}:
        return ()
    return tuple(str(id2label[str(i)]) for i in range(len(id2label)))


def settings_sha256(checkpoint: Checkpoint) -> str:
    """Hash of what decides a model's answers except weights: config, feature extractor, trusted code."""
    code = sorted(checkpoint.folder.glob("*.py")) if checkpoint.trusted else []
    settings = [checkpoint.folder / name for name in (CONFIG, PREPROCESSOR, PROCESSOR)]
    return sha256([*(path for path in settings if path.is_file()), *code])


def config_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """`config.json`, read."""
    return _read_json(checkpoint.ref.repo_id, checkpoint.folder / CONFIG)


def preprocessor_of(checkpoint: Checkpoint) -> tuple[str, dict[str, Any]]:
    """The settings of the feature extractor, and the file that they are in.

    As in transformers, those inside `processor_config.json` win over `preprocessor_config.json`.
    """
    name, folder = checkpoint.ref.repo_id, checkpoint.folder
    if (folder / PROCESSOR).is_file():
        processor = _read_json(name, folder / PROCESSOR)
        settings = processor.get("feature_extractor", processor.get("audio_processor"))
        if settings is not None:
            if not isinstance(settings, dict):
                raise BadModel(
                    f"{name}: feature_extractor in {PROCESSOR} must be a JSON object; found {settings!r:.60}"
                )
            return PROCESSOR, settings
    if not (folder / PREPROCESSOR).is_file():
        raise _no_extractor(name, f"no {PREPROCESSOR}, and no feature_extractor in its {PROCESSOR}")
    return PREPROCESSOR, _read_json(name, folder / PREPROCESSOR)


def committed_at(checkpoint: Checkpoint) -> datetime.datetime | None:
    """When the commit of a model was made, by the Hub; None for a folder, or where the Hub does not say."""
    from huggingface_hub import HfApi

    if checkpoint.ref.repo_id.startswith("local/"):
        return None
    try:
        commits = HfApi().list_repo_commits(checkpoint.ref.repo_id, revision=checkpoint.ref.revision)
    except Exception:  # no network, in one of its many ways: nothing is known
        return None
    return commits[0].created_at if commits else None


def brings_code(checkpoint: Checkpoint) -> bool:
    """Whether config.json names classes of the model's own."""
    return bool(config_of(checkpoint).get("auto_map"))


def _from_folder(model: str, folder: Path, trusted: bool) -> Checkpoint:
    _require_content(folder)
    if (folder / CONFIG).is_file():
        _require_audio(model, folder)
    _require_files(model, {entry.name for entry in folder.iterdir() if entry.is_file()})
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.name).strip("-.") or "model"
    weights = weights_in(model, folder)
    weights_sha256 = sha256(weights)
    # In the form of sha256sum: what a folder is, is what is in these files under these names.
    lines = [f"{weights_sha256}  {' '.join(file.name for file in weights)}"]
    code = sorted(path.name for path in folder.glob("*.py")) if trusted else []
    for part in (INDEX, CONFIG, PREPROCESSOR, PROCESSOR, *code):
        if (folder / part).is_file() and not (part == INDEX and len(weights) == 1):
            lines.append(f"{sha256([folder / part])}  {part}")
    revision = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    ref = ModelRef(f"local/{name}", revision, weights_sha256)
    card = _card(model, folder)
    return _check(Checkpoint(ref, folder, _licence(model, card), trusted, *_card_references(card)))


def _from_hub(model: str, revision: str | None, trusted: bool) -> Checkpoint:
    from huggingface_hub import HfApi, snapshot_download

    api = HfApi()
    with _hub_refusals(model, revision):
        # The commit comes first: everything after it is about one moment, whatever is pushed meanwhile.
        commit = str(api.resolve_revision(model, revision=revision).resolved)
        max_bytes = download_limit.limit()
        info = _info(api, model, commit, sizes=max_bytes is not None)
        patterns = [*_PATTERNS, "*.py"] if trusted else _PATTERNS
        if max_bytes is not None:
            _require_size(model, info, patterns, max_bytes)
        if info is not None and CONFIG in {file.rfilename for file in info.siblings or []}:
            # What is no audio classifier is said to be none, and its weights are not fetched.
            _require_audio(model, Path(snapshot_download(model, revision=commit, allow_patterns=[CONFIG])))
        if info is not None:
            _require_files(model, {file.rfilename for file in info.siblings or []})
        folder = Path(
            snapshot_download(model, revision=commit, allow_patterns=patterns, ignore_patterns="*/*")
        )
    _require_files(model, {entry.name for entry in folder.iterdir()})
    _require_content(folder)
    ref = ModelRef(info.id if info else model, commit, sha256(weights_in(model, folder)))
    card = _card(model, folder)
    created_at = info.created_at if info else None
    released = f"{created_at:%Y-%m-%d}" if created_at else None
    return _check(Checkpoint(ref, folder, _licence(model, card), trusted, *_card_references(card), released))


def _require_size(model: str, info: ModelInfo | None, patterns: Sequence[str], max_bytes: int) -> None:
    """The files that would be downloaded are within a limit; of what is cached alone none would be."""
    from huggingface_hub import constants

    if info is not None:
        sizes = {file.rfilename: file.size for file in info.siblings or []}
        names = [
            name for name in sizes if "/" not in name and any(fnmatch(name, pattern) for pattern in patterns)
        ]
        download_limit.require_within(model, {name: sizes[name] for name in names}, max_bytes)
    elif not constants.HF_HUB_OFFLINE:
        raise BadModel(f"the Hub does not state the sizes of the files of {model}, and downloads are limited")


def _info(api: HfApi, model: str, commit: str, *, sizes: bool) -> ModelInfo | None:
    """What the Hub reports about a model; None when it does not answer, and the cached snapshot may do."""
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return api.model_info(model, revision=commit, files_metadata=sizes)
    except HfHubHTTPError as error:
        if error.response.status_code < 500:
            raise
    except Exception:  # no network, in one of its many ways
        return None
    return None


@contextmanager
def _hub_refusals(model: str, revision: str | None) -> Iterator[None]:
    """Turn errors of the Hub into BadModel, each in one line."""
    from huggingface_hub import errors

    try:
        with hub_errors(Repository(model, "model"), revision):
            try:
                yield
            except errors.HFValidationError:
                raise BadModel(
                    f"{model!r} is neither a folder here nor a Hub id; an id looks like org/name"
                ) from None
            except errors.GatedRepoError:
                raise
            except errors.RepositoryNotFoundError as error:
                raise BadModel(
                    f"{not_found(f'model {model}', error)}; nor is there a folder {model}"
                ) from None
    except BadModel:
        raise
    except BadInput as error:
        raise BadModel(str(error)) from None


def _check(checkpoint: Checkpoint) -> Checkpoint:
    """Check early that its JSON files can be read and agree."""
    require_one_reading(checkpoint.ref.repo_id, config_of(checkpoint))
    preprocessor_of(checkpoint)
    return checkpoint


def _require_audio(model: str, folder: Path) -> None:
    """The type that config.json names, if it names one, is that of an audio classifier."""
    config = _read_json(model, folder / CONFIG)
    if config.get("model_type") is not None:
        require_audio(model, config)


def _require_content(folder: Path) -> None:
    """Refuse pointers of git-lfs."""
    for path in sorted(folder.iterdir()):
        if path.suffix in (".json", ".safetensors", ".py") and (line := pointer(path)):
            raise BadModel(line)


def _require_files(model: str, names: set[str]) -> None:
    if "adapter_config.json" in names:
        raise BadModel(
            f"{model} is a PEFT adapter, not a whole model; merge it first:"
            " model.merge_and_unload().save_pretrained(folder)"
        )
    if CONFIG not in names:
        near = "; is it a folder of models? give one of them" if not names else _rename_hint(CONFIG, names)
        raise BadModel(
            f"{model} has no {CONFIG}: expected a transformers model saved by save_pretrained{near}"
        )
    if not names & {WEIGHTS, INDEX}:
        pickles = sorted(n for n in names if n.endswith(_PICKLE_SUFFIXES) and n not in _NOT_WEIGHTS)
        if pickles:
            raise BadModel(
                f"{model} has its weights in {pickles[0]}, a pickle, and unpickling runs code; only"
                " safetensors are read: load it where you trust it, then model.save_pretrained(folder)"
            )
        raise BadModel(f"{model} has no weights: expected {WEIGHTS} or {INDEX}{_rename_hint(WEIGHTS, names)}")
    if not names & {PREPROCESSOR, PROCESSOR}:
        raise _no_extractor(model, f"no {PREPROCESSOR}", _rename_hint(PREPROCESSOR, names))


def _no_extractor(model: str, lack: str, near: str = "") -> BadModel:
    return BadModel(
        f"{model} has {lack}: a model without its feature extractor cannot be fed{near}; take the"
        " one it was trained with: AutoFeatureExtractor.from_pretrained(base).save_pretrained(folder)"
    )


def _rename_hint(name: str, names: set[str]) -> str:
    """A hint at a file that a browser has numbered, as in `config (1).json`; empty if there is none."""
    stem, suffix = name.rsplit(".", 1)
    copies = sorted(n for n in names if re.fullmatch(rf"{re.escape(stem)} ?\(\d+\)\.{suffix}", n))
    return f"; {copies[0]!r} looks like it: rename it to {name}" if copies else ""


def weights_in(model: str, folder: Path) -> list[Path]:
    """The files the weights are loaded from, by name."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    weight_map = _read_json(model, folder / INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise BadModel(f"{model}: {INDEX} has no weight_map; save the model again")
    if invalid := [n for n in weight_map.values() if not isinstance(n, str) or not _SHARD.fullmatch(n)]:
        raise BadModel(f"{model}: {INDEX} names {invalid[0]!r:.60}; expected a .safetensors file beside it")
    shards = sorted(set(weight_map.values()))
    if missing := [name for name in shards if not (folder / name).is_file()]:
        raise BadModel(f"{model}: {INDEX} names {missing[0]}, which is not there; was a copy cut short?")
    return [folder / name for name in shards]


def sha256(files: Iterable[Path]) -> str:
    """Hash of the concatenated files; of one file it is that of `sha256sum` and of the Hub."""
    digest = hashlib.sha256()
    for path in files:
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def _read_json(model: str, path: Path) -> dict[str, Any]:
    try:
        content = untrusted.json_of(untrusted.content(path))
    except untrusted.Unreadable as error:
        raise BadModel(f"{model}: {path.name} is not readable JSON: {error}") from None
    if not isinstance(content, dict):
        raise BadModel(f"{model}: {path.name} must be a JSON object; found {type(content).__name__}")
    return content


def _card(model: str, folder: Path) -> dict[str, Any]:
    """The YAML head of the model card; empty where there is none."""
    if not (folder / CARD).is_file():
        return {}
    try:
        text = untrusted.utf8(untrusted.content(folder / CARD)).removeprefix("\ufeff")
        head = _HEAD.match(text)
        card = untrusted.yaml_of(head[1], any_keys=True) if head else None
    except untrusted.Unreadable as error:
        raise BadModel(
            f"{model}: {CARD} has a head, between two lines ---, that is not readable YAML: {error}; mend the"
            " head, or remove it"
        ) from None
    return card if isinstance(card, dict) else {}


def _card_references(card: dict[str, Any]) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    return _names(card.get("datasets"), MAX_DATASETS), _names(card.get("base_model"), MAX_BASE_MODELS)


def _names(value: Any, limit: int) -> tuple[str, ...] | None:
    """A text or a list of them, as far as they are names; each once, and not more than so many."""
    values = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    names = [name for name in values if isinstance(name, str) and _NAME.fullmatch(name)]
    return tuple(dict.fromkeys(names))[:limit] or None


def _licence(model: str, card: dict[str, Any]) -> str | None:
    """`license`; its name where it is `other`."""
    value = card.get("license")
    if value == "other":
        value = card.get("license_name") or value
    names = value if isinstance(value, list) else [] if value is None else [value]
    if invalid := [name for name in names if not isinstance(name, str)]:
        raise BadModel(f"{model}: the license in {CARD} is {invalid[0]!r:.60}; expected text")
    return ", ".join(names) or None
