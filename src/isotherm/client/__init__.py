"""A small client of isotherm servers, over HTTP alone.

::

    from isotherm.client import Client

    with Client("http://127.0.0.1:8000", token="isotherm_...") as client:
        site = client.create_site("plant 7")
        report = client.upload_folder(site["id"], Path("pictures"), category="hot", split="train")
        job = client.wait(client.train(site["id"]))
        print(client.predict(site["id"], [Path("new.jpg")]))
"""

from __future__ import annotations

from isotherm.client.api import Client
from isotherm.client.compat import CompatClient
from isotherm.client.transport import RefusedError
from isotherm.core.errors import UnreachableError

__all__ = ["Client", "CompatClient", "RefusedError", "UnreachableError"]
