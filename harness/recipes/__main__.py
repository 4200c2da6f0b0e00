"""`python -m harness.recipes data_cards/scale.md`: put the computed numbers into the page."""

import sys
from pathlib import Path

from harness.recipes import scale

if __name__ == "__main__":
    scale.write(Path(sys.argv[1] if len(sys.argv) > 1 else "data_cards/scale.md"))
