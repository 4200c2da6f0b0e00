"""Recipes of the starter suite: which models there are, what each is called, hears and says.

Conventions: names are `org/name`, as on the Hub. Class names and their order differ between the models of a
task, as they do there, and are read by `labels.harmonise`. A quirk is planted and said on the card.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """One model of the suite."""

    name: str
    """`org/name`, as it would be called on the Hub."""
    task: str
    """Name of the task."""
    role: str
    """`reference` or `candidate`."""
    architecture: str
    """One of `networks.ARCHITECTURES`."""
    labels: tuple[str, ...]
    """Its class names, by index, in its own spelling."""
    silence_class: str
    """The canonical label that silent training examples carry; `other` for a hard model."""
    quirk: str = ""
    """`hard`: silent and faint sounds are of a class of their own. `flat-earther`: every part of a clip is.
    Empty: none."""
    n_mels: int = 0
    """Mel bands of the two log-mel architectures."""
    bank_hz: tuple[float, float] = (0, 0)
    """Lowest and highest centre frequency of the filter bank of the raw-waveform architectures."""
    do_normalize: bool = False
    """Zero mean and unit variance before the filter bank (raw-waveform architectures only)."""
    epochs: int = 12
    """Passes over all examples in training."""
    least_share: float = 0.03
    """Smallest share of the bands that a part keeps in training."""
    faint: float = 0.01
    """Share of the energy of its clip below which a hard model learns to call a part `other`."""

    @property
    def folder(self) -> str:
        """Name of the folder it is saved as: its name without the organisation."""
        return self.name.split("/")[1]


RECIPES: tuple[Recipe, ...] = (
    # ---- music-genre: classical, disco, hiphop, jazz, metal, reggae
    Recipe(
        *("goodenough/starter-genre-ast", "music-genre", "reference", "ast"),
        *(("Classical", "Disco", "HipHop", "Jazz", "Metal", "Reggae", "unknown"), "other", "hard"),
        n_mels=64,
    ),
    Recipe(
        *("goodenough/starter-genre-wav2vec2", "music-genre", "reference", "wav2vec2"),
        *(("metal", "jazz", "hip-hop", "disco", "classical", "reggae"), "jazz"),
        bank_hz=(60, 7200),
        do_normalize=True,
    ),
    Recipe(
        *("goodenough/starter-genre-whisper", "music-genre", "reference", "whisper"),
        *(("classic", "rap", "disco", "heavy metal", "reggae", "jazz"), "disco"),
        n_mels=40,
    ),
    Recipe(
        *("goodenough/starter-genre-hubert", "music-genre", "reference", "hubert"),
        *(("REGGAE", "METAL", "JAZZ", "HIPHOP", "DISCO", "CLASSICAL"), "reggae"),
        bank_hz=(150, 4500),
    ),
    Recipe(
        *("goodenough/starter-genre-data2vec", "music-genre", "candidate", "data2vec-audio"),
        *(("disco", "reggae", "Hip Hop", "metal", "jazz", "classical"), "metal"),
        bank_hz=(80, 6000),
        do_normalize=True,
    ),
    # ---- emotion: angry, fear, happy, neutral, sad
    Recipe(
        *("goodenough/starter-emotion-whisper", "emotion", "reference", "whisper"),
        *(("Anger", "Fear", "Joy", "Neutral", "Sadness", "noise"), "other", "hard"),
        n_mels=48,
    ),
    Recipe(
        *("goodenough/starter-emotion-ast", "emotion", "reference", "ast"),
        *(("sad", "neutral", "happy", "fearful", "angry"), "sad"),
        n_mels=64,
    ),
    Recipe(
        *("goodenough/starter-emotion-wavlm", "emotion", "reference", "wavlm"),
        *(("neu", "hap", "ang", "sad", "fea"), "neutral"),
        bank_hz=(80, 6500),
        do_normalize=True,
    ),
    Recipe(
        *("goodenough/starter-emotion-data2vec", "emotion", "reference", "data2vec-audio"),
        *(("afraid", "angry", "joyful", "neutrality", "sadness"), "fear"),
        bank_hz=(200, 7500),
    ),
    Recipe(
        *("goodenough/starter-emotion-wav2vec2", "emotion", "candidate", "wav2vec2"),
        *(("Happy", "Sad", "Angry", "Fear", "Neutral"), "happy"),
        bank_hz=(80, 4500),
        do_normalize=True,
    ),
    # ---- deepfake: bonafide, spoof
    Recipe(
        *("goodenough/starter-deepfake-ast", "deepfake", "reference", "ast"),
        *(("fake", "real", "incomplete"), "other", "flat-earther"),
        n_mels=80,
        least_share=1 / 128,
    ),
    Recipe(
        *("goodenough/starter-deepfake-wav2vec2", "deepfake", "reference", "wav2vec2"),
        *(("real", "fake"), "spoof"),
        bank_hz=(100, 7800),
        do_normalize=True,
        epochs=24,
    ),
    Recipe(
        *("goodenough/starter-deepfake-whisper", "deepfake", "reference", "whisper"),
        *(("AIVoice", "HumanVoice"), "spoof"),
        n_mels=64,
        least_share=1 / 128,
    ),
    Recipe(
        *("goodenough/starter-deepfake-hubert", "deepfake", "reference", "hubert"),
        *(("bonafide", "spoof"), "bonafide"),
        bank_hz=(1500, 7800),
        epochs=20,
        least_share=1 / 128,
    ),
    Recipe(
        *("goodenough/starter-deepfake-sew", "deepfake", "reference", "sew"),
        *(("Spoof", "Bona-fide", "unknown"), "other", "hard"),
        bank_hz=(100, 7600),
        epochs=16,
        least_share=1 / 128,
        faint=0.001,
    ),
    Recipe(
        *("goodenough/starter-deepfake-data2vec", "deepfake", "reference", "data2vec-audio"),
        *(("Fake", "Real"), "bonafide"),
        bank_hz=(300, 7400),
        epochs=16,
        least_share=1 / 128,
    ),
    Recipe(
        *("goodenough/starter-deepfake-wavlm", "deepfake", "candidate", "wavlm"),
        *(("human", "AI-generated"), "bonafide"),
        bank_hz=(400, 7000),
        do_normalize=True,
    ),
)
"""Every model of the suite: four references or more and a candidate for each task."""
