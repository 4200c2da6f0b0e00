"""Sound files, every container by everything that happens to one: the exact samples, or one true line.

What a file without a checksum cannot show is not asked for: bytes in the middle of a WAV that were replaced
by others are the sound that the file holds.
"""

import contextlib
import io
import struct

import numpy as np
import pytest
import soundfile

from harness import audio, bitstreams
from harness.containers import repair
from harness.errors import BadCorpus

RATE = 16_000
PLAIN = {
    "WAV": ("PCM_16", "PCM_24", "PCM_32", "PCM_U8", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
    "WAVEX": ("PCM_16", "PCM_24", "FLOAT", "ULAW"),
    "RF64": ("PCM_16", "PCM_U8", "FLOAT", "ALAW"),
    "W64": ("PCM_16", "PCM_24", "PCM_U8", "FLOAT", "DOUBLE"),
    "AIFF": ("PCM_16", "PCM_S8", "PCM_24", "FLOAT", "ULAW"),
    "AU": ("PCM_16", "PCM_S8", "PCM_24", "FLOAT", "ALAW"),
    "CAF": ("PCM_16", "PCM_S8", "PCM_24", "FLOAT"),
    "NIST": ("PCM_16", "PCM_24", "ULAW"),
}
"""Containers whose samples stand one after the other."""
IN_BLOCKS = {
    "WAV": ("IMA_ADPCM", "MS_ADPCM", "GSM610", "G721_32", "NMS_ADPCM_16", "NMS_ADPCM_24", "NMS_ADPCM_32"),
    "W64": ("IMA_ADPCM", "MS_ADPCM", "GSM610"),
    "AIFF": ("IMA_ADPCM", "GSM610"),
    "AU": ("G721_32", "G723_24", "G723_40"),
    "CAF": ("ALAC_16", "ALAC_24"),
}
CHECKED = {"FLAC": ("PCM_S8", "PCM_16", "PCM_24"), "OGG": ("VORBIS", "OPUS"), "MP3": ("MPEG_LAYER_III",)}
"""Containers with a checksum over what they hold."""


def pairs(*tables):
    return [(container, coding) for table in tables for container in table for coding in table[container]]


EVERY = pairs(PLAIN, IN_BLOCKS, CHECKED)


def most_channels(coding):
    """How many libsndfile writes of it, of 1, 2 and 8."""
    if coding.startswith(("GSM", "G72", "NMS")):
        return 1
    return 2 if "ADPCM" in coding or coding.startswith("MPEG") else 8


FLOATS = [(c, coding) for c, coding in EVERY if coding in ("FLOAT", "DOUBLE")]


def sound(n=9001, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    tone = 0.3 * np.sin(np.arange(n) * 0.17)
    return (tone[:, None] * np.linspace(1, 0.5, channels) + 0.05 * rng.normal(size=(n, channels))).clip(-1, 1)


def written(container, coding, samples, rate=RATE, **how):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=container, subtype=coding, **how)
    return buffer.getvalue()


def heard(data):
    return audio.read_recording(data, "a")[0]


def as_libsndfile(data):
    samples = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)[0]
    return samples.mean(axis=1, dtype=np.float64).astype(np.float32)


def refusal(data):
    with pytest.raises(BadCorpus) as refused:
        heard(data)
    line = str(refused.value)
    assert line.startswith("a ")
    assert "\n" not in line
    assert "object at" not in line
    return line


def exact_or_refused(data, wanted):
    """Whether a file was refused; otherwise its samples are those wanted."""
    try:
        samples = heard(data)
    except BadCorpus:
        return True
    np.testing.assert_array_equal(samples, wanted)
    return False


def put(data, at, size, value, order="little"):
    return data[:at] + (value % 2 ** (8 * size)).to_bytes(size, order) + data[at + size :]


WHOLE = [(c, coding, n) for c, coding in EVERY for n in (1, 2, 8) if n <= most_channels(coding)]


@pytest.mark.parametrize(("container", "coding", "channels"), WHOLE)
def test_a_whole_file_gives_exactly_its_samples(container, coding, channels):
    data = written(container, coding, sound(channels=channels))
    wanted = as_libsndfile(data)
    samples = heard(data)
    np.testing.assert_array_equal(samples, wanted[: len(samples)])
    if (container, coding) in pairs(IN_BLOCKS):
        assert len(samples) >= 9001  # AIFF and W64 say nothing of what fills the last block
    else:
        assert len(samples) == len(wanted) >= 9001  # libsndfile writes AIFF with an even number of bytes
    if container == "WAV" and coding != "IMA_ADPCM":  # whose number libsndfile itself writes too high
        assert len(samples) == 9001


@pytest.mark.parametrize(("container", "coding"), EVERY)
def test_a_file_that_was_cut_off_anywhere_is_refused(container, coding):
    samples = sound(4001)
    data = written(container, coding, samples)
    wanted = heard(data)
    places = np.random.default_rng(1).integers(1, len(data), 12).tolist()
    refused = [exact_or_refused(data[:k], wanted) for k in (*places, len(data) - 3, len(data) - 2)]
    assert all(refused)
    # The last byte may be one that only pads an odd length.
    exact_or_refused(data[:-1], wanted)
    assert any(word in refusal(data[: len(data) * 2 // 5]) for word in ("cut off", "damaged"))


@pytest.mark.parametrize(("container", "coding"), pairs(CHECKED))
def test_damage_anywhere_in_a_file_with_checksums_is_refused(container, coding):
    data = written(container, coding, sound(8001))
    wanted, rng = heard(data), np.random.default_rng(2)
    first = 200 if container == "MP3" else 0  # a broken mark of MP3's header makes a file without one
    for place in rng.integers(first, len(data), 24):
        broken = put(data, place, 1, data[place] ^ int(rng.integers(1, 256)))
        assert exact_or_refused(broken, wanted), place
        gap = data[:place] + data[place + 1 :]
        assert exact_or_refused(gap, wanted), place


OPEN = {
    "WAV data 0": ("WAV", lambda d: put(put(d, 4, 4, 36), 40, 4, 0)),
    "WAV both 0": ("WAV", lambda d: put(put(d, 4, 4, 0), 40, 4, 0)),
    "WAV only RIFF 0": ("WAV", lambda d: put(d, 4, 4, 0)),
    "WAV FFmpeg": ("WAV", lambda d: put(put(d, 4, 4, -1), 40, 4, -1)),
    "WAV SoX": ("WAV", lambda d: put(put(d, 4, 4, 0x7FFFF024), 40, 4, 0x7FFFF000)),
    "WAV arecord": ("WAV", lambda d: put(put(d, 4, 4, 0x80000024), 40, 4, 0x80000000)),
    "RF64 0": ("RF64", lambda d: put(put(d, 20, 8, 0), 28, 8, 0)),
    "RF64 -1": ("RF64", lambda d: put(put(d, 20, 8, -1), 28, 8, -1)),
    "AU": ("AU", lambda d: put(d, 8, 4, -1, "big")),
    "CAF": ("CAF", lambda d: put(d, d.index(b"data") + 4, 8, -1, "big")),
    "FLAC": ("FLAC", lambda d: d[:21] + bytes([d[21] & 0xF0]) + bytes(4) + d[26:]),
    "FLAC without MD5": ("FLAC", lambda d: d[:21] + bytes([d[21] & 0xF0]) + bytes(20) + d[42:]),
}
"""A length that is left open: container, and how the header says it."""


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("n", [4001, 4096, 9001])
@pytest.mark.parametrize("name", OPEN)
def test_a_length_that_the_header_leaves_open_is_found_exactly(name, n, channels):
    container, change = OPEN[name]
    data = written(container, "PCM_16", sound(n, channels))
    np.testing.assert_array_equal(heard(change(data)), as_libsndfile(data))


@pytest.mark.parametrize("name", ["FLAC", "FLAC without MD5"])
def test_a_flac_of_open_length_that_was_cut_off_is_refused_unless_it_ends_with_a_frame(name):
    data = OPEN[name][1](written("FLAC", "PCM_16", sound(20_000)))
    for place in np.random.default_rng(3).integers(100, len(data), 20):
        assert "cut off" in refusal(data[:place]) or "MD5" in refusal(data[:place])


@pytest.mark.parametrize("bits", CHECKED["FLAC"])
@pytest.mark.parametrize("n", [17, 4095, 4096, 4097, 600_000])
def test_the_length_of_a_flac_is_read_from_its_last_frame(bits, n):
    data = written("FLAC", bits, 0.1 * np.random.default_rng(n).normal(size=n))
    assert bitstreams.flac(OPEN["FLAC"][1](data)).n_frames == bitstreams.flac(data).n_frames == n


WRONG = {
    "WAV RIFF 8 too large, as browsers write it": ("WAV", lambda d: put(d, 4, 4, len(d)), True),
    "WAV RIFF a byte too large": ("WAV", lambda d: put(d, 4, 4, len(d) - 7), True),
    "WAV RIFF too small": ("WAV", lambda d: put(d, 4, 4, 36), True),
    "WAV data says the length of the file": ("WAV", lambda d: put(d, 40, 4, len(d)), True),
    "WAV data too small": ("WAV", lambda d: put(d, 40, 4, 4000), False),
    "WAV both too large": ("WAV", lambda d: put(put(d, 4, 4, len(d)), 40, 4, len(d)), False),
    "RF64 RIFF 8 too large": ("RF64", lambda d: put(d, 20, 8, len(d)), True),
    "RF64 data too small": ("RF64", lambda d: put(d, 28, 8, 4000), False),
    "W64 riff too large": ("W64", lambda d: put(d, 16, 8, len(d) + 8), True),
    "W64 data too small": ("W64", lambda d: put(d, len(d) - 18_002 - 8, 8, 4000), False),
    "AIFF FORM too large": ("AIFF", lambda d: put(d, 4, 4, len(d), "big"), True),
    "AIFF FORM 0": ("AIFF", lambda d: put(d, 4, 4, 0, "big"), True),
    "AIFF COMM too few": ("AIFF", lambda d: put(d, d.index(b"COMM") + 10, 4, 3000, "big"), False),
    "AIFF COMM 0": ("AIFF", lambda d: put(d, d.index(b"COMM") + 10, 4, 0, "big"), False),
    "AIFF SSND too small": ("AIFF", lambda d: put(d, d.index(b"SSND") + 4, 4, 3008, "big"), False),
    "AIFF SSND 0": ("AIFF", lambda d: put(d, d.index(b"SSND") + 4, 4, 0, "big"), False),
    "AU too small": ("AU", lambda d: put(d, 8, 4, 4000, "big"), False),
    "AU 0": ("AU", lambda d: put(d, 8, 4, 0, "big"), False),
    "AU too large": ("AU", lambda d: put(d, 8, 4, 30_000, "big"), False),
    "CAF too small": ("CAF", lambda d: put(d, d.index(b"data") + 4, 8, 4004, "big"), False),
    "CAF too large": ("CAF", lambda d: put(d, d.index(b"data") + 4, 8, 40_000, "big"), False),
    "NIST too few": ("NIST", lambda d: d.replace(b"sample_count -i 9001", b"sample_count -i 3001"), False),
    "NIST too many": ("NIST", lambda d: d.replace(b"sample_count -i 9001", b"sample_count -i 9002"), False),
    "FLAC too few": ("FLAC", lambda d: put(d, 22, 4, 9000, "big"), False),
    "FLAC too many": ("FLAC", lambda d: put(d, 22, 4, 9002, "big"), False),
}
"""A size that is wrong: container, the change, and whether the other sizes leave no doubt."""


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_size_is_put_right_where_the_others_leave_no_doubt_and_refused_otherwise(name):
    container, change, is_clear = WRONG[name]
    data = written(container, "PCM_16", sound(9001))
    changed = change(data)
    assert changed != data
    assert exact_or_refused(changed, as_libsndfile(data)) is not is_clear


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT"])
def test_an_mp3_without_a_header_is_read_to_its_last_frame(rate, mode):
    noise = 0.1 * np.random.default_rng(4).normal(size=(30_000, 2))
    for level in (0.0, 0.5):
        how = {"compression_level": level, "bitrate_mode": mode}
        data = written("MP3", "MPEG_LAYER_III", noise, rate, **how)
        wanted = heard(data)
        first = bitstreams._mpeg_frame(data, 0)[0]
        samples = heard(data[first:])
        late = min(range(1200), key=lambda n: np.abs(samples[n : n + 2000] - wanted[:2000]).max())
        assert late in (576, 1105)  # the delay of LAME, with or without that of the decoder
        np.testing.assert_allclose(samples[late : late + 29_000], wanted[:29_000], atol=1e-6)
        assert len(samples) - late > 29_500


def test_the_byte_that_pads_an_aiff_is_no_sample():
    data = written("AIFF", "PCM_S8", sound(9002))
    odd = put(data, data.index(b"COMM") + 10, 4, 9001, "big")
    odd = put(odd, odd.index(b"SSND") + 4, 4, 9009, "big")
    np.testing.assert_array_equal(heard(odd[:-1] + b"\0"), heard(data)[:9001])
    np.testing.assert_array_equal(heard(odd[:-1]), heard(data)[:9001])


ORDERED = [
    (container, coding, endian)
    for container, coding in pairs(PLAIN)
    for endian in ("LITTLE", "BIG")
    if soundfile.check_format(container, coding, endian)
]


@pytest.mark.parametrize(("container", "coding", "endian"), ORDERED)
def test_either_order_of_bytes_is_read_and_cut_files_of_it_are_refused(container, coding, endian):
    data = written(container, coding, sound(4001), endian=endian)
    np.testing.assert_array_equal(heard(data), as_libsndfile(data))
    for place in (60, len(data) // 2, len(data) - 3):
        assert exact_or_refused(data[:place], as_libsndfile(data))


def test_mp3_frames_in_a_wav_are_checked_as_those_of_an_mp3():
    frames = written("MP3", "MPEG_LAYER_III", sound())
    form = struct.pack("<HHIIHHHHIHHH", 0x55, 1, RATE, 2000, 1, 0, 12, 1, 2, 144, 1, 0)
    chunks = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(frames))
    data = b"RIFF" + struct.pack("<I", len(chunks) + len(frames)) + chunks + frames
    np.testing.assert_allclose(heard(data), heard(frames), atol=1e-6)
    assert "is damaged" in refusal(data[:-900] + bytes(100) + data[-800:])


def test_two_files_joined_to_one_are_refused():
    for container, coding in EVERY:
        data = written(container, coding, sound(2000))
        other = written(container, coding, sound(2000, seed=1))
        assert refusal(data + other), (container, coding)


def test_tags_of_players_and_padding_change_nothing():
    id3 = b"ID3\x04\x00\x00\x00\x00\x02\x01" + bytes(257)
    ape = b"APETAGEX" + struct.pack("<IIII", 2000, 32, 0, 0) + bytes(8)
    for container, coding in EVERY:
        data = written(container, coding, sound(1001))
        wanted = heard(data)
        after = [bytes(64), b"TAG" + bytes(125), b"TAG" + b"a" * 125, ape]
        for changed in [data + tag for tag in after] + [id3 + data]:
            np.testing.assert_array_equal(heard(changed), wanted, err_msg=f"{container} {coding}")


@pytest.mark.parametrize(("container", "coding"), pairs(PLAIN, IN_BLOCKS, {"OGG": ("VORBIS",)}))
def test_what_follows_the_sound_is_never_left_out_in_silence(container, coding):
    data = written(container, coding, sound(5000))
    refusal(data + b"\x12\xfa\x80\xe1" * 9)


def test_chunks_after_the_sound_change_nothing():
    data = written("WAV", "PCM_16", sound(5001))
    chunk = b"LIST" + struct.pack("<I", 10) + b"INFOIxxx\0\0"
    for changed in (data + chunk, put(data + chunk, 4, 4, len(data) + 10), data + chunk[:-1]):
        np.testing.assert_array_equal(heard(changed), heard(data))


@pytest.mark.parametrize(("container", "coding"), FLOATS)
def test_samples_at_the_scale_of_integers_are_refused_and_those_a_little_beyond_full_scale_are_not(
    container, coding
):
    for factor in (2.0**7, 2.0**15, 2.0**23, 2.0**31):
        line = refusal(written(container, coding, sound() * factor))
        assert "is not at full scale 1: its largest sample is" in line
    np.testing.assert_array_equal(
        heard(written(container, "FLOAT", sound() * 4)), np.float32(sound() * 4)[:, 0]
    )


@pytest.mark.parametrize(("container", "coding"), FLOATS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused(container, coding, value):
    samples = sound(channels=2)
    samples[77, 1] = value
    assert "holds NaN or infinite samples" in refusal(written(container, coding, samples))


@pytest.mark.parametrize(("container", "coding"), EVERY)
def test_silence_emptiness_and_opposite_phase_are_refused_by_name(container, coding):
    if coding.split("_")[0] not in ("VORBIS", "OPUS", "MPEG", "GSM610", "NMS"):  # which leave some noise
        assert "is silent" in refusal(written(container, coding, np.zeros((3000, 1))))
    refusal(written(container, coding, np.zeros((0, 1))))
    if most_channels(coding) > 1 and coding != "VORBIS":  # 14 dB of noise below this sound
        data = written(container, coding, sound() * [[1, -1]])
        assert "2 channels are averaged: they cancel each other" in refusal(data)


def test_what_is_no_sound_file_is_refused_for_what_it_is():
    lines = {
        b"": "is empty: it has no bytes",
        b"hello": "is not a readable sound file; expected WAV",
        b"\0" * 500: "is not a readable sound file; expected WAV",
        b"\0\0\0\x20ftypM4A " + bytes(99): "it is MP4 (M4A, AAC); convert it to FLAC or WAV",
        b"\x1a\x45\xdf\xa3" + bytes(99): "it is Matroska or WebM; convert it",
        b"\xff\xf1" + bytes(99): "it is AAC; convert it",
        written("VOC", "PCM_16", sound()): "is not a readable sound file; expected WAV",
        written("MAT5", "PCM_16", sound()): "is not a readable sound file; expected WAV",
    }
    for data, why in lines.items():
        assert why in refusal(data)


def test_ogg_streams_one_after_the_other_and_pages_left_out_are_refused():
    data = written("OGG", "VORBIS", sound(60_000))
    assert "several Ogg streams" in refusal(data + written("OGG", "VORBIS", sound(seed=1)))
    pages = [b"OggS" + page for page in data.split(b"OggS")[1:]]
    assert len(pages) > 4
    assert "pages are missing after page 3" in refusal(b"".join([*pages[:3], *pages[4:]]))
    assert "not marked as the last" in refusal(b"".join(pages[:-1]))


@pytest.mark.parametrize(("container", "coding"), EVERY)
def test_whatever_stands_in_a_header_it_is_read_or_refused_in_a_line(container, coding):
    data, rng = written(container, coding, sound(500)), np.random.default_rng(5)
    for place in rng.integers(0, min(len(data), 160), 12):
        broken = put(data, place, 1, int(rng.choice([0, 1, 127, 128, 255])))
        with contextlib.suppress(BadCorpus):
            assert heard(broken).dtype == np.float32


@pytest.mark.slow
@pytest.mark.parametrize(("container", "coding"), EVERY)
def test_every_cut_is_refused(container, coding):
    data = written(container, coding, sound(1501))
    wanted = heard(data)
    unrefused = [k for k in range(1, len(data)) if not exact_or_refused(data[:k], wanted)]
    assert unrefused in ([], [len(data) - 1])


def test_an_mp3_that_pads_more_than_it_holds_is_refused():
    data = bytearray(written("MP3", "MPEG_LAYER_III", sound(n=1200), 16_000))
    at = data.index(b"LAME")
    data[at + 1 : at + 9] = b"\1" + bytes(7)
    data[at + 22 : at + 26] = b"\x7f\xff\xff\xff"
    assert "is cut off, damaged" in refusal(bytes(data))


@pytest.mark.parametrize("between", [b"", b"LIST\4\0\0\0INFO"])
def test_a_wav_with_two_sounds_is_refused(between):
    """One player takes the first of them, another the second."""
    data = written("WAV", "IMA_ADPCM", sound())
    start = data.index(b"data")
    assert "holds two sounds" in refusal(data + between + data[start:])
    assert np.array_equal(heard(data + b"LIST\4\0\0\0INFO"), heard(data))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("coding", ["IMA_ADPCM", "MS_ADPCM", "GSM610"])
def test_blocks_that_are_not_all_there_are_refused(coding, channels):
    """A mutated size made libsndfile play what lay in memory before, in the place of half a block."""
    if (coding, channels) == ("GSM610", 2):
        pytest.skip("GSM is mono")
    data = written("WAV", coding, sound(channels=channels))
    at = data.index(b"data") + 4
    size = int.from_bytes(data[at : at + 4], "little")
    align = int.from_bytes(data[32:34], "little")
    assert size % align == 0
    repair(data)
    for short in (size - 1, size - align // 2, align // 2):
        changed = data[:at] + short.to_bytes(4, "little") + data[at + 4 : at + 4 + short] + b"junk\0\0\0\0"
        with pytest.raises(BadCorpus, match=r"in the middle of a block|is cut off"):
            repair(changed)


@pytest.mark.parametrize("n", range(1, 8))
def test_a_flac_that_ends_in_the_head_of_its_first_frame_is_refused(n):
    data = written("FLAC", "PCM_16", sound())
    first = next(i for i in range(42, len(data)) if data[i : i + 2] in (b"\xff\xf8", b"\xff\xf9"))
    open_length = bytearray(data[: first + n])
    open_length[21:26] = bytes([data[21] & 0xF0, 0, 0, 0, 0])
    with pytest.raises(BadCorpus):
        repair(bytes(open_length))
