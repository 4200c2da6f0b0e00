"""`python -m harness.recipes`: write the numbers of data_cards/scale.md again."""

from pathlib import Path

from harness.recipes.scale import renew

PAGE = Path(__file__).parents[2] / "data_cards" / "scale.md"

if __name__ == "__main__":
    PAGE.write_text(renew(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
