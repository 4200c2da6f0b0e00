r"""What can be made to go wrong between the Hub and its clients.

    hub.fail(Fault("status", "GET", r"/resolve/.*\.parquet", status=503, times=2))

Kinds:
    status    an error answer; the request is not carried out, unless `after`
    drop      the connection closes after `keep` bytes of the body; a request that writes is not carried out
              and gets no answer at all, unless `after`
    truncate  only `keep` bytes of the body are sent, and Content-Length says so
    etag      ETag and X-Linked-Etag are those of another file
    corrupt   one byte in the middle of the body is another
    slow      the answer comes `seconds` later
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from hashlib import sha256

from tests.helpers.hub.answers import UNANSWERED, Answer, refusal

KINDS = ("status", "drop", "truncate", "etag", "corrupt", "slow")
_WORDS = {401: "Invalid credentials in Authorization header", 403: "Forbidden", 404: "Entry not found"}
_CODES = {404: "EntryNotFound"}


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong the first `times` times that a request fits."""

    kind: str
    """One of KINDS."""
    method: str = "GET"
    """Regular expression for all of the method."""
    path: str = ""
    """Regular expression for a part of the path and the query, as sent (`refs%2Fpr%2F1`)."""
    times: int = 1
    """How often."""
    status: int = 500
    """Of `status`."""
    retry_after: int | None = None
    """Seconds in the header of that name, of `status`."""
    keep: int = 0
    """Bytes of the body that arrive, of `drop` and `truncate`."""
    seconds: float = 0.0
    """Of `slow`."""
    after: bool = False
    """Whether a request that writes is carried out all the same: its answer is what gets lost."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault {self.kind!r}; there are: {', '.join(KINDS)}")

    def fits(self, method: str, path: str) -> bool:
        """Whether a request is one of those it is about."""
        return re.fullmatch(self.method, method) is not None and re.search(self.path, path) is not None

    def prevents(self, method: str) -> bool:
        """Whether the request is not carried out."""
        if self.after:
            return False
        return self.kind == "status" or (self.kind == "drop" and method not in ("GET", "HEAD"))

    def spoil(self, answer: Answer | None, method: str) -> Answer:
        """What arrives in the place of an answer.

        Args:
            answer: None where the request was not carried out.
            method: of the request.

        Returns:
            The answer itself when there is nothing in it to be spoilt.
        """
        if self.kind == "drop":
            return self._dropped(answer, method)
        if answer is None or self.kind == "status":
            extra = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
            said = refusal(self.status, _WORDS.get(self.status, "Internal Error"), _CODES.get(self.status))
            return replace(said, headers={**said.headers, **extra})
        if self.kind == "truncate":
            return replace(answer, body=answer.body[: self.keep])
        if self.kind == "etag":
            tags = {name: tag for name, tag in answer.headers.items() if name.lower().endswith("etag")}
            other = {n: sha256(tag.encode()).hexdigest()[: len(tag) - 2] for n, tag in tags.items()}
            wrong = {name: f'"{tag}"' for name, tag in other.items()}
            return replace(answer, headers={**answer.headers, **wrong})
        if self.kind == "corrupt" and answer.body and method != "HEAD":
            body = bytearray(answer.body)
            body[len(body) // 2] ^= 1
            return replace(answer, body=bytes(body))
        return answer

    def _dropped(self, answer: Answer | None, method: str) -> Answer:
        if answer is not None and self.keep < len(answer.body) and method != "HEAD":
            return replace(answer, cut_at=self.keep)
        if answer is not None and method == "GET":
            return answer
        return Answer(cut_at=UNANSWERED)
