"""The loopback Hub, as huggingface_hub, datasets and transformers see it."""

from __future__ import annotations

import hashlib

import datasets
import pytest

from tests.helpers.hub import LoopbackHub
from tests.helpers.hub.answers import Refused
from tests.helpers.hub.clients import put, run, said, start
from tests.helpers.hub.reads import PAGE


@pytest.fixture
def hub(tmp_path):
    with LoopbackHub(tmp_path) as hub:
        hub.tokens = {"good": "ann", "other": "bob", "read": "carl", "guest": "dora", "old": "ann"}
        yield hub


# --- uploads and commits

UPLOAD = """
repo = dict(repo_id="org/data", repo_type="dataset")
folder = Path(arguments[0])
say(api.whoami()["name"], str(api.create_repo(**repo)), attempt(lambda: api.create_repo(**repo)))
api.create_repo(**repo, exist_ok=True)
first = api.upload_folder(**repo, folder_path=folder, commit_message="first")
again = api.upload_folder(**repo, folder_path=folder, commit_message="again")
say(first.oid, again.oid, first.repo_url.repo_id)
(folder / "hello.txt").write_text("changed")
second = api.create_commit(**repo, commit_message="second", operations=[
    CommitOperationAdd("hello.txt", folder / "hello.txt"),
    CommitOperationDelete("small/"),
    CommitOperationCopy("large.parquet", "copy.parquet"),
])
api.create_tag(**repo, tag="v1", revision=first.oid)
api.create_branch(**repo, branch="dev/x", revision="v1")
say([attempt(lambda: api.create_tag(**repo, tag="v1")),
     attempt(lambda: api.create_branch(**repo, branch="dev/x"))])
third = api.upload_file(**repo, path_or_fileobj=b"on dev", path_in_repo="dev.txt", revision="dev/x")
refs = api.list_repo_refs(**repo)
say({r.ref: r.target_commit for r in [*refs.branches, *refs.tags]}, second.oid, third.oid)
say([[c.title, c.authors] for c in api.list_repo_commits(**repo)])
read = lambda revision: Path(hf_hub_download(**repo, filename="hello.txt", revision=revision)).read_text()
say([read(r) for r in (None, "main", "v1", "dev/x", first.oid, second.oid)])
say(attempt(lambda: read("v2")), attempt(lambda: hf_hub_download(**repo, filename="gone.txt")))
whole = Path(snapshot_download(**repo, revision="v1"))
say({p.relative_to(whole).as_posix(): p.stat().st_size for p in whole.rglob("*") if p.is_file()})
info = api.dataset_info(**{"repo_id": "org/data"}, files_metadata=True)
say(info.sha, info.card_data["license"], info.private, [
    [s.rfilename, s.size, s.blob_id, s.lfs and s.lfs.sha256] for s in info.siblings])
paths = api.get_paths_info(**repo, paths=["large.parquet", "small", "hello.txt"], revision="v1", expand=True)
say([[p.path, getattr(p, "lfs", None) and p.lfs.sha256, p.last_commit.title] for p in paths])
say([p.path for p in api.list_repo_tree(**repo, path_in_repo="small", revision=first.oid)])
api.delete_tag(**repo, tag="v1")
api.delete_branch(**repo, branch="dev/x")
say([attempt(lambda: read("v1")), read(first.oid), [d.id for d in api.list_datasets(author="org")]])
"""


def test_what_is_uploaded_comes_back_and_every_commit_stays_readable(hub, monkeypatch):
    hub.part_size = 1000
    monkeypatch.setitem(PAGE, "tree", 2)
    monkeypatch.setitem(PAGE, "commits", 1)
    large = bytes(range(256)) * 15
    card = b"---\nlicense: cc0-1.0\n---\n"
    files = {"hello.txt": b"hello\n", "large.parquet": large, "small/a.npy": b"abc", "small/empty.npy": b""}
    folder = put(hub, "mine", {**files, "README.md": card})
    (
        (user, url, there),
        (first, again, repo_id),
        (tag_there, branch_there),
        (refs, second, third),
        commits,
        texts,
        (no_revision, no_entry),
        snapshot,
        info,
        paths,
        tree,
        (no_tag, still, listed),
    ) = (line if len(line) > 1 else line[0] for line in run(hub, UPLOAD, str(folder), by="good"))
    assert (user, url, there) == ("ann", f"{hub.endpoint}/datasets/org/data", ["HfHubHTTPError", 409])
    assert (again, repo_id) == (first, "org/data")
    assert tag_there == branch_there == ["HfHubHTTPError", 409]
    assert refs == {"refs/heads/main": second, "refs/heads/dev/x": third, "refs/tags/v1": first}
    assert commits == [["second", ["ann"]], ["first", ["ann"]], ["initial commit", ["ann"]]]
    assert texts == ["changed", "changed", "hello\n", "hello\n", "hello\n", "changed"]
    assert no_revision == ["RevisionNotFoundError", 404]
    assert no_entry == ["RemoteEntryNotFoundError", 404]
    sizes = {name: len(content) for name, content in {**files, "README.md": card}.items()}
    assert {name: size for name, size in snapshot.items() if name != ".gitattributes"} == sizes
    sha256 = hashlib.sha256(large).hexdigest()
    sha, licence, private, siblings = info
    assert (sha, licence, private) == (second, "cc0-1.0", False)
    by_name = {name: rest for name, *rest in siblings}
    assert sorted(by_name) == [".gitattributes", "README.md", "copy.parquet", "hello.txt", "large.parquet"]
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 3840\n" % sha256.encode()
    blob = hashlib.sha1(b"blob %d\0" % len(pointer) + pointer, usedforsecurity=False).hexdigest()
    assert by_name["copy.parquet"] == by_name["large.parquet"] == [3840, blob, sha256]
    assert paths == [
        ["large.parquet", sha256, "first"],
        ["small", None, "first"],
        ["hello.txt", None, "first"],
    ]
    assert tree == ["small/a.npy", "small/empty.npy"]
    assert (no_tag, still, listed) == (["RevisionNotFoundError", 404], "hello\n", ["org/data"])
    # The large file went in parts, once; the small one whole; the empty one inside the commit.
    puts = [request for request in hub.requests if request.startswith("PUT")]
    names = [request.rpartition("/")[2] for request in puts]
    assert sorted(name for name in names if len(name) == 1) == ["1", "2", "3", "4"]
    assert len(names) == 5
    # git itself calls these bytes ce0136.
    [hello] = [
        e for p, e in hub.store.open("datasets/org/data").commits[first].tree.items() if p == "hello.txt"
    ]
    assert hello.oid == "ce013625030ba8dba906f756967f9e9ca394464a"
    # The folder is what main is.
    on_disk = {p.name: p.read_bytes() for p in (hub.root / "datasets/org/data").iterdir()}
    assert on_disk == hub.files("datasets/org/data")
    assert not (hub.root / "datasets/org/data/small").exists()


def test_editing_the_folder_is_committing_and_ids_depend_on_content_and_history_only(tmp_path):
    def history(root):
        with LoopbackHub(root) as hub:
            folder = put(hub, "models/org/name", {"a.txt": b"1", "b/c.txt": b"2"})
            ids = [hub.commit("models/org/name")]
            for content in (b"3", b"1"):
                (folder / "a.txt").write_bytes(content)
                ids += [hub.commit("models/org/name"), hub.commit("models/org/name")]
            assert hub.files("models/org/name", ids[1]) == {"a.txt": b"3", "b/c.txt": b"2"}
            assert hub.titles("models/org/name") == ["Edit the folder", "Edit the folder", "initial commit"]
            return ids

    first, *pairs = history(tmp_path / "one")
    assert pairs[0] == pairs[1] != first
    assert pairs[2] == pairs[3] != first
    assert history(tmp_path / "two") == [first, *pairs]
    assert all(len(oid) == 40 and int(oid, 16) >= 0 for oid in pairs)


STALE = """
head = api.model_info("org/name").sha
add = lambda name, **at: api.create_commit("org/name", [CommitOperationAdd(name, name.encode())],
                                           commit_message=name, **at)
new = add("a.txt", parent_commit=head).oid
say(attempt(lambda: add("b.txt", parent_commit=head)), add("c.txt", parent_commit=new).oid)
pull = add("d.txt", parent_commit=head, create_pr=True)
say(sorted(api.list_repo_files("org/name", revision=pull.pr_revision)))
say(attempt(lambda: add("e.txt", revision=head)), attempt(lambda: add("f.txt", revision="no")))
say(attempt(lambda: api.delete_file("none.txt", "org/name")))
"""


def test_a_commit_whose_parent_is_not_the_head_is_refused(hub):
    put(hub, "models/org/name", {"z.txt": b"z"})
    (stale, head), pull, (on_commit, on_nothing), deleted = run(hub, STALE, by="good")
    assert stale == ["HfHubHTTPError", 412]
    assert hub.commit("models/org/name") == head
    assert hub.titles("models/org/name") == ["c.txt", "a.txt", "initial commit"]
    assert pull == [["d.txt", "z.txt"]]
    assert on_commit == ["BadRequestError", 400]
    assert on_nothing == ["RevisionNotFoundError", 404]
    assert deleted == [["RemoteEntryNotFoundError", 404]]


MANY = """
for i in range(5):
    name = f"{arguments[0]}{i}.bin"
    api.upload_file(path_or_fileobj=name.encode(), path_in_repo=name, repo_id="org/name", commit_message=name)
"""


def test_several_clients_commit_at_the_same_time_and_nothing_is_lost(hub):
    put(hub, "models/org/name", {"z.txt": b"z"})
    clients = [start(hub, MANY, letter, by="good") for letter in "ab"]
    for client in clients:
        assert said(client) == []
    names = [f"{letter}{i}.bin" for letter in "ab" for i in range(5)]
    assert sorted(hub.files("models/org/name")) == [*names, "z.txt"]
    assert sorted(hub.titles("models/org/name")) == [*names, "initial commit"]


# --- pull requests

PULLS = """
repo = dict(repo_id="org/data", repo_type="dataset")
add = lambda name, content, **at: api.create_commit(**repo, commit_message=f"Add {name}",
    operations=[CommitOperationAdd(name, content)], **at)
large = CommitOperationAdd("large.bin", b"large")
api.preupload_lfs_files(**repo, additions=[large], create_pr=True)
opened = api.create_commit(**repo, operations=[large], commit_message="Add large", create_pr=True)
say(opened.pr_num, opened.pr_revision, opened.pr_url, opened.oid)
add("more.txt", b"more", revision=opened.pr_revision)
files = lambda revision=None: sorted(api.list_repo_files(**repo, revision=revision))
say(files(), files("refs/pr/1"), api.dataset_info("org/data", revision="refs/pr/1").sha)
add("same.txt", b"theirs", create_pr=True)
add("same.txt", b"ours")
draft = api.create_pull_request(**repo, title="A draft")
say(draft.status, draft.git_reference, attempt(lambda: api.merge_pull_request(**repo, discussion_num=3)))
for i in range(10):
    api.create_discussion(**repo, title=f"Talk {i}")
listed = lambda **which: [d.num for d in api.get_repo_discussions(**repo, **which)]
say(listed(), listed(discussion_type="pull_request"), listed(author="bob"))
api.comment_discussion(**repo, discussion_num=1, comment="fine")
api.rename_discussion(**repo, discussion_num=1, new_title="Add the large file")
api.change_discussion_status(**repo, discussion_num=1, new_status="closed", comment="later")
say(listed(discussion_status="closed"), attempt(lambda: api.merge_pull_request(**repo, discussion_num=1)))
api.change_discussion_status(**repo, discussion_num=1, new_status="open")
api.merge_pull_request(**repo, discussion_num=1)
one = api.get_discussion_details(**repo, discussion_num=1)
kinds = [e.type for e in one.events]
say(one.status, one.title, one.merge_commit_oid, one.conflicting_files, kinds, one.diff)
say(files(), api.get_discussion_details(**repo, discussion_num=2).conflicting_files)
say(attempt(lambda: api.merge_pull_request(**repo, discussion_num=2)))
pulls = api.list_repo_refs(**repo, include_pull_requests=True).pull_requests
say([r.ref for r in pulls], attempt(lambda: api.get_discussion_details(**repo, discussion_num=99)))
"""


def test_a_pull_request_changes_main_only_when_it_is_merged(hub):
    put(hub, "datasets/org/data", {"a.txt": b"a\n"})
    before = hub.commit("datasets/org/data")
    opened, files, draft, lists, closed, one, after, conflict, refs = run(hub, PULLS, by="good")
    number, revision, url, oid = opened
    assert (number, revision, url) == (1, "refs/pr/1", f"{hub.endpoint}/datasets/org/data/discussions/1")
    on_main, on_pull, pull_head = files
    assert on_main == ["a.txt"]
    assert on_pull == ["a.txt", "large.bin", "more.txt"]
    assert oid != pull_head == hub.commit("datasets/org/data", "refs/pr/1")
    assert draft == ["draft", "refs/pr/3", ["BadRequestError", 400]]
    assert lists == [list(range(13, 0, -1)), [3, 2, 1], []]
    assert closed == [[1], ["BadRequestError", 400]]
    status, title, merge_commit, conflicting, events, diff = one
    assert (status, title, conflicting) == ("merged", "Add the large file", [])
    assert merge_commit == hub.commit("datasets/org/data")
    assert [e for e in events if e != "comment"] == [
        *("commit", "commit", "title-change", "status-change", "status-change", "status-change"),
    ]
    assert "+more" in diff
    assert f"+oid sha256:{hashlib.sha256(b'large').hexdigest()}" in diff
    assert after == [["a.txt", "large.bin", "more.txt", "same.txt"], ["same.txt"]]
    assert conflict == [["HfHubHTTPError", 409]]
    assert refs == [["refs/pr/1", "refs/pr/2", "refs/pr/3"], ["HfHubHTTPError", 404]]
    assert hub.titles("datasets/org/data") == [
        *("Add the large file (#1)", "Add same.txt", "initial commit"),
    ]
    assert hub.files("datasets/org/data", before) == {"a.txt": b"a\n"}
    with pytest.raises(Refused, match=r"#2 has conflicts: same\.txt"):
        hub.merge("datasets/org/data", 2)


def test_a_test_can_merge_and_see_what_was_proposed(hub):
    put(hub, "models/org/name", {"a.txt": b"a"})
    code = "api.upload_file(path_or_fileobj=b'b', path_in_repo='b.txt', repo_id='org/name', create_pr=True)"
    run(hub, code, by="other")
    [pull] = hub.discussions("models/org/name")
    assert (pull.number, pull.author, pull.status) == (1, "bob", "open")
    assert hub.files("models/org/name") == {"a.txt": b"a"}
    assert hub.merge("models/org/name", 1) == hub.commit("models/org/name")
    assert hub.files("models/org/name") == {"a.txt": b"a", "b.txt": b"b"}
    assert (hub.root / "models/org/name/b.txt").read_bytes() == b"b"


# --- tokens

TOKENS = """
def tries(token):
    api = HfApi(token=token)
    add = lambda repo, **how: api.upload_file(
        path_or_fileobj=str((token, how)).encode(), path_in_repo="x.bin", repo_id=repo, **how).pr_revision
    return [
        attempt(lambda: api.whoami()["name"]),
        attempt(lambda: len(api.list_repo_files("org/public"))),
        attempt(lambda: len(api.list_repo_files("org/secret"))),
        attempt(lambda: bool(add("org/public", create_pr=True))),
        attempt(lambda: add("org/public")),
        attempt(lambda: str(api.create_repo("org/another", private=True, exist_ok=True))[-11:]),
        attempt(lambda: api.create_tag("org/public", tag=token)),
        attempt(lambda: add("org/public", revision="refs/pr/1")),
    ]
for token in ("good", "read", "guest", "old", "nonsense", False):
    say(*tries(token))
"""


def test_who_may_do_what_depends_on_the_token(hub):
    put(hub, "models/org/public", {"a.txt": b"a"})
    put(hub, "models/org/secret", {"a.txt": b"a", "b.txt": b"b"})
    hub.private.add("models/org/secret")
    hub.expired.add("old")
    hub.readonly.add("carl")
    hub.outsiders.add("dora")
    good, read, guest, old, nonsense, nobody = run(hub, TOKENS)
    forbidden, unknown, bad = ["HfHubHTTPError", 403], "RepositoryNotFoundError", ["HfHubHTTPError", 401]
    assert good == ["ann", 1, 2, True, None, "org/another", None, None]
    assert read == ["carl", 2, 2, forbidden, forbidden, "org/another", forbidden, forbidden]
    assert guest == ["dora", 2, [unknown, 404], True, forbidden, forbidden, forbidden, forbidden]
    assert old == nonsense == [bad] * 8
    assert nobody[1:5] == [2, [unknown, 401], [unknown, 401], [unknown, 401]]
    assert "models/org/another" in hub.private
    assert hub.titles("models/org/public")[1:] == ["initial commit"]
    assert [d.author for d in hub.discussions("models/org/public")] == ["ann", "dora"]


# --- datasets and transformers

DATASET = """
import datasets
pinned = arguments[0]
whole = datasets.load_dataset("org/data", "small", split="test", revision=pinned)
parts = datasets.load_dataset("org/data", "small", split="test", streaming=True)
say(list(whole["x"]), [row["x"] for row in parts], datasets.get_dataset_config_names("org/data"))
datasets.Dataset.from_dict({"x": [7]}).push_to_hub("org/pushed", "big", split="train", private=True)
say(list(datasets.load_dataset("org/pushed", "big", split="train")["x"]))
"""


def test_datasets_loads_a_config_and_a_split_whole_and_in_a_stream(hub):
    folder = hub.root / "datasets/org/data"
    for config, values in (("small", [1, 2, 3]), ("large", [4])):
        (folder / config).mkdir(parents=True)
        datasets.Dataset.from_dict({"x": values}).to_parquet(folder / config / "test-00000-of-00001.parquet")
    configs = "".join(f"- config_name: {c}\n  data_files: {c}/test-*.parquet\n" for c in ("small", "large"))
    split = configs.replace("data_files: ", "data_files:\n  - split: test\n    path: ")
    (folder / "README.md").write_text(f"---\nconfigs:\n{split}---\n")
    pinned = hub.commit("datasets/org/data")
    datasets.Dataset.from_dict({"x": [1, 2, 3, 9]}).to_parquet(folder / "small/test-00000-of-00001.parquet")
    (whole, parts, names), pushed = run(hub, DATASET, pinned, by="good")
    assert (whole, parts, sorted(names)) == ([1, 2, 3], [1, 2, 3, 9], ["large", "small"])
    assert pushed == [[7]]
    assert "datasets/org/pushed" in hub.private


MODEL = """
from tests.helpers import toy_models
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification
made = toy_models.save_model(Path(arguments[0]), "hubert", ["no", "yes"])
commit = api.model_info("org/toy").sha
(made / "config.json").write_text("{}")
model = AutoModelForAudioClassification.from_pretrained("org/toy", revision=commit)
extractor = AutoFeatureExtractor.from_pretrained("org/toy", revision=commit)
say(commit, model.config.id2label[1], extractor.sampling_rate)
"""


@pytest.mark.slow  # tests/integration/test_verify_hub.py has a model at a commit
def test_transformers_loads_a_model_at_a_commit(hub):
    [(commit, name, rate)] = run(hub, MODEL, str(hub.root / "models/org/toy"))
    assert (name, rate) == ("yes", 16_000)
    assert commit != hub.commit("models/org/toy")
    assert f"GET /org/toy/resolve/{commit}/model.safetensors" in hub.requests
