"""A pointer of git-lfs is known as such; whatever else a path may lead to is none, and breaks nothing."""

import os

import pytest

from harness.disk_errors import POINTED, pointer

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"


def test_a_pointer_is_named_also_through_a_link(tmp_path):
    path, link = tmp_path / "model.safetensors", tmp_path / "link"
    path.write_bytes(POINTER)
    link.symlink_to(path)
    assert pointer(path) == f"{path} {POINTED}"
    assert pointer(link) == f"{link} {POINTED}"


def large(path):
    path.write_bytes(POINTER + bytes(1 << 20))


@pytest.mark.parametrize(
    "make",
    [
        lambda path: None,
        lambda path: path.mkdir(),
        os.mkfifo,
        lambda path: path.symlink_to(path),
        lambda path: path.symlink_to("nowhere"),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(POINTER[:20]),
        large,
    ],
    ids=["nothing", "folder", "pipe", "circle", "dangling", "empty", "beginning", "large"],
)
def test_everything_else_is_none(make, tmp_path):
    make(tmp_path / "file")
    assert pointer(tmp_path / "file") is None


@pytest.mark.parametrize("name", ["a\0b", "a" * 5000, "file/below"])
def test_a_name_that_no_file_can_have_is_none(name, tmp_path):
    (tmp_path / "file").write_bytes(POINTER)
    assert pointer(tmp_path / name) is None
