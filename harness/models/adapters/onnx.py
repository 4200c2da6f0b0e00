"""A model in the ONNX format, run by onnxruntime.

Example: `--adapter-arg model=aasist.onnx --adapter-arg classes=spoof,bonafide`. The input is float32
(n, n_samples), perhaps with axes of size 1 in between; where its length is fixed, waveforms are cut or padded
with zeros. The output is (n, n_classes); with a threshold, one score for each waveform.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime


class Onnx:
    """Has `logits`, or with a threshold `scores`. More than one thread may change the last digits."""

    def __init__(
        self,
        model: Path,
        classes: str,
        sample_rate_hz: int = 16_000,
        input_name: str = "",
        output_name: str = "",
        threshold: float | None = None,
        above: str = "",
        threshold_source: str = "",
        min_samples: int = 1,
        threads: int = 1,
        device: str = "cpu",
    ):
        self._model = model = model.absolute()
        self.class_names = [name.strip() for name in classes.split(",")]
        self.name, self.sample_rate_hz, self.min_samples = model.stem, sample_rate_hz, min_samples
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 4
        card = ("CUDAExecutionProvider", {"device_id": device.partition(":")[2] or "0"})
        providers = [card, "CPUExecutionProvider"] if device.startswith("cuda") else ["CPUExecutionProvider"]
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers)
        except Exception as error:
            raise ValueError(f"onnxruntime cannot load {model}: {error}") from None
        node = self._choose("input", input_name, self._session.get_inputs())
        sizes = [size if isinstance(size, int) else 0 for size in node.shape]  # 0: any size
        if node.type != "tensor(float)" or len(sizes) < 2 or max(sizes[:-1]) > 1:
            raise ValueError(f"{model} takes {node}; expected tensor(float) of shape (n, n_samples)")
        self._input, self._axes = node.name, [1] * len(sizes[1:-1])
        self._one_by_one, self._length = sizes[0] == 1, sizes[-1]
        if self._length:
            self.fixed_length, self.window_seconds = True, self._length / sample_rate_hz
        self._output = self._choose("output", output_name, self._session.get_outputs()).name
        # Files of external data: "location", the length of the name in one byte or two, the name.
        entries = model.read_bytes().split(b"\n\x08location\x12")[1:]
        names = {e[1 : 1 + e[0]] if e[0] < 128 else e[2 : e[0] - 126 + 128 * e[1]] for e in entries}
        self.weights = [model, *(model.parent / name.decode() for name in sorted(names))]
        if threshold is None:
            self.logits, self._width = self._numbers, len(self.class_names)
        else:
            self.scores, self._width = self._numbers, 1
            self.threshold, self.above, self.threshold_source = threshold, above, threshold_source

    def _choose(self, kind: str, name: str, nodes: list[Any]) -> Any:
        chosen = [node for node in nodes if name in ("", node.name)]
        if len(chosen) != 1:
            raise ValueError(f"{self._model} has {kind}s {[n.name for n in nodes]}; name one by {kind}_name")
        return chosen[0]

    def _numbers(self, waveforms: list[Any]) -> Any:
        if n := self._length:
            waveforms = [np.pad(x[:n], (0, n - len(x[:n]))) for x in waveforms]
        x = np.stack(waveforms).reshape(len(waveforms), *self._axes, -1)
        parts = np.split(x, len(x)) if self._one_by_one else [x]
        answers = [self._session.run([self._output], {self._input: part})[0] for part in parts]
        answer = np.stack(answers) if self._one_by_one else answers[0]
        if answer.shape[:1] != x.shape[:1] or answer.size != len(x) * self._width:
            line = f"{self._model}: {self._output} has shape {answer.shape}, not ({len(x)}, {self._width})"
            raise ValueError(f"{line}; are all its classes given? one score needs a threshold")
        return answer.reshape(len(x), self._width) if self._width > 1 else answer.reshape(len(x))
