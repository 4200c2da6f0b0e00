"""What `goodenough check` says, on every terminal; how models are refused that are no audio classifiers."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import cli
from harness.cli import check
from harness.errors import BadModel
from harness.evaluation.units import Unit
from harness.models.architectures import ARCHITECTURES
from harness.models.loading import load
from harness.starter import paths
from harness.types import ModelRef
from tests.helpers import remote_code, toy_models
from tests.helpers.hub import LoopbackHub
from tests.helpers.terminal_widths import TERMINALS, require_readable, shown

CLASSES = ("fake", "real")
GENRES = ("classical", "disco", "hiphop", "jazz", "metal", "reggae")
REVISION = "revision"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that fits the task of a small suite, one whose classes have no names, one of another kind."""
    root = tmp_path_factory.mktemp("check")
    toy_models.add_signals(root / "suite", "toys/a")
    toy_models.save_model(root / "ear", "hubert", CLASSES)
    toy_models.save_model(root / "numbered", "wav2vec2", ("LABEL_0", "LABEL_1"))
    toy_models.save_model(
        root / "other", "sew", tuple(f"a class with the long name number-{i}" for i in "abcdefgh")
    )
    return root


def checked(world: Path, model: str, *options: Any) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of a check with the small suite."""
    command = ("check", world / model, "--signals", world / "suite", "--json", *options)
    code, out, _ = shown("pipe", *command)
    report: dict[str, Any] = json.loads(out)
    return code, report


# ---- on a terminal -----------------------------------------------------------------------------------


@pytest.mark.parametrize("terminal", TERMINALS)
def test_nothing_is_cut_on_any_terminal(world: Path, terminal: str) -> None:
    narrow = terminal == "50 columns"
    for model, wanted in (("ear", 0), *([("numbered", 1), ("other", 1)] if narrow else [])):
        command = ("check", world / model, "--signals", world / "suite")
        _, report = checked(world, model)
        code, out, err = shown(terminal, *command)
        assert (code, err) == (wanted, "")
        details = {finding["what"]: finding["detail"] for finding in report["findings"]}
        moving = ("speed", "evaluation of deepfake", "batches")
        wrapped = [text for what, text in details.items() if what not in moving]
        whole = [details[REVISION], report["next"], *details]
        require_readable(terminal, out, whole, may_wrap=[*wrapped, report["verdict"]])
        if terminal == "pipe":
            assert len(out.splitlines()) == 1 + len(details) + 1
        end = " ".join(out.split())
        assert end.endswith(f"{report['verdict']}: {report['next']}")


def test_colour_is_for_terminals_that_take_it(world: Path) -> None:
    command = ("check", world / "ear", "--signals", world / "suite")
    assert "\x1b[32mpass" in shown("colour", *command)[1]


# ---- the verdict -------------------------------------------------------------------------------------


def test_the_command_of_a_ready_model_is_one_that_works(world: Path, tmp_path: Path) -> None:
    code, report = checked(world, "ear", "--device", "cpu", "--batch-size", 3)
    assert (code, report["verdict"]) == (0, "Ready to evaluate on deepfake")
    words = shlex.split(report["next"])
    assert words[:2] == ["goodenough", "evaluate"]
    assert {"--device", "--batch-size", "--signals"} < set(words)
    assert shown("pipe", *words[1:], "--out", tmp_path)[0] == 0
    assert len(list(tmp_path.glob("**/entry.json"))) == 1


def test_tasks_that_do_not_fit_are_left_out_of_the_command(world: Path) -> None:
    code, report = checked(world, "ear", "--task", "deepfake", "--task", "emotion")
    assert (code, report["passed"]) == (1, False)
    assert report["verdict"] == "Ready to evaluate on deepfake, not on emotion"
    assert shlex.split(report["next"])[-2:] == ["--task", "deepfake"]


def test_a_task_that_nearly_fits_is_sent_for_a_label_map(world: Path, tmp_path: Path) -> None:
    """A tagger has a name of two labels among many good ones, and by chance two labels of another task."""
    toy_models.save_model(tmp_path / "tagger", "sew", ("rock", "pop", "classic rock", "real", "fake"))
    code, report = checked(tmp_path, tmp_path / "tagger", "--signals", world / "suite")
    assert (code, report["verdict"]) == (0, "Ready to evaluate on deepfake")  # the suite has no other task
    code, out, _ = shown("pipe", "check", tmp_path / "tagger", "--json")
    report = json.loads(out)
    assert (code, report["verdict"]) == (0, "Ready to evaluate on deepfake, not on music-genre")
    assert shlex.split(report["next"])[-2:] == ["--task", "deepfake"]
    details = {finding["what"]: finding["detail"] for finding in report["findings"]}
    cause, hint = details["labels of music-genre"].split("; ")
    assert cause == "the class name 'classic rock' names classical and rock at once"
    assert hint.startswith("to start a label map: ")
    command, file = hint.removeprefix("to start a label map: ").split(" > ")
    code, out, _ = shown("pipe", *shlex.split(command)[1:])
    assert (code, file) == (0, "labels.json")
    assert json.loads(out)["labels"]["classic rock"] is None
    assert "; " not in details["labels of emotion"].replace(", and two are needed", "")


def test_the_only_task_that_nearly_fits_is_the_one_of_the_template(tmp_path: Path) -> None:
    toy_models.save_model(tmp_path / "tagger", "sew", ("rock", "pop", "classic rock"))
    code, out, _ = shown("pipe", "check", tmp_path / "tagger", "--json")
    report = json.loads(out)
    assert code == 1
    assert report["verdict"].startswith("Not ready: its class names cannot be read as labels of music-genre.")
    assert "--task music-genre --template > labels.json" in report["next"]


def test_signals_of_classes_that_a_model_lacks_are_counted_before_they_are_judged(
    world: Path, tmp_path: Path
) -> None:
    """What coverage will be, and that an entry below one half has no rank."""
    details = {}
    for name, classes in {"two": ("metal", "jazz"), "five": GENRES[:5], "all": GENRES}.items():
        toy_models.save_model(tmp_path / name, "sew", classes)
        _, out, _ = shown("pipe", "check", tmp_path / name, "--task", "music-genre", "--json")
        findings = {finding["what"]: finding for finding in json.loads(out)["findings"]}
        details[name] = findings.get("coverage of music-genre", {}).get("detail")
    assert details["all"] is None
    assert details["two"].endswith("; the least for a rank is 50.0\u202f%, so it will have none")
    assert details["five"].startswith("its classes are those of ")
    assert "rank" not in details["five"]


def test_a_suite_without_the_task_is_no_fault_of_the_model(world: Path, tmp_path: Path) -> None:
    toy_models.save_model(tmp_path / "mood", "sew", ("happy", "sad"))
    code, report = checked(tmp_path, tmp_path / "mood", "--task", "emotion", "--signals", world / "suite")
    assert code == 0
    assert report["verdict"].startswith("Ready, but local/suite has no signals of emotion, only of deepfake;")
    assert report["next"].endswith("--signals SOURCE")


@pytest.mark.parametrize("left_out", [True, False])
def test_a_model_without_names_gets_the_template_that_it_is_sent_for(
    world: Path, tmp_path: Path, left_out: bool
) -> None:
    """Names that are the default, LABEL_0 and LABEL_1, are left out of the file by transformers."""
    model = Path(shutil.copytree(world / "numbered", tmp_path / "numbered"))
    config = json.loads((model / "config.json").read_text())
    names = {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1}}
    config = {k: v for k, v in config.items() if k not in names} | ({} if left_out else names)
    (model / "config.json").write_text(json.dumps(config))
    code, report = checked(tmp_path, model, "--signals", world / "suite", "--task", "deepfake")
    assert code == 1
    assert report["verdict"].startswith("Not ready: its class names cannot be read as labels of deepfake.")
    words, end = report["next"].split(" > ")
    assert end == "labels.json"
    code, out, _ = shown("pipe", *shlex.split(words)[1:])
    assert code == 0
    template = json.loads(out)
    assert template["labels"] == {"LABEL_0": None, "LABEL_1": None}
    template |= {"labels": {"LABEL_0": "spoof", "LABEL_1": "bonafide"}, "reviewed_by": "me", "why": "read it"}
    (tmp_path / "labels.json").write_text(json.dumps(template))
    options = ("--signals", world / "suite", "--label-map", tmp_path / "labels.json")
    code, report = checked(tmp_path, model, *options)
    assert (code, report["verdict"]) == (0, "Ready to evaluate on deepfake")
    words = shlex.split(report["next"])
    assert shown("pipe", *words[1:], "--out", tmp_path / "results")[0] == 0


def test_a_label_map_that_does_not_fit_is_the_reason(world: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text("{}")
    code, report = checked(world, "numbered", "--task", "deepfake", "--label-map", tmp_path / "labels.json")
    assert code == 1
    assert report["verdict"].startswith("Not ready: ")
    assert "must hold the fields" in report["verdict"]


def test_a_model_whose_answers_depend_on_the_batch_is_not_ready(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.types.PROOF_TOLERANCE", {"float32": -1.0})
    code, report = checked(world, "ear")
    assert code == 1
    assert report["verdict"].startswith("Not ready: computed alone and in a batch, logits differ by")
    assert report["next"].endswith("--batch-size 1")


@pytest.mark.parametrize(("hear", "window"), [("heard = input_values[:, :32_000]", 2.0), (None, None)])
def test_the_window_of_a_models_own_code_is_shown(
    tmp_path: Path, world: Path, monkeypatch: pytest.MonkeyPatch, hear: str | None, window: float | None
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.syspath_prepend(tmp_path)
    remote_code.save_model(tmp_path / "own", CLASSES, **({} if hear is None else {"hear": hear}))
    code, report = checked(tmp_path, "own", "--signals", world / "suite", "--trust-remote-code")
    details = {finding["what"]: finding["detail"] for finding in report["findings"]}
    assert code == 0
    assert report["facts"]["window_seconds"] == window
    if window:
        assert "Hz, the first 2.00 s of a clip, through" in details["input"]
        assert details["window"] == "the first 2.00 s of a clip is used; the rest is ignored"
    else:
        assert "Hz, clips of any length, through" in details["input"]
        assert details["window"] == "the end of a sound of 2 s is used"


def test_what_is_counted_is_said_in_grammar(world: Path, tmp_path: Path) -> None:
    toy_models.save_model(tmp_path / "three", "sew", ("happy", "b", "c"))
    details = {}
    for root, model in ((world, "ear"), (tmp_path, "three")):
        suite = ("--signals", world / "suite", "--task", "emotion")
        _, report = checked(root, model, *suite)
        details[model] = {finding["what"]: finding["detail"] for finding in report["findings"]}
    assert "fake, real none can be read as labels of emotion (" in details["ear"]["labels of emotion"]
    assert "happy, b, c only one can be read as labels" in details["three"]["labels of emotion"]
    assert details["ear"]["batches"].endswith(" and none of the 6 predictions")
    code, _, err = shown("pipe", "evaluate", tmp_path / "three", "--out", tmp_path / "out")
    assert code == 2
    assert "('happy', 'b', 'c') fit no task of embedded/starter" in err


# ---- models of another kind --------------------------------------------------------------------------

OTHERS = {
    "a text classifier": ("bert", "BertForSequenceClassification"),
    "another text classifier": ("distilbert", "DistilBertForSequenceClassification"),
    "a language model": ("llama", "LlamaForCausalLM"),
    "an image classifier": ("vit", "ViTForImageClassification"),
    "a speech recogniser": ("speech_to_text", "Speech2TextForConditionalGeneration"),
    "sound and text": ("clap", "ClapModel"),
    "a codec": ("encodec", "EncodecModel"),
    "a voice": ("vits", "VitsModel"),
    "music": ("musicgen", "MusicgenForConditionalGeneration"),
    "sequence to sequence": ("t5", "T5ForConditionalGeneration"),
    "no class": ("bert", None),
}
EXTRACTOR = {"image_processor_type": "ViTImageProcessor", "size": 224}


def other_kind(folder: Path, kind: str, saved_as: str | None, *files: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(
        json.dumps({"model_type": kind, "architectures": [saved_as] if saved_as else None})
    )
    for file in files:
        (folder / file).write_text(json.dumps(EXTRACTOR))
    return folder


FILES = [
    (),
    ("model.safetensors",),
    ("model.safetensors", "preprocessor_config.json"),
    ("pytorch_model.bin",),
]


@pytest.mark.parametrize("files", FILES, ids=lambda files: "+".join(files) or "config")
@pytest.mark.parametrize("name", OTHERS)
def test_a_model_of_another_kind_is_said_to_be_one_whatever_it_lacks(
    tmp_path: Path, name: str, files: tuple[str, ...]
) -> None:
    kind, saved_as = OTHERS[name]
    code, out, err = shown("pipe", "check", other_kind(tmp_path / "other", kind, saved_as, *files))
    assert (code, out) == (2, "")
    [line] = err.splitlines()
    refusal = f"is of type {kind!r}" + (f", a {saved_as}" if saved_as else "")
    assert f"{refusal}: not an audio classifier of transformers; expected one of the types: " in line
    assert all(architecture in line for architecture in ARCHITECTURES)
    assert "preprocessor" not in line
    assert "AutoFeatureExtractor" not in line


@pytest.mark.slow  # tests/unit/models/test_checkpoints.py has one whose weights are not fetched
def test_of_a_model_of_another_kind_on_the_hub_nothing_but_its_config_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.helpers import forking

    other_kind(tmp_path / "models/org/text", "bert", "BertForSequenceClassification", "model.safetensors")
    with LoopbackHub(tmp_path) as hub:
        commands = [("check", "org/text")]
        [(code, out, err)] = forking.run(commands, hub.environment(tmp_path / "cache"))
        fetched = [line for line in hub.requests if line.startswith("GET /org/text/resolve")]
    assert (code, out) == (2, "")
    assert "org/text is of type 'bert', a BertForSequenceClassification: not an audio classifier" in err
    assert fetched
    assert all(line.endswith("/config.json") for line in fetched)


HEADS = {
    "Wav2Vec2ForCTC": "wav2vec2",
    "HubertForCTC": "hubert",
    "WavLMForXVector": "wavlm",
    "Wav2Vec2ForPreTraining": "wav2vec2",
    "Wav2Vec2Model": "wav2vec2",
    "WhisperForConditionalGeneration": "whisper",
    "ASTModel": "audio-spectrogram-transformer",
}


@pytest.mark.parametrize(
    "saved_as",
    [s if s in ("HubertForCTC", "ASTModel") else pytest.param(s, marks=pytest.mark.slow) for s in HEADS],
)
def test_an_audio_model_without_the_head_of_a_classifier_is_refused(tmp_path: Path, saved_as: str) -> None:
    import transformers

    folder = toy_models.save_model(tmp_path / "toy", HEADS[saved_as], CLASSES)
    config = transformers.AutoConfig.from_pretrained(folder)
    model = getattr(transformers, saved_as)(config)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder)
    with pytest.raises(BadModel, match=r"no fitting weights for .*they would be random"):
        load(str(folder), device="cpu")
    assert cli.run(["check", str(folder)]) == 2


class _Padding:
    """A model that takes a second for every sound, however short; the clock is its own."""

    min_samples = 1

    def __init__(self) -> None:
        self.ref = ModelRef("local/padding", "0" * 64, "1" * 64)
        self.now_s = 0.0

    def logits(self, waveforms: list[np.ndarray], sample_rate_hz: int) -> None:
        self.now_s += len(waveforms)


def test_the_estimate_for_a_model_that_pads_is_by_its_sounds_and_not_by_their_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, suite = _Padding(), paths.open_suite()
    monkeypatch.setattr("harness.cli.check.time.perf_counter", lambda: model.now_s)
    for finding in check._estimates(model, suite, list(suite.tasks)):  # type: ignore[arg-type]
        about = re.fullmatch(r"at most (\d+) h for ([\d,]+) stimuli of embedded/starter", finding.detail)
        assert about is not None, finding.detail
        assert abs(int(about[1]) - int(about[2].replace(",", "")) / 3600) <= 0.5


def test_the_estimate_counts_a_shorter_sound_as_a_usual_one_and_a_longer_one_by_its_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, suite = _Padding(), paths.open_suite()
    monkeypatch.setattr("harness.cli.check.time.perf_counter", lambda: model.now_s)
    units = [Unit("0" * 32, n_samples, n_stimuli=n) for n_samples, n in ((100, 40), (50, 20), (300, 10))]
    monkeypatch.setattr("harness.evaluation.units.units_of", lambda suite, task: units)
    (finding, *_) = check._estimates(model, suite, list(suite.tasks))  # type: ignore[arg-type]
    assert finding.detail == "at most 90 s for 70 stimuli of embedded/starter"
