"""Checks that a plug-in of another package can run: one conformance check per seam."""
