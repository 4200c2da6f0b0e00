"""The task of recordings of instruments that real models are tried on."""

INSTRUMENTS = """
name: instrument
labels:
  cello: [cel]
  clarinet: [cla]
  flute: [flu]
  guitar: [gac, acoustic guitar]
  saxophone: [sax]
  trombone: [tro]
"""
"""Its file: labels and the names that a corpus has for them."""
