"""An adapter of somebody else, that leaves a mark wherever it is imported."""

from __future__ import annotations

from pathlib import Path

CODE = """
from pathlib import Path

with open({mark!r}, "a") as file:
    file.write("x")


class Evil:
    class_names = ["angry", "happy", "neutral", "sad"]
    sample_rate_hz = 16_000
    window_seconds = None

    def logits(self, waveforms):
        return [[1.0, 0.0, 0.0, 0.0] for _ in waveforms]
"""

LOOK_ALIKES = ("evil.py\uff1aEvil", "evil\u2024py:Evil", "evil.py:\u0415vil", "e\u200bvil.py:Evil")
"""A colon, a dot and a letter of other alphabets, and one that shows nothing."""


class Canary:
    """The file, and the mark that it leaves."""

    def __init__(self, folder: Path) -> None:
        self.file, self.mark = folder / "evil.py", folder.parent / f"{folder.name}.mark"
        folder.mkdir(parents=True, exist_ok=True)
        self.copy_to(folder)

    def copy_to(self, folder: Path) -> None:
        """Put it beside something; a folder of its name, too."""
        (folder / "evil.py").write_text(CODE.format(mark=str(self.mark)))
        (folder / "evil.py:Evil").mkdir(exist_ok=True)

    @property
    def was_run(self) -> bool:
        """Whether anything imported it, or a copy."""
        return self.mark.exists()

    def names(self) -> tuple[str, ...]:
        """Every way to write it, for who works in its folder."""
        absolute = f"{self.file}:Evil"
        above = f"../{self.file.parent.name}/evil.py:Evil"
        plain = ("evil.py:Evil", "./evil.py:Evil", above, absolute, "evil.py", "evil")
        prefixed = ("adapter:clap", "adapter:evil", "adapter:./evil.py:Evil", f"file://{absolute}")
        return (*plain, *prefixed, "local/evil.py:Evil", " evil.py:Evil\n", "x\n/evil.py:Evil", *LOOK_ALIKES)
