"""Text that looks equal: one label or file in all of its spellings, and never two words under one key."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import soundfile
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.dataset.corpora import open_corpus
from harness.errors import BadCorpus, BadLabels, BadTask
from harness.labels import from_file, harmonise, template
from harness.name_matching import apart, key, nfc
from harness.tasks import TASKS, Task, find
from harness.types import ModelRef

FORMS = ("NFC", "NFD")
MODEL = ModelRef("org/name", "0" * 40, "1" * 64)

SCRIPTS = {
    "latin": "abcdefghijklmnopqrstuvwxyz\u0300\u0301\u0308\u030a\u0327",
    "vietnamese": "aeiouyd\u0302\u0306\u031b\u0300\u0301\u0303\u0309\u0323",
    "greek": "αβγδεζηθικλμνξοπρτυφχψω\u0301\u0308",
    "cyrillic": "абвгдежзиклмнопрстуфхцчшщъыьэюя\u0306\u0308",
    "hebrew": "אבגדהוזחטילמנסעפצקרשת\u05b0\u05b4\u05b5\u05b6\u05b7\u05b8\u05b9\u05bc\u05c1\u05c2",
    "arabic": "ابتثجحخدذرزسشصضطظعغفقكلمنهوي\u064b\u064e\u064f\u0650\u0651\u0652",
    "devanagari": "कखगघचजटडतदनपबमयरलवशसह\u0902\u093c\u093e\u093f\u0940\u0941\u0942\u0947\u094b\u094d",
    "bengali": "কখগচজটডতদনপবমযরলশসহ\u0981\u09be\u09bf\u09c0\u09c1\u09c7\u09cd",
    "tamil": "கசடதபறயரலவழளணநமன\u0bbe\u0bbf\u0bc0\u0bc1\u0bc6\u0bc7\u0bcd",
    "thai": "กขคงจชซดตทนบปพมยรลวสหอ\u0e31\u0e34\u0e35\u0e38\u0e39\u0e47\u0e48\u0e49\u0e4c",
    "burmese": "ကခဂငစဆတထဒနပဖဗမယရလဝသဟ\u102b\u102c\u102d\u102f\u1031\u1039\u103a",
    "khmer": "កខគងចឆដតថទនបពមយរលវសហ\u17b6\u17b7\u17bb\u17c1\u17d2",
    "tibetan": "ཀཁགངཅཆཏཐདནཔཕབམརལསཧ\u0f72\u0f74\u0f7a\u0f7c",
    "hangul": "가나다라마바사아자하\u1100\u1161\u11a8",
    "kana": "かきくさしたちはひへほアカハヒ\u3099\u309a",
    "chinese": "琴笛鼓號号聲声樂乐一二三",
}
"""Letters of each, and the signs that stand on or beside them."""


def a_word(script: str) -> st.SearchStrategy[str]:
    first = [c for c in SCRIPTS[script] if unicodedata.category(c)[0] == "L"]
    return st.tuples(st.sampled_from(first), st.text(SCRIPTS[script], max_size=5)).map("".join)


words = st.sampled_from(sorted(SCRIPTS)).flatmap(a_word)
pairs = st.sampled_from(sorted(SCRIPTS)).flatmap(lambda script: st.tuples(a_word(script), a_word(script)))


def canonical(word: str) -> str:
    """Caseless and composed, by the book: D145 of Unicode."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", word).casefold())


@given(pairs)
def test_two_words_of_one_script_have_one_key_only_if_they_are_one(pair):
    one, other = pair
    assert (key(one) == key(other)) == (canonical(one) == canonical(other))


@given(words, words, st.sampled_from([" ", "_", "-", "  ", " - ", "\u2010", "\u00a0", "\u200b", "/"]))
def test_spaces_underscores_hyphens_case_and_composition_make_no_other_word(one, other, joint):
    assume(not unicodedata.category(other[0]).startswith("M"))
    assume(key(one + other) == nfc(key(one) + key(other)))  # no two parts of a syllable meet
    wanted = key(one + other)
    for form in FORMS:
        name = unicodedata.normalize(form, one + joint + other)
        assert key(name) == key(f" {name}_") == wanted
        if name.upper().casefold() == name.casefold():
            assert key(name.upper()) == wanted


@given(st.text(max_size=12))
def test_a_key_is_its_own_key_and_does_not_depend_on_the_form(name):
    assert key(key(name)) == key(name)
    assert key(unicodedata.normalize("NFC", name)) == key(unicodedata.normalize("NFD", name))


DIFFERENT = [
    *[("C", "C#", "C♯", "C♭", "C+", "C++", "C-", "C*", "c'", "c''")],
    *[("A", "A+", "A-"), ("+", "-", "±", "*", "#", "?", "!"), ("5 dB", "+5 dB", "-5 dB", "<5 dB", ">5 dB")],
    *[("1.5", "1 5", "15"), ("1/4", "1.4", "1-4", "14"), ("take 1 2", "take 12"), ("x²", "x2")],
    *[("well", "we'll"), ("noise", "-noise", "+noise"), ("50", "50%"), ("a=b", "ab"), ("R&B", "RB")],
    *[
        ("हद", "हिंदी", "हिंदू"),
        ("ขา", "ข้า", "ขี่"),
        ("عِلْم", "عَلَم", "علم"),
        ("שֵׂכֶל", "שָׂכָל", "שכל"),
        ("Flöte", "Flote"),
    ],
]
SAME = [
    *[
        ("Hip-Hop", "hip hop", "HIPHOP", "hip_hop", "hip–hop", "(hip) hop"),
        ("R'n'B", "r’n’b", "RnB", "R 'n' B"),
    ],
    *[
        ("-5 dB", "−5dB", "\u20115 dB"),
        ("A-", "A−"),
        ("we'll", "WE’LL"),
        ("-", "−", "–"),
        ("1-5", "1_5", "1 5"),
    ],
    *[("MÜZİK", "müzik", "mu\u0308zik"), ("Straße", "STRASSE"), ("ΣΊΓΜΑΣ", "σίγμας"), ("'happy'", "happy")],
    *[("soft\u00adware", "software"), ("\ufeffcat", "cat"), ("❤\ufe0f", "❤"), ("می\u200cخواهم", "میخواهم")],
]


@pytest.mark.parametrize("names", DIFFERENT, ids=lambda names: names[0])
def test_signs_marks_and_numbers_make_other_words(names):
    assert len({key(name) for name in names}) == len(names)
    task = Task("t", names, MappingProxyType({}))
    assert [task.label_of(unicodedata.normalize(form, n)) for n in names for form in FORMS] == [
        name for name in names for _ in FORMS
    ]


@pytest.mark.parametrize("names", SAME, ids=lambda names: names[0])
def test_what_is_only_written_in_another_way_is_one_word(names):
    assert len({key(name) for name in names}) == 1


@pytest.mark.parametrize("name", ["Hip Hop & Rap", "hip hop / rap", "Hip-Hop + Rap", "hiphop"])
def test_words_joined_by_a_sign_between_spaces_are_one_spelling(name):
    assert TASKS["music-genre"].label_of(name) == "hiphop"
    assert TASKS["music-genre"].label_of("R & B") == TASKS["music-genre"].label_of("Soul & R&B") == "soul-rnb"


# --- what is refused says how words differ that look the same

ALIKE = [
    *[("сello", "cello", "U+0441 CYRILLIC"), ("Flöte", "Flo\u0308te", "U+006F LATIN SMALL LETTER O")],
    *[("C♯", "C#", "U+266F MUSIC SHARP SIGN"), ("a\u200bb", "ab", "U+200B ZERO WIDTH SPACE")],
    *[("Αlt", "Alt", "U+0391 GREEK CAPITAL LETTER ALPHA"), ("c", "c\u200d", "nothing")],
]


@pytest.mark.parametrize(("one", "other", "said"), ALIKE)
def test_two_names_that_look_the_same_are_told_apart(one, other, said):
    assert said in apart(one, other)
    assert said in apart(other, one)


def test_two_names_that_anybody_can_tell_apart_need_no_code_points():
    assert [apart("cello", other) for other in ("Cello", "cellо!", "viola", "cello")] == [""] * 4


def a_task(folder: Path, *labels: str) -> Task:
    path = folder / "task.yaml"
    path.write_text(json.dumps({"name": "t", "labels": labels}, ensure_ascii=False), encoding="utf-8")
    return find(str(path))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("other", FORMS)
def test_labels_of_a_task_a_model_a_corpus_and_a_map_meet_in_either_form(tmp_path, form, other):
    names = ("Flöte", "हिंदी", "ขลุ่ย", "Oboe")
    task = a_task(tmp_path, *(unicodedata.normalize(form, name) for name in names))
    assert task.labels == names
    theirs = tuple(unicodedata.normalize(other, name) for name in names)
    assert harmonise(theirs, task).canonical == names
    content = json.loads(template(theirs, task, MODEL)) | {"reviewed_by": "me"}
    labels = {unicodedata.normalize(form, n): unicodedata.normalize(other, n) for n in names}
    (tmp_path / "map.json").write_text(json.dumps(content | {"labels": labels}))
    assert from_file(tmp_path / "map.json", theirs, task, MODEL).canonical == names
    for i, name in enumerate(names):
        sound = np.resize([(i + 1) / 10, 0.0], 100)
        soundfile.write(tmp_path / f"{unicodedata.normalize(other, name)}.wav", sound, 16_000)
    lines = [f"{name}.wav,{label}" for name, label in zip(map(nfc, theirs), theirs, strict=True)]
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,label", *lines]), encoding="utf-8")
    clips = list(open_corpus(str(tmp_path), task).clips(task))
    assert [(clip.clip_id, clip.label) for clip in clips] == [(name, name) for name in names]


def test_a_file_with_the_very_name_comes_first_and_doubles_are_named(tmp_path):
    names = ["e\u0323\u0302.wav", "\u1eb9\u0302.wav"]  # one letter, decomposed wholly and in part
    for i, name in enumerate(names):
        soundfile.write(tmp_path / name, np.resize([(i + 1) / 10, 0.0], 100), 16_000)
    listed = tmp_path / "metadata.csv"
    listed.write_text(f"file_name,label\n{names[1]},sad\n", encoding="utf-8")
    [clip] = open_corpus(str(tmp_path), TASKS["emotion"]).clips(TASKS["emotion"])
    assert clip.waveform[0] == pytest.approx(0.2, abs=1e-4)
    listed.write_text("file_name,label\n\u1ec7.wav,sad\n", encoding="utf-8")
    with pytest.raises(BadCorpus, match="2 files have that name, decomposed in different ways"):
        open_corpus(str(tmp_path), TASKS["emotion"])
    listed.write_text("".join(["file_name,label\n", *(f"{n},sad\n" for n in names)]), encoding="utf-8")
    with pytest.raises(BadCorpus, match=r"twice \(they look alike: the first has U\+0065 .* U\+1EB9"):
        open_corpus(str(tmp_path), TASKS["emotion"])


def test_every_refusal_of_a_lookalike_says_how_it_differs(tmp_path):
    task = a_task(tmp_path, "cello", "oboe")
    with pytest.raises(BadLabels, match=r"they look alike: the first has U\+0441 CYRILLIC"):
        harmonise(("сello", "oboe"), task)
    content = json.loads(template(("cello", "oboe"), task, MODEL)) | {"reviewed_by": "me"}
    for labels in ({"сello": "cello", "cello": None, "oboe": "oboe"}, {"cello": "сello", "oboe": "oboe"}):
        (tmp_path / "map.json").write_text(json.dumps(content | {"labels": labels}))
        with pytest.raises(BadLabels, match=r"they look alike: the first has U\+0441 CYRILLIC"):
            from_file(tmp_path / "map.json", ("cello", "oboe"), task, MODEL)
    soundfile.write(tmp_path / "a.wav", np.resize([0.0, 0.1], 100), 16_000)
    (tmp_path / "metadata.csv").write_text("file_name,label\na.wav,сello\n", encoding="utf-8")
    with pytest.raises(BadCorpus, match=r"they look alike: the first has U\+0441 CYRILLIC"):
        open_corpus(str(tmp_path), task)
    (tmp_path / "metadata.csv").write_text("file_name,label\nа.wav,cello\n", encoding="utf-8")
    with pytest.raises(BadCorpus, match=r"there is 'a.wav' \(they look alike: the first has U\+0430"):
        open_corpus(str(tmp_path), task)
    with pytest.raises(BadTask, match=r"they look alike: the first has U\+00F6"):
        a_task(tmp_path, "Flöte", "Flo\u0308te", "oboe")
