"""How each genre of the starter suite is played: tempo, harmony, patterns for drums, bass, chords and melody.

A table to read, composed by music.py. A genre is when notes come, which they are and, less so, who plays;
everything has variants, and some instruments are at home in several genres.

Conventions: a pattern is a string of marks, a mark a step, that repeats; `division` steps are a beat. In all
of them `.` is silence and `-` holds what sounds. Drums: `x` a stroke, `X` a strong one, `o` a weak one, `r` a
roll within the step. Bass: `R` root, `3` third, `5` fifth, `8` octave, `w` a step of a walk. Chords: `c` the
whole chord, a digit one of its notes, counted from 0 upwards through octaves. Melody: `n` a step up or down,
`u` up, `d` down, `s` the same again, `j` a note of the chord. Chords of a progression are degrees of the
scale from 0; a voicing is a stack of degrees above the chord's root.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

Span = tuple[float, float]
Scale = tuple[int, ...]

MAJOR: Scale = (0, 2, 4, 5, 7, 9, 11)
MINOR: Scale = (0, 2, 3, 5, 7, 8, 10)
DORIAN: Scale = (0, 2, 3, 5, 7, 9, 10)
PHRYGIAN: Scale = (0, 1, 3, 5, 7, 8, 10)
MIXOLYDIAN: Scale = (0, 2, 4, 5, 7, 9, 10)

PIECES: MappingProxyType[str, tuple[int, ...]] = MappingProxyType(
    {
        "kick": (35, 36),
        "snare": (38, 40),
        "stick": (37,),
        "clap": (39,),
        "hat": (42,),
        "pedal": (44,),
        "open": (46,),
        "ride": (51, 59),
        "crash": (49, 57, 52),
        "tom": (41, 43, 45, 47),
        "shaker": (54, 69, 70),
        "conga": (62, 63, 64),
        "scratch": (29, 30),
        "triangle": (80, 81),
    }
)
"""Keys of General MIDI for a piece of the kit; a clip takes one."""


@dataclass(frozen=True)
class Genre:
    """How one genre is played; a span is the range a clip's value is drawn from, of a tuple it takes one."""

    tempo: Span
    """Beats per minute."""
    division: int
    """Steps in a beat."""
    swing: Span
    """How late every other step comes, in steps."""
    scales: tuple[Scale, ...]
    """Semitones above the key."""
    progressions: tuple[tuple[int, ...], ...]
    """Roots of the chords, in degrees of the scale."""
    chord_beats: tuple[int, ...]
    """How long a chord lasts."""
    voicings: tuple[tuple[int, ...], ...]
    """Degrees above the root."""
    drums: tuple[dict[str, str], ...]
    """Patterns by piece of the kit."""
    bass: tuple[str, ...]
    """Patterns."""
    chords: tuple[str, ...]
    """Patterns."""
    melody: tuple[str, ...]
    """Patterns."""
    register: int
    """Semitones by which chords are moved."""
    gate: Span
    """How much of its time a chord sounds."""
    favourites: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    """Programs it prefers for bass, chords and melody, and kits."""


GENRES: MappingProxyType[str, Genre] = MappingProxyType(
    {
        "classical": Genre(
            tempo=(70, 108),
            division=4,
            swing=(0.0, 0.0),
            scales=(MAJOR, MAJOR, MINOR),
            progressions=((0, 3, 4, 0), (0, 4, 5, 3), (0, 5, 1, 4), (0, 4, 0, 4)),
            chord_beats=(2, 4),
            voicings=((0, 2, 4), (0, 2, 4, 7)),
            drums=(
                {},
                {"triangle": "x---------------"},
                {"tom": "X.........x.x.x.", "crash": "x---------------................"},
                {"tom": "X.......x.......", "triangle": "....x-------x---"},
            ),
            bass=("R---------------", "R-------5-------", "R---3---5---3---", "R-----------5---"),
            chords=(
                "0212021202120212",
                "0123432101234321",
                "0-2-1-2-0-2-1-2-",
                "012301230123",
                "c-------c-------",
            ),
            melody=(
                "n---n-n-u-u-u-d-",
                "uuuuddddn-n-j---",
                "j-----ssuuuuj---",
                "dddddddduuuuuuuu",
                "n-sn-sn-sn-suuuu",
            ),
            register=0,
            gate=(0.9, 1.1),
            favourites=((42, 43, 32), (0, 6, 46, 48), (40, 73, 71, 68), (48,)),
        ),
        "disco": Genre(
            tempo=(108, 132),
            division=4,
            swing=(0.0, 0.08),
            scales=(MINOR, DORIAN, MAJOR),
            progressions=((0, 5, 6, 4), (0, 3, 6, 2), (0, 6, 5, 6), (1, 4, 0, 5)),
            chord_beats=(4, 8),
            voicings=((0, 2, 4, 6), (2, 4, 6), (0, 2, 4)),
            drums=(
                {"kick": "X---", "open": "..X.", "hat": "x.", "clap": "....X..."},
                {"kick": "X---", "open": "..x.", "hat": "xx.x", "snare": "....X...", "conga": "..x..x.x"},
                {"kick": "X---", "open": "..X.", "snare": "....X..o", "shaker": "xoxo"},
            ),
            bass=("R-8-R-8-R-8-R-8-", "R.8.R.8.R.8.5.8.", "..8-..8-..8-..8-", "R.R8.8R.R.R8.88."),
            chords=("c.ccc.cc.ccc.cc.", ".c.cc.c..c.cc.cc", "cc.c.cc.cc.c.cc.", "c...c.c...c.c.cc"),
            melody=("uuuuuuuuj-------", "j-..j.jj..j.j-..", "j-----dddddddd--", "n.n.nn.n.n.n----"),
            register=0,
            gate=(0.3, 0.6),
            favourites=((33, 34, 36, 38), (27, 28, 7, 4), (48, 50, 61, 81), (0, 8, 25)),
        ),
        "hiphop": Genre(
            tempo=(78, 98),
            division=4,
            swing=(0.12, 0.38),
            scales=(MINOR, MINOR, PHRYGIAN, DORIAN),
            progressions=((0, 0, 5, 0), (0, 5), (0, 3), (0, 6, 5, 5)),
            chord_beats=(4, 8),
            voicings=((0, 2, 4, 6), (0, 4, 9), (0, 2, 4)),
            drums=(
                {"kick": "X..x......x..x..", "snare": "....X.......X..o", "hat": "x.x.x.x.x.xxx.x."},
                {"kick": "X.....xx..X.....", "clap": "....X.......X...", "hat": "x.x.rrx.x.x.x.rr"},
                {
                    "kick": "X.x....x.xX...x.",
                    "snare": "....X..o.o..X...",
                    "hat": "xxxxrxxxxxxrxxrr",
                    "scratch": "..............xx",
                },
            ),
            bass=("R--R--......R-..", "R------.....R---", "R-....R-..R-....", "R--.......R--R-."),
            chords=("c--.......c-....", "c-----------....", "..4.3.2.....0...", "0..2..4..2..0..."),
            melody=("s.ss.ss.s.s.n...", "..ss.sns..ss.s..", "j...n.......s.n.", "sssnss.ssns.s..."),
            register=0,
            gate=(0.6, 1.0),
            favourites=((38, 39, 33, 35), (4, 0, 11, 5), (80, 73, 62, 85), (25, 0, 8)),
        ),
        "jazz": Genre(
            tempo=(132, 210),
            division=3,
            swing=(0.0, 0.0),
            scales=(MAJOR, DORIAN, MIXOLYDIAN),
            progressions=((1, 4, 0, 5), (2, 5, 1, 4), (0, 3, 1, 4), (1, 4, 0, 0)),
            chord_beats=(2, 4),
            voicings=((2, 6, 8, 11), (0, 2, 6, 8), (6, 9, 11), (2, 5, 6, 8)),
            drums=(
                {"ride": "X..x.xX..x.x", "pedal": "...x..", "kick": "o.....o....."},
                {"ride": "X..x.x", "pedal": "...x..", "snare": ".....o..o......o........"},
                {"ride": "X..x.xX..x.x", "stick": "...x......x.", "kick": "o..o.."},
            ),
            bass=("w--w--w--w--", "w--w--w--w-w", "w--w-ww--w--"),
            chords=("c--..c......", ".....c--....", "..c.....c--.", "...c.....c.c.....c......"),
            melody=("n-nn-nn-nn-j", "u-uu-ud-dd-d...j-nn-nj--", "j-nn-u.-dn-dj--..n", "n-nnnnn-nj-d"),
            register=0,
            gate=(0.4, 0.8),
            favourites=((32, 32, 35), (0, 26, 11, 4), (65, 66, 56, 26), (32, 40, 0)),
        ),
        "metal": Genre(
            tempo=(130, 190),
            division=4,
            swing=(0.0, 0.0),
            scales=(PHRYGIAN, MINOR, PHRYGIAN),
            progressions=((0, 0, 1, 0), (0, 5, 6, 0), (0, 1, 0, 6), (0, 0, 0, 4)),
            chord_beats=(2, 4),
            voicings=((0, 4, 7), (0, 4), (0, 4, 7)),
            drums=(
                {"kick": "xxxxxxxxxxxxxxxx", "snare": "....X...", "crash": "X..."},
                {"kick": "x.x.x.x.", "snare": ".x.x.x.x", "crash": "X..."},
                {"kick": "xx.xx.xxxx.xx.xx", "snare": "........X.......", "crash": "X...x..."},
            ),
            bass=("RRRRRRRRRRRRRRRR", "R.RRR.RRR.RRR.RR", "RRRR.RRRR.RR.RRR"),
            chords=("cccccccccccccccc", "c.ccc.ccc.ccc.cc", "ccc.ccc.ccc.cc--", "cc.cc.cccc.cc.cc"),
            melody=("ssssssssnnnnssss", "uuuudddduuuudddd", "ssssnnnnssssnnnn", "jdddjdddjdddjddd"),
            register=-12,
            gate=(0.4, 0.9),
            favourites=((34, 33, 36), (30, 29, 30, 29), (30, 29, 81), (16, 0, 8)),
        ),
        "reggae": Genre(
            tempo=(132, 168),
            division=3,
            swing=(0.0, 0.0),
            scales=(MAJOR, MINOR, MIXOLYDIAN),
            progressions=((0, 3), (0, 4, 3, 4), (0, 1, 0, 1), (0, 5, 3, 4)),
            chord_beats=(4, 8),
            voicings=((0, 2, 4), (2, 4, 7), (4, 7, 9)),
            drums=(
                {"kick": "......X.....", "stick": "......X.....", "hat": "x..x.xx..x.o"},
                {"kick": "X.....X.....", "snare": "......X.....", "hat": "...x.....x.."},
                {
                    "kick": "......X.....",
                    "stick": "......X....x",
                    "hat": "x..x..x..x.x",
                    "open": ".........x..",
                },
            ),
            bass=(
                "R--..RR--...5--3--......",
                "...R--R--...",
                "R--R--5-----............",
                "..R--.3--5--R-----......",
            ),
            chords=("...c.....c..", "...c.....c..", "...c.c...c.c", ".....c...c.."),
            melody=("n--n-----...............", "............j-----n--...", "j-----.........s--n--..."),
            register=0,
            gate=(0.25, 0.5),
            favourites=((33, 35, 38, 39), (27, 16, 18, 0), (22, 57, 18, 61), (0, 8)),
        ),
    }
)
"""By canonical label; `tempo` and patterns of reggae count in fast beats, two to a nod."""
