"""The HTTP API and the pages, over the use cases of `isotherm.workflows.service`."""
