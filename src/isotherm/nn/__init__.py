"""Torch building blocks and the fit loop; imported only by methods that train a network."""

import os

# The threads of torch's OpenMP spin while they wait, and on a machine that also does something else they hold each
# other up: with two cores and a load of 4 training took 8 times as long. It reads this once, when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
