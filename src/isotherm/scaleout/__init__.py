"""One function over many items, on processes or machines that may die: every item's row once, whatever is killed.

`executor` is the seam (in this process, a pool of processes, Ray), `ledger` holds what is done, `driving` joins them.
What the function does is not known here: it is named as ``module:function`` and imported where it runs.
"""
