"""The use cases of a server: sites, images, verdicts, feedback, models and jobs over one data folder.

Plain functions ``f(service, actor, ...)``. The HTTP API, the pages, the compatibility routes and the job kinds call
these and nothing below them, so that permissions, limits and the audit trail are in one place.
"""
