"""Domains: the plane on which a part of a clip is chosen, and the atoms by which it is.

A domain is a linear transform that a clip is rebuilt from, for clips of one length: `frequency` (the real FFT
of the whole clip), `time` (blocks of 10 ms) and `time-frequency` (an orthonormal MDCT). Its coefficients lie
on a plane of rows, which follow one another in time, and columns, which rise in frequency. A resolution
groups neighbouring coefficients into atoms: what a search keeps or leaves out.

Conventions: a mask over coefficients is bool (n_rows * n_columns,), row by row; one over atoms is bool
(n_atoms,), in the same order. Energies of atoms are shares of the energy of the samples and add up to it.
"""

from harness.domains.atoms import Atoms, Domain, Extent, Grid, one_row
from harness.domains.resolutions import DOMAINS, Resolution, parse

__all__ = ["DOMAINS", "Atoms", "Domain", "Extent", "Grid", "Resolution", "one_row", "parse"]
