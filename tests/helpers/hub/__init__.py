"""A Hugging Face Hub on 127.0.0.1, for tests of what is downloaded and of what is uploaded."""

from tests.helpers.hub.faults import Fault
from tests.helpers.hub.loopback import LoopbackHub

__all__ = ["Fault", "LoopbackHub"]
