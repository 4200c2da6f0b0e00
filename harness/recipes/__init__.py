"""Recipes of real suites: which models run on which recordings, and what that will cost.

    <name>.yaml     a shipped recipe; `recipe_file.read` makes a Recipe of it
    cost.py         queries, seconds of audio, GPU hours and bytes, before anything is run

No shipped recipe has ever been run against the real Hub. What they say of models and corpora was read in
copies of the Hub's pages or heard from others, and each entry says which (`seen`).
"""
