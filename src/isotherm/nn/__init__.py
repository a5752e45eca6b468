"""Torch building blocks and the fit loop; imported only by methods that train a network."""
