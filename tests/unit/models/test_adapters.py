"""Adapters: how they are found, constructed, hashed and asked; what is refused, in one line each."""

import dataclasses
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.errors import BadInput, BadModel
from harness.models import checkpoints
from harness.models.external import pinned
from harness.models.external.classifier import _two_logits
from harness.models.external.options import AdapterOptions
from harness.models.loading import load, resolve
from tests.helpers import toy_adapters

RATE = 16_000


def noise(n: int = RATE, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).normal(size=n)).astype(np.float32)


def options(*arguments: str) -> AdapterOptions:
    return AdapterOptions(arguments)


@pytest.fixture
def shape(tmp_path: Path) -> str:
    return toy_adapters.write_logits(tmp_path / "shape")


def weights_of(model: str) -> str:
    return f"weights={Path(model.rpartition(':')[0]).parent / 'weights.npy'}"


def test_logits_are_those_of_the_adapter_alone_and_in_batches(shape):
    classifier = load(shape, adapter=options(weights_of(shape), "gain=2"), batch_size=2)
    sounds = [noise(n, n) for n in (RATE, 8_000, RATE, 400, RATE)]
    folder = Path(shape.rpartition(":")[0]).parent
    scope: dict = {}
    exec(toy_adapters.SHAPES, scope)  # noqa: S102 - ours
    expected = 2 * np.stack([scope["spectrum"](s) for s in sounds]) @ np.load(folder / "weights.npy")
    np.testing.assert_allclose(classifier.logits(sounds, RATE), expected, rtol=1e-5)
    assert classifier.class_names == ("angry", "happy", "neutral", "sad")
    assert (classifier.facts.kind, classifier.facts.licence) == ("adapter", "mit")
    with pytest.raises(BadInput, match="too short"):
        classifier.logits([noise(399)], RATE)


def test_the_revision_is_the_hash_of_code_weights_arguments_and_packages(shape):
    source = resolve(shape, adapter=options(weights_of(shape)))
    facts, folder = source.facts, Path(shape.rpartition(":")[0]).parent

    def sha256(name: str) -> str:
        return hashlib.sha256((folder / name).read_bytes()).hexdigest()

    assert facts.code == {name: sha256(name) for name in ("shape.py", "shapes.py")}
    assert facts.weights == {"weights.npy": sha256("weights.npy")}
    assert facts.arguments == {"weights": "weights.npy"}
    assert facts.packages == {"numpy": np.__version__}
    content = json.dumps(dataclasses.asdict(facts), sort_keys=True, ensure_ascii=False)
    assert source.ref.revision == hashlib.sha256(content.encode()).hexdigest()
    assert source.ref.repo_id == "local/shape"


@pytest.mark.parametrize("change", ["shape.py", "shapes.py", "weights.npy", "argument", "package"])
def test_whatever_decides_its_answers_changes_the_revision(shape, change, monkeypatch):
    arguments = [weights_of(shape)]
    before = resolve(shape, adapter=options(*arguments)).ref
    assert resolve(shape, adapter=options(*arguments)).ref == before
    folder = Path(shape.rpartition(":")[0]).parent
    if change == "argument":
        arguments.append("gain=1.5")
    elif change == "package":
        monkeypatch.setattr(
            "harness.models.external.imports._versions", lambda names: dict.fromkeys(names, "1")
        )
    elif change == "weights.npy":
        np.save(folder / change, np.ones((8, 4)))
    else:
        (folder / change).write_text((folder / change).read_text() + "\n# a change\n")
    after = resolve(shape, adapter=options(*arguments)).ref
    assert after.revision != before.revision
    assert (after.weights_sha256 != before.weights_sha256) == (change != "package")


def test_a_copy_elsewhere_has_the_same_revision(shape, tmp_path):
    copy = toy_adapters.write_logits(tmp_path / "elsewhere")
    one, other = (resolve(m, adapter=options(weights_of(m))).ref for m in (shape, copy))
    assert one == other


def test_a_score_becomes_two_logits_and_the_class_above_needs_more_than_the_threshold(tmp_path):
    model = toy_adapters.write(tmp_path, toy_adapters.SCORES)
    classifier = load(model)
    # Loudness: below, at and above 0.01.
    levels = [0.005, 0.01, 0.02]
    threshold = float(np.float64(np.float32(0.01)))
    text = toy_adapters.SCORES.replace("threshold = 0.01", f"threshold = {threshold!r}")
    classifier = load(toy_adapters.write(tmp_path / "exact", text))
    sounds = [np.full(RATE, level, dtype=np.float32) for level in levels]
    logits = classifier.logits(sounds, RATE)
    names = [classifier.class_names[i] for i in logits.argmax(axis=1)]
    assert names == ["spoof", "spoof", "bonafide"]
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], np.array(levels) - threshold, atol=1e-8)
    assert classifier.facts.adapter.threshold_source.startswith("equal error rate")


@pytest.mark.parametrize("above", [0, 1])
def test_no_score_is_lost_to_rounding(above):
    threshold = 1.0
    scores = np.array([np.nextafter(1.0, 2), 1.0, np.nextafter(1.0, 0), 1 + 1e-60, -1e30, 1e30])
    logits = _two_logits(scores, threshold, above)
    assert logits.dtype == np.float32
    assert (logits.argmax(axis=1) == above).tolist() == (scores > threshold).tolist()


def test_a_score_in_float32_is_compared_with_the_threshold_as_it_is_stated(tmp_path):
    # float32(0.1) is more than 0.1, and float32(0.7) less than 0.7.
    for threshold, winner in ((0.1, "bonafide"), (0.7, "spoof")):
        text = toy_adapters.SCORES.replace("threshold = 0.01", f"threshold = {threshold}")
        text = text.replace("[float(", "np.array([np.float32(").replace("in waveforms]", "in waveforms])")
        text = text.replace("np.abs(waveform.astype(np.float64)).mean()", str(threshold))
        classifier = load(toy_adapters.write(tmp_path / str(threshold), text))
        assert classifier.class_names[classifier.logits([noise()], RATE)[0].argmax()] == winner


ATTRIBUTES = {
    "no class names": ("class_names = [", "names = [", "has no class_names"),
    "one class": ('["spoof", "bonafide"]', '["spoof"]', "two class names or more"),
    "one class twice": ('["spoof", "bonafide"]', '["spoof", "spoof"]', "'spoof' appears twice"),
    "three classes of one score": ('"bonafide"]', '"bonafide", "other"]', "two, for one score"),
    "classes that are numbers": ('["spoof", "bonafide"]', "[0, 1]", "a list of texts"),
    "no rate": ("sample_rate_hz", "rate", "has no sample_rate_hz"),
    "a rate in kHz": ("16_000", "16", "from 1,000 to 768,000"),
    "no threshold": ("threshold = 0.01", "limit = 0.01", "has no threshold; expected a number"),
    "a threshold that is text": ("0.01", '"0.01"', "threshold is '0.01'"),
    "a threshold that is NaN": ("0.01", 'float("nan")', "threshold is nan"),
    "no direction": ("above = ", "below = ", "the class that score > threshold means"),
    "a direction that is no class": ('above = "bonafide"', 'above = "real"', "'spoof', 'bonafide'"),
    "no source": ("threshold_source", "source", "where the threshold comes from"),
    "a source of two lines": ("recordings of", "recordings\\nof", "one line"),
    "no method": ("def scores", "def answer", "neither logits nor scores"),
    "both methods": ("def scores", "logits = print\n\n    def scores", "both logits and scores"),
    "weights that are not there": ("window_seconds = None", 'weights = ["a.pt"]', "where there is no file"),
    "weights that are one text": ("window_seconds = None", 'weights = "a.pt"', "a list of files"),
    "a kind that is none": ("window_seconds = None", 'kind = "head"', "one of 'zero-shot', 'adapter'"),
    "a window of nothing": ("window_seconds = None", "window_seconds = 0", "more than 0"),
    "a minimum that is no number": ("window_seconds = None", "min_samples = 0.5", "a whole number"),
    "fixed_length that is text": ("window_seconds = None", 'fixed_length = "no"', "True or False"),
}


@pytest.mark.parametrize("case", ATTRIBUTES)
def test_an_attribute_that_is_missing_or_wrong_is_named_in_one_line(tmp_path, case):
    old, new, expected = ATTRIBUTES[case]
    assert old in toy_adapters.SCORES
    model = toy_adapters.write(tmp_path, toy_adapters.SCORES.replace(old, new, 1))
    with pytest.raises(BadModel, match=r"^adapter\.py:Detector") as error:
        load(model)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


ANSWERS = {
    "NaN": ("[float('nan')] * len(waveforms)", "not finite"),
    "too few": ("[0.5]", r"scores of shape \(1,\) for 2 clips; expected one for each, \(2,\)"),
    "two columns": ("[[0.1, 0.2]] * len(waveforms)", "expected one for each"),
    "text": ("['loud'] * len(waveforms)", "gave list; expected an array of numbers"),
    "nothing": ("None", "expected an array of numbers"),
    "an exception": ("1 / 0", r"ZeroDivisionError: division by zero \(adapter.py, line \d+\)"),
    "the end of the program": ("exit(3)", "SystemExit: 3"),
    "a random number": ("np.random.random(len(waveforms))", r"the second time.*model.eval\(\)"),
    "the number of its call": ("[self.__dict__.setdefault('n', []).append(0) or len(self.n)]", "the second"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_an_answer_that_is_wrong_is_one_line(tmp_path, case, capsys):
    answer, expected = ANSWERS[case]
    head = toy_adapters.SCORES.rpartition("return ")[0]
    model = toy_adapters.write(tmp_path, f"{head}print('x'); return {answer}\n")
    with pytest.raises(BadModel, match=expected) as error:
        load(model).logits([noise(seed=1), noise(seed=2)], RATE)
    assert "\n" not in str(error.value)
    assert capsys.readouterr().out == ""


FILES = {
    "no such file": ("gone.py:Detector", "no adapter at"),
    "a slip in the name": ("adaptor.py:Detector", "did you mean 'adapter.py'"),
    "no such class": ("adapter.py:Detectr", "did you mean 'Detector'"),
    "no class of its own": ("adapter.py:np", "its classes: Detector"),
    "none of this name is shipped": ("adapter:clpa", "did you mean 'clap'"),
}


@pytest.mark.parametrize("case", FILES)
def test_what_is_no_adapter_is_named_in_one_line(tmp_path, case, monkeypatch):
    toy_adapters.write(tmp_path, toy_adapters.SCORES)
    monkeypatch.chdir(tmp_path)
    model, expected = FILES[case]
    with pytest.raises(BadModel, match=expected):
        load(model)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["wieghts=w.npy"], "no argument 'wieghts'; did you mean 'weights'"),
        ([], "weights missing"),
        (["gain"], "expected NAME=VALUE"),
        (["gain=1", "gain=2"], "given twice"),
        (["weights=w.npy", "gain=loud"], "gain is 'loud'; expected a number"),
    ],
)
def test_an_argument_that_is_wrong_is_named_in_one_line(shape, arguments, expected):
    with pytest.raises(BadInput, match=expected):
        load(shape, adapter=options(*arguments))


def test_a_folder_that_was_given_holds_files_that_are_named_as_weights(tmp_path):
    text = toy_adapters.SCORES.replace("def scores", "def __init__(self, model): pass\n\n    def scores")
    model = toy_adapters.write(tmp_path, text)
    (tmp_path / "folder").mkdir()
    with pytest.raises(BadModel, match="names no file in it as weights"):
        load(model, adapter=options(f"model={tmp_path / 'folder'}"))


def test_options_of_a_checkpoint_are_refused(tmp_path):
    model = toy_adapters.write(tmp_path, toy_adapters.SCORES)
    with pytest.raises(BadInput, match="whose revision is its sha256"):
        load(model, "main")
    with pytest.raises(BadInput, match="leave --trust-remote-code out"):
        load(model, trust_remote_code=True)
    with pytest.raises(BadInput, match="leave --dtype bfloat16 out"):
        load(model, dtype="bfloat16")
    with pytest.raises(BadInput, match="leave --compile out"):
        load(model).compile("inductor")
    with pytest.raises(BadInput, match="--adapter-arg is for adapters, and org/name is none"):
        load("org/name", adapter=options("gain=2"))


@pytest.mark.parametrize("name", ["adapter.py:Detector", "./adapter.py:Detector", "adapter:clap"])
def test_a_checkpoint_is_no_adapter_whatever_its_name(tmp_path, name, monkeypatch):
    toy_adapters.write(tmp_path, "raise SystemExit('run')")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadModel, match="no code is run for what names it here"):
        checkpoints.resolve(name)


def test_an_adapter_that_takes_a_device_gets_that_of_the_command(tmp_path):
    text = toy_adapters.SCORES.replace(
        "def scores", "def __init__(self, device: str):\n        self.name = device\n\n    def scores"
    )
    classifier = load(toy_adapters.write(tmp_path, text), device="cpu")
    assert classifier.ref.repo_id == "local/cpu"
    assert "device" not in classifier.facts.adapter.arguments


def test_a_window_that_is_not_stated_is_measured(tmp_path):
    text = toy_adapters.SCORES.replace("    window_seconds = None\n", "").replace(
        "waveform.astype", "waveform[:8_000].astype"
    )
    assert load(toy_adapters.write(tmp_path, text)).facts.window_seconds == pytest.approx(0.5, abs=0.011)


def test_every_shipped_adapter_has_its_file():
    for model in pinned.SHIPPED:
        file, class_name = pinned.locate(f"adapter:{model}")
        lines = file.read_text().splitlines()
        assert any(line.startswith(f"class {class_name}") for line in lines)
        assert len(lines) <= 80


def test_two_adapters_have_modules_of_one_name_each_its_own(tmp_path):
    head, body = toy_adapters.SCORES.split("        return ")
    texts = {
        "early": f"from level import gain\n{head}        return {body}".replace(
            ".mean()", ".mean() * gain()"
        ),
        "late": f"{head}        from level import gain\n        return {body}".replace(
            ".mean()", ".mean() * gain()"
        ),
    }
    sound, scores = noise(), {}
    classifiers = {}
    for gain, name in enumerate(texts, start=1):
        model = toy_adapters.write(tmp_path / name, texts[name])
        (tmp_path / name / "level.py").write_text(f"def gain():\n    return {gain}\n")
        classifiers[name] = load(model)
        assert set(classifiers[name].facts.adapter.code) == {"adapter.py", "level.py"}
    for name in ("early", "late", "early"):
        scores[name] = classifiers[name].logits([sound], RATE)[0, 1] + 0.01
    assert scores["late"] == pytest.approx(2 * scores["early"], rel=1e-5)
    assert "level" not in sys.modules
    assert str(tmp_path / "early") not in sys.path
