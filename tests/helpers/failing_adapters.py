"""Adapters that misbehave, as files, and what looks after the processes they run in."""

from __future__ import annotations

import time
from pathlib import Path

FAILS = '''
import os, signal, subprocess, sys, time
import numpy as np


class Fails:
    """Does at its `at`th call what it is named after; before that, and after, it answers."""

    class_names = ("quiet", "loud")
    sample_rate_hz = 16_000

    def __init__(self, how: str, at: int = 1):
        self.how, self.at, self.n_calls = how, at, 0

    def logits(self, waveforms):
        self.n_calls += 1
        answer = np.stack([[0.0, float(np.abs(w).sum())] for w in waveforms])
        if self.n_calls == self.at:
            return getattr(self, self.how)(answer)
        return answer

    def exits(self, answer):
        print("last words")
        os._exit(3)

    def crashes(self, answer):
        os.write(2, b"before\\nmalloc(): corrupted top size\\n\\n")
        os.kill(os.getpid(), signal.SIGSEGV)

    def hangs(self, answer):
        self.child = subprocess.Popen(["sleep", "600"])
        print(self.child.pid, file=open(os.environ["CHILD"], "w"), flush=True)
        time.sleep(600)

    def raises(self, answer):
        self.deeper()

    def deeper(self):
        np.linalg.inv(np.zeros((2, 3)))

    def returns_much(self, answer):
        return np.zeros((1000, 1000))

    def fills_memory(self, answer):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory")

    def prints(self, answer):
        print("printed")
        sys.stdout.buffer.write(b"\\x00\\x00\\x00\\x02{}")
        sys.stdout.flush()
        os.write(1, b"\\x00\\x00\\x00\\x02{}")
        subprocess.run(["echo", "from a child"], check=True)
        assert sys.stdin.read() == ""
        return answer
'''


def is_running(pid: int) -> bool:
    """Whether a process is there, and not just its exit status."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ends(pid: int, seconds: float) -> bool:
    """Whether a process ends within some seconds."""
    deadline = time.monotonic() + seconds
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_running(pid)
