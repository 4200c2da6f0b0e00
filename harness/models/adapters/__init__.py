"""Adapters that come with goodenough: models that are no head of transformers, and examples to copy."""
