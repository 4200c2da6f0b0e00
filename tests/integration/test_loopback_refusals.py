"""What the loopback Hub hides, refuses and keeps, and what huggingface_hub then says."""

from __future__ import annotations

import pytest

from tests.helpers.hub import Fault, LoopbackHub
from tests.helpers.hub.answers import Refused
from tests.helpers.hub.clients import put, run


@pytest.fixture
def hub(tmp_path):
    with LoopbackHub(tmp_path) as hub:
        hub.tokens = {"good": "ann", "read": "carl", "guest": "dora"}
        hub.readonly.add("carl")
        hub.outsiders.add("dora")
        yield hub


FORBIDDEN, BAD, CONFLICT = (["HfHubHTTPError", 403], ["BadRequestError", 400], ["HfHubHTTPError", 409])
UNKNOWN = "RepositoryNotFoundError"

HIDDEN = """
def sees(token):
    api = HfApi(token=token)
    return [
        [m.id for m in api.list_models(author="org", search="SEC")],
        attempt(lambda: api.model_info("org/secret").private),
        attempt(lambda: api.list_repo_files("org/secret")[1:]),
        attempt(lambda: api.auth_check("org/secret")),
        attempt(lambda: api.auth_check("org/secret", write=True)),
    ]
everyone = ("good", "read", "guest", False)
HfApi(token="good").create_repo("org/secret", private=True)
HfApi(token="good").upload_file(repo_id="org/secret", path_or_fileobj=b"a", path_in_repo="a.txt")
say(*map(sees, everyone))
api = HfApi(token="good")
api.update_repo_settings("org/secret", private=False, gated="manual")
say(*[attempt(lambda: api.auth_check("org/secret")) for _ in everyone])
"""


def test_what_is_private_is_in_no_list_of_those_who_may_not_see_it(hub):
    (ann, carl, dora, nobody), gated = run(hub, HIDDEN)
    assert ann == [["org/secret"], True, ["a.txt"], None, None]
    assert carl == [["org/secret"], True, ["a.txt"], None, FORBIDDEN]
    assert dora == [[], *[[UNKNOWN, 404]] * 4]
    assert nobody == [[], *[[UNKNOWN, 401]] * 4]
    assert gated == [["GatedRepoError", 403]] * 4
    assert not hub.private


NAMES = """
api.create_tag("org/name", tag="v/1")
api.create_tag("org/name", tag="v/1", exist_ok=True)
add = lambda **at: api.upload_file(repo_id="org/name", path_or_fileobj=b"x", path_in_repo="x.txt", **at)
say(attempt(lambda: add(revision="v/1")),
    attempt(lambda: api.delete_branch("org/name", branch="main")),
    attempt(lambda: api.delete_branch("org/name", branch="no")),
    attempt(lambda: api.delete_tag("org/name", tag="no")),
    attempt(lambda: api.list_repo_tree("org/name", "no").__next__()))
card = attempt(lambda: api.upload_file(
    repo_id="org/name", path_or_fileobj=b"---\\na: [\\n---\\n", path_in_repo="README.md"))
add()
[path] = api.get_paths_info("org/name", "a.txt", expand=True)
say(card, path.last_commit.title, [api.file_exists("org/name", name) for name in ("a.txt", "b.txt")])
api.delete_repo("org/name")
api.delete_repo("org/name", missing_ok=True)
say(attempt(lambda: api.delete_repo("org/name")), api.repo_exists("org/name"))
"""


def test_names_that_are_not_there_or_do_not_move_are_refused(hub):
    folder = put(hub, "models/org/name", {"a.txt": b"a"})
    commit = hub.commit("models/org/name")
    names, card, gone = run(hub, NAMES, by="good")
    missing = ["RevisionNotFoundError", 404]
    assert names == [BAD, FORBIDDEN, missing, missing, ["RemoteEntryNotFoundError", 404]]
    assert card == [["ValueError", None], "initial commit", [True, False]]
    assert gone == [[UNKNOWN, 404], False]
    assert not folder.exists()
    with pytest.raises(KeyError, match="no repository models/org/name"):
        hub.commit("models/org/name")
    # What is put there now is another repository: nothing of the old one is left.
    put(hub, "models/org/name", {"a.txt": b"b"})
    assert hub.tags("models/org/name") == {}
    with pytest.raises(Refused, match="Invalid rev id"):
        hub.files("models/org/name", commit)


WRONG = """
def commit(change, content=b"x" * 99, path="x.bin"):
    operation = CommitOperationAdd(path, content)
    change(operation)
    try:
        api.create_commit("org/name", [operation], commit_message="Wrong")
    except Exception as error:
        return f"{error} {error.__cause__}"
def claims_another_size(operation):
    operation.upload_info.size -= 1
def claims_to_be_sent(operation):
    operation._upload_mode, operation._is_uploaded = "lfs", True
def climbs(operation):
    operation.path_in_repo = "a/../../x.txt"
say(commit(claims_another_size), commit(claims_to_be_sent, b"y"), commit(climbs, b"z", "x.txt"))
"""


def test_a_wrong_size_an_object_never_sent_and_a_path_that_climbs_are_refused(hub):
    put(hub, "models/org/name", {"a.txt": b"a"})
    [(size, sent, path)] = run(hub, WRONG, by="good")
    assert "of 98 bytes is not there" in size
    assert "LFS pointer of x.bin points to a file that was not uploaded" in sent
    assert "'a/../../x.txt' is no path" in path
    assert hub.titles("models/org/name") == ["initial commit"]
    assert not list(hub.root.rglob("x.txt"))


MERGES = """
guest, api = HfApi(token="guest"), HfApi(token="good")
add = lambda api, content, **how: api.upload_file(
    repo_id="org/name", path_or_fileobj=content, path_in_repo="a.txt", **how)
for _ in range(2):
    add(guest, b"theirs", create_pr=True)
guest.create_commit("org/name", [CommitOperationDelete("b.bin")], commit_message="Away", create_pr=True)
add(api, b"ours")
events = lambda: [len(api.get_discussion_details("org/name", n).events) for n in (1, 2, 3)]
before = events()
merge = lambda api, n: attempt(lambda: api.merge_pull_request("org/name", n, comment="Thanks"))
close = lambda n: attempt(lambda: guest.change_discussion_status("org/name", n, new_status="closed").type)
say(merge(guest, 1), merge(api, 1), before == events())
api.create_discussion("org/name", "Why?")
say(merge(api, 4), close(4), close(2), attempt(lambda: add(guest, b"more", revision="refs/pr/2")))
add(api, b"theirs")
say(merge(api, 1), merge(api, 3), [e.type for e in api.get_discussion_details("org/name", 1).events])
say("-oid sha256:" in api.get_discussion_details("org/name", 3).diff)
listed = lambda status: [d.num for d in api.get_repo_discussions("org/name", discussion_status=status)]
questions = [d.num for d in api.get_repo_discussions("org/name", discussion_type="discussion")]
say(listed("open"), listed("closed"), questions)
"""


def test_a_refused_merge_leaves_nothing_behind_and_what_both_sides_did_is_no_conflict(hub):
    put(hub, "models/org/name", {"a.txt": b"a", "b.bin": b"b"})
    refused, closed, merged, diff, listed = run(hub, MERGES)
    assert refused == [FORBIDDEN, CONFLICT, True]
    assert closed == [BAD, FORBIDDEN, "status-change", FORBIDDEN]
    assert merged == [None, None, ["comment", "commit", "status-change", "comment"]]
    assert diff == [True]
    assert listed == [[4], [3, 2, 1], [4]]
    assert hub.files("models/org/name") == {"a.txt": b"theirs"}
    for number, told in ((1, "or merged"), (4, "no pull request")):
        with pytest.raises(Refused, match=told):
            hub.merge("models/org/name", number)


PARTS = """
files = HfFileSystem()
read = lambda start, end: files.cat_file("org/name/x.bin", start=start, end=end).decode()
say(read(10, 20), read(90, 500), files.tail("org/name/x.bin", 5).decode())
ask = lambda range: get_session().get(hf_hub_url("org/name", "x.bin"), headers={"Range": range})
beyond = ask("bytes=100-")
say(beyond.status_code, beyond.headers["Content-Range"], ask("bytes=98-").content.decode())
"""


def test_a_part_of_a_file_is_read_without_the_rest(hub):
    content = "".join(f"{i:02}" for i in range(50))
    put(hub, "models/org/name", {"x.bin": content.encode()})
    read, asked = run(hub, PARTS)
    assert read == [content[10:20], content[90:], content[-5:]]
    assert asked == [416, "bytes */100", content[98:]]
    assert [r for r in hub.requests if "/resolve/" in r] == [line.rpartition(" ")[0] for line in hub.ranges]


CHECKED = """
wrong = lambda: [one["path"] for one in api.verify_repo_checksums("org/name").mismatches]
fetch = lambda **how: [Path(hf_hub_download("org/name", n, **how)).read_bytes()[:5].decode() for n in names]
names = ["short.txt", "flipped.bin", "etag.bin"]
say(fetch(), fetch(), sorted(wrong()), fetch(force_download=True), wrong())
"""


def test_what_the_client_did_not_notice_it_finds_when_it_is_asked_to_compare(hub):
    """huggingface_hub itself compares nothing but lengths; `verify_repo_checksums` compares hashes.

    A truncated body is noticed by the length that HEAD said, unless HEAD lies too. A flipped byte is not
    noticed, stays in the cache under the right name and is never fetched again, except with force_download.
    A wrong ETag is not noticed either; it only names the blob, whose content is right.
    """
    put(hub, "models/org/name", dict.fromkeys(("short.txt", "flipped.bin", "etag.bin"), b"right"))
    hub.fail(Fault("truncate", "GET|HEAD", "short.txt", keep=3, times=2))
    hub.fail(Fault("corrupt", "GET", "flipped.bin"))
    hub.fail(Fault("etag", "HEAD", "etag.bin"))
    [(first, again, found, forced, left)] = run(hub, CHECKED)
    assert first == again == ["rig", "rifht", "right"]
    assert found == ["flipped.bin", "short.txt"]
    assert forced == ["right"] * 3
    assert left == []
    assert len(hub.fired) == 4


UNHEARD_OF = """
api.create_discussion("org/name", "Why?")
say(attempt(lambda: api.get_user_overview("ann")),
    attempt(lambda: list(api.list_repo_likers("org/name"))),
    attempt(lambda: api.hide_discussion_comment("org/name", 1, "0")))
"""


def test_what_the_hub_of_the_tests_does_not_know_is_not_found(hub):
    put(hub, "models/org/name", {"a.txt": b"a"})
    assert run(hub, UNHEARD_OF, by="good") == [[["HfHubHTTPError", 404]] * 3]


def test_what_breaks_in_the_hub_of_the_tests_ends_the_test(tmp_path):
    hub = LoopbackHub(tmp_path).__enter__()
    put(hub, "models/org/name", {"README.md": b"\xff"})
    asks = 'say(attempt(lambda: api.model_info("org/name")))'
    assert run(hub, asks) == [[["HfHubHTTPError", 500]]]
    with pytest.raises(UnicodeDecodeError):
        hub.__exit__(None, None, None)
