"""Checks of sound files before they are decoded: are the header and the data complete and consistent?

libsndfile decodes what is left of a file that was cut off without an error, and believes a wrong size in a
header. Here the header is compared with the bytes that are there. Sizes that a recorder left open (a stream)
or wrote wrong where the bytes leave no doubt are put right; every other difference is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from harness import bitstreams
from harness.bitstreams import integer
from harness.errors import BadCorpus
from harness.plurals import plural

_EXPECTED = "expected WAV, W64, AIFF, AU, CAF, NIST SPHERE, FLAC, OGG or MP3"

_OTHER_FORMATS = (
    (re.compile(rb"....ftyp", re.DOTALL), "MP4 (M4A, AAC)"),
    (re.compile(rb"\x1a\x45\xdf\xa3"), "Matroska or WebM"),
    (re.compile(rb"\x30\x26\xb2\x75"), "WMA"),
    (re.compile(rb"\xff[\xf0\xf1\xf8\xf9]"), "AAC"),
    (re.compile(rb"#!AMR"), "AMR"),
    (re.compile(rb"wvpk"), "WavPack"),
    (re.compile(rb"MAC "), "Monkey's Audio"),
)
"""How files begin that people take for sound files and libsndfile does not read."""


@dataclass(frozen=True)
class Sound:
    """A file that libsndfile decodes to its last sample."""

    data: bytes
    n_frames: int | None = None
    """Samples per channel that it must give; None where only the bytes tell."""
    padding: int = 0
    """At most so many more samples may come at the end, which are no part of the sound."""
    tolerance: int = 0
    """How many samples fewer are no fault."""
    with_header: bytes | None = None
    """The same sound with a longer header, for where `data` is decoded short of `n_frames`."""
    flac: bitstreams.Flac | None = None


def repair(data: bytes) -> Sound:
    """Check a file, and correct the sizes in its header where the right ones are certain.

    Raises:
        BadCorpus: cut off, damaged, or no such file; the message lacks its name, which the caller puts in
            front.
    """
    if not data:
        raise BadCorpus("is empty: it has no bytes; copy it again or remove it from the corpus")
    body = _strip_tags(data)
    magic = body[:4]
    if magic in (b"RIFF", b"RIFX", b"RF64", b"BW64") and body[8:12] == b"WAVE":
        return _wav(body)
    if magic == b"FORM" and body[8:12] in (b"AIFF", b"AIFC"):
        return _aiff(body)
    if body[:16] == _W64_RIFF:
        return _w64(body)
    if magic == b"caff":
        return _caf(body)
    if magic in (b".snd", b"dns."):
        return _au(body)
    if body[:8] == b"NIST_1A\n":
        return _nist(body)
    if magic == b"fLaC":
        flac = bitstreams.flac(body)
        return Sound(flac.data, flac.n_frames, flac=flac)
    if magic == b"OggS":
        return Sound(bitstreams.ogg(body))
    format_name = next((name for signature, name in _OTHER_FORMATS if signature.match(body)), None)
    if format_name is not None:
        raise BadCorpus(f"is not a readable sound file: it is {format_name}; convert it to FLAC or WAV")
    frames = body.lstrip(b"\0")
    if frames[:1] == b"\xff" and frames[1:2] >= b"\xe0":
        mpeg = bitstreams.mpeg(frames)
        return Sound(mpeg.data, mpeg.n_frames, tolerance=bitstreams.MPEG_FRAME, with_header=mpeg.with_header)
    raise BadCorpus(f"is not a readable sound file; {_EXPECTED}")


def _strip_tags(data: bytes) -> bytes:
    """Remove the tags that players put before (ID3v2) and after (ID3v1, APE) the sound."""
    while data[:3] == b"ID3" and len(data) > 10:
        size = sum((byte & 0x7F) << 7 * (3 - i) for i, byte in enumerate(data[6:10]))
        data = data[10 + size + (10 if data[5] & 0x10 else 0) :]
    while True:
        if data[-128:-125] == b"TAG":
            data = data[:-128]
        elif data[-32:-24] == b"APETAGEX":
            size = integer(data, len(data) - 20, 4, "little") + (32 if data[-9] & 0x80 else 0)
            data = data[: max(0, len(data) - size)]
        else:
            return data


def _truncation(missing: int) -> BadCorpus:
    return BadCorpus(f"is cut off: {missing:,} bytes are missing; copy it again")


def _surplus(size: int, more: int) -> BadCorpus:
    return BadCorpus(
        f"has a wrong header: it says {size:,} bytes of sound, and {more:,} more follow; save it again"
    )


def _require_end(data: bytes, end: int, size: int) -> None:
    """Refuse a file whose sound, of so many bytes, does not end with it or before zeros."""
    if end > len(data):
        raise _truncation(end - len(data))
    if data[end:].strip(b"\0"):
        raise _surplus(size, len(data) - end)


def _no_sound() -> BadCorpus:
    return BadCorpus("is cut off or damaged: its sound is missing; copy it again")


Order = Literal["little", "big"]


def _chunks(data: bytes, at: int, order: Order, width: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and size of each chunk from `at` whose head is there; a size has `width` bytes."""
    while at + 4 + width <= len(data):
        name, size = data[at : at + 4], integer(data, at + 4, width, order)
        yield name, at + 4 + width, size
        at += 4 + width + size + (size % 2 if width == 4 else 0)


def _follows(data: bytes, end: int, order: Order, width: int) -> bool:
    """Whether what follows the sound is nothing, zeros, or a chunk, and neither sound nor another file."""
    for at in (end, end + 1):
        name, size = data[at : at + 4], integer(data, at + 4, width, order)
        if re.fullmatch(rb"(?!RIF|RF64|FORM)[ -~]{4}", name) and at + 4 + width + size <= len(data) + 1:
            return True
    return not data[end:].strip(b"\0")


def _is_open(size: int) -> bool:
    """Whether a 32-bit size is the placeholder of a stream: the largest number, less some headers."""
    return abs(size - 2**31) <= 2**16 or size >= 2**32 - 2**16


def _wav(data: bytes) -> Sound:
    """RIFF, its big-endian form, and the forms for more than 4 GB."""
    order: Order = "big" if data[:4] == b"RIFX" else "little"
    outer, format_chunk, ds64, n_in_fact = integer(data, 4, 4, order), b"", 0, None
    for name, start, size in _chunks(data, 12, order, 4):
        if name == b"fmt ":
            format_chunk = data[start : start + size]
        elif name == b"fact":
            n_in_fact = integer(data, start, 4, order)
        elif name == b"ds64":
            ds64, outer = start, integer(data, start, 8, "little")
        elif name == b"data":
            break
    else:
        raise _no_sound()
    if ds64 and size == 2**32 - 1:
        size = integer(data, ds64 + 8, 8, "little")
        is_open = size in (0, 2**32 - 1, 2**64 - 1)
    else:
        is_open = size == 0 or _is_open(size)
    available, code = len(data) - start, integer(format_chunk, 0, 2, order)
    channels, align, bits = (integer(format_chunk, at, 2, order) for at in (2, 12, 14))
    if code in _WAV_PCM_LIKE and align != channels * ((bits + 7) // 8):
        raise BadCorpus(
            f"has a wrong header: {channels} channels of {bits} bits do not make {align} bytes; save it again"
        )
    if size > available or (size == 0 and not _follows(data, start, order, 4)):
        # One size that is too large may be a slip of the writer; a file that was cut off has two.
        if not is_open and outer + 8 != len(data):
            raise _truncation(size - available)
        if available % max(1, align):
            raise BadCorpus("is cut off: it ends in the middle of a sample; copy it again")
        size = available
    elif not _follows(data, start + size, order, 4):
        raise _surplus(size, available - size)
    if any(name in (b"fmt ", b"data") for name, _, _ in _chunks(data, start + size + size % 2, order, 4)):
        raise BadCorpus("holds two sounds, and programs differ in which one they play; save it again")
    if code == 0x55:
        bitstreams.mpeg(data[start : start + size])
    if code in _WAV_BLOCKS and align:
        _require_whole_blocks(size, align, integer(format_chunk, 18, 2, order) or 320, n_in_fact)
    output = bytearray(data[: start + size])
    if ds64:
        output[:4] = b"RF64"
        output[start - 4 : start] = b"\xff" * 4
        output[ds64 : ds64 + 16] = (len(output) - 8).to_bytes(8, "little") + size.to_bytes(8, "little")
    elif len(output) - 8 < 2**32:
        output[4:8] = (len(output) - 8).to_bytes(4, order)
        output[start - 4 : start] = size.to_bytes(4, order)
    if code in _BLOCKS and n_in_fact:
        return Sound(bytes(output), n_in_fact, 2 * (integer(format_chunk, 18, 2, order) or 320))
    return Sound(bytes(output))


def _require_whole_blocks(size: int, align: int, n_in_block: int, n_stated: int | None) -> None:
    """Refuse blocks that are not all there: what a decoder makes of the missing part is left to chance."""
    if size % align:
        raise BadCorpus("is cut off: it ends in the middle of a block of samples; copy it again")
    n_held = size // align * n_in_block
    if n_stated is not None and n_stated > n_held:
        raise BadCorpus(
            f"is cut off: it says {plural(n_stated, 'sample')}, and holds {n_held:,}; copy it again"
        )


_WAV_BLOCKS = (0x02, 0x11, 0x31)
"""Codes of the encodings of WAV whose blocks are all of one size: ADPCM of Microsoft and IMA, GSM."""

_WAV_PCM_LIKE = (0x01, 0x03, 0x06, 0x07, 0xFFFE)
"""Codes of the encodings of WAV whose samples stand one after the other."""

_BLOCKS = (0x02, 0x11, 0x31, 0x38, 0x40)
"""Codes of the encodings of WAV that fill a last block: ADPCM, GSM."""


_AIFF_PCM_LIKE = (b"none", b"twos", b"sowt", b"raw ", b"fl32", b"fl64", b"in24", b"in32", b"ulaw", b"alaw")
"""Encodings of AIFF whose samples stand one after the other."""


def _aiff(data: bytes) -> Sound:
    comm, at, size = b"", 0, 0
    for name, start, length in _chunks(data, 12, "big", 4):
        if name == b"COMM":
            comm = data[start : start + length]
        elif name == b"SSND" and not at:
            at, size = start, length
            if at + size > len(data):
                break
    if not at or not comm:
        raise _no_sound()
    if at + size > len(data):
        raise _truncation(at + size - len(data))
    if not _follows(data, at + size, "big", 4):
        raise _surplus(size - 8, len(data) - at - size)
    output = data[:4] + (len(data) - 8).to_bytes(4, "big") + data[8:]
    channels, n_frames, bits = integer(comm, 0, 2), integer(comm, 2, 4), integer(comm, 6, 2)
    kind = comm[18:22].lower() if data[8:12] == b"AIFC" else b"none"
    if kind not in _AIFF_PCM_LIKE:
        return Sound(output)
    width = 1 if kind in (b"ulaw", b"alaw") else (bits + 7) // 8
    n_present = (size - 8 - integer(data, at, 4)) // max(1, channels * width)
    if n_present != n_frames:
        raise BadCorpus(
            f"has a wrong header: it says {plural(n_frames, 'sample')}, and holds {n_present:,}; save it"
            " again"
        )
    return Sound(output, n_frames, padding=1)  # libsndfile takes the byte that pads an odd length for one


_W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_W64_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")


def _w64(data: bytes) -> Sound:
    """Sony Wave64: names of 16 bytes, sizes of 8 that count name and size, chunks on multiples of 8."""
    at, outer = 40, integer(data, 16, 8, "little")
    while at + 24 <= len(data):
        name, size = data[at : at + 16], integer(data, at + 16, 8, "little")
        if name == _W64_DATA:
            break
        at += max(24, size + -size % 8)
    else:
        raise _no_sound()
    end = at + size
    if end > len(data):
        if outer != len(data):
            raise _truncation(end - len(data))
        end = len(data)
    tail = data[end + -end % 8 :]
    if size < 24 or not (tail[4:16] == _W64_DATA[4:16] or not data[end:].strip(b"\0")):
        raise _surplus(max(0, size - 24), len(data) - max(end, at + 24))
    output = bytearray(data[:end])
    output[16:24] = end.to_bytes(8, "little")
    output[at + 16 : at + 24] = (end - at).to_bytes(8, "little")
    return Sound(bytes(output))


def _caf(data: bytes) -> Sound:
    blocks = [(start, size) for name, start, size in _chunks(data, 8, "big", 8) if name == b"data"]
    if not blocks:
        raise _no_sound()
    start, size = blocks[0]
    available = len(data) - start
    if size == 2**64 - 1:  # what Apple says for: to the end of the file
        return Sound(data[: start - 8] + available.to_bytes(8, "big") + data[start:])
    if size > available:
        raise _truncation(size - available)
    if not _follows(data, start + size, "big", 8):
        raise _surplus(size - 4, available - size)
    return Sound(data)


def _au(data: bytes) -> Sound:
    order: Order = "big" if data[:4] == b".snd" else "little"
    start, size = integer(data, 4, 4, order), integer(data, 8, 4, order)
    available = len(data) - start
    if available < 0:
        raise _no_sound()
    if size == 2**32 - 1:  # what the format says for: not known
        size = available
    _require_end(data, start + size, size)
    return Sound(data[:8] + size.to_bytes(4, order) + data[12 : start + size])


def _nist(data: bytes) -> Sound:
    fields = dict(re.findall(rb"^(\w+) -\S+ (\S+)", data[:1024], re.MULTILINE))
    try:
        start = int(data[8:16])
        n_frames, channels, width = (
            int(fields[name]) for name in (b"sample_count", b"channel_count", b"sample_n_bytes")
        )
    except (KeyError, ValueError):
        raise BadCorpus("has a NIST header without sample_count, channel_count or sample_n_bytes") from None
    size = n_frames * channels * width
    _require_end(data, start + size, size)
    return Sound(data[: start + size], n_frames)
