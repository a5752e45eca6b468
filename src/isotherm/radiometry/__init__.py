"""Counts to kelvin: Planck, atmosphere, window, emissivity."""
