"""The REST API of a running daemon, for commands.

In: requests. Out: the bodies of answers. Never: an answer that is a problem; that is raised.
"""

from __future__ import annotations

import argparse
import os
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from pypackager.cli import trust as believed
from pypackager.model.errors import PackagerError

POLL_S = 0.1
"""How often `--wait` asks."""
TOKEN = "PYPACKAGER_TOKEN"  # noqa: S105 (the name of a variable: what stands on a command line everybody here can read)


def add_control(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say which daemon is meant, and whom it is believed of."""
    parser.add_argument(
        "--control",
        metavar="URL",
        default=os.environ.get("PYPACKAGER_CONTROL", "http://127.0.0.1:8090"),
        help="the daemon's control listener (default: $PYPACKAGER_CONTROL, else http://127.0.0.1:8090)",
    )
    believed.add_argument(parser)


class Api:
    """The API of a daemon: the body of an answer, or its problem as an error.

    Args:
        control: URL of its control listener.
        trust: whom HTTPS is believed of; True: the public authorities.
    """

    def __init__(self, control: str, trust: ssl.SSLContext | bool) -> None:
        import httpx

        self._control = control
        token = os.environ.get(TOKEN)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        root = f"{control.rstrip('/')}/v1/"
        self._client = httpx.Client(base_url=root, headers=headers, timeout=30.0, trust_env=False, verify=trust)

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        """The body of an answer.

        Raises:
            PackagerError: it is a problem, or there is none.
        """
        import httpx

        try:
            answer = self._client.request(method, path, json=body)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            detail = f"no daemon answers there: {error}; start it with `pypackager serve`, or name its control listener with --control"
            raise PackagerError("CONTROL_UNREACHABLE", detail, where=self._control, fault="operator") from None
        if answer.is_success:
            return answer.json() if answer.content else None
        try:
            problem = answer.json()
            raise PackagerError(problem["code"], problem["detail"], status=answer.status_code, fault="operator")
        except (ValueError, KeyError, TypeError):
            detail = f"what answers there is no control listener: HTTP {answer.status_code}"
            raise PackagerError("CONTROL_UNREACHABLE", detail, where=self._control, fault="operator") from None

    def close(self) -> None:
        """Closes its connections."""
        self._client.close()

    def pages(self, path: str, wanted: Mapping[str, str]) -> list[Any]:
        """All items of a list that are wanted."""
        where = "".join(f"&{key}={quote(value, safe='')}" for key, value in wanted.items())
        items: list[Any] = []
        after: str | None = ""
        while after is not None:
            found = self("GET", f"{path}?after={quote(after, safe='')}{where}")
            items += found["items"]
            after = found["next"]
        return items

    def ended(self, operation: Any, told: Callable[[float], None] = lambda _: None) -> Any:
        """An operation, when it has ended; until then it is told which part is done.

        Raises:
            PackagerError: it failed.
        """
        while operation["status"] == "running":
            time.sleep(POLL_S)
            operation = self("GET", f"operations/{operation['id']}")
            told(operation["progress"])
        if operation["error"] is not None:
            raise PackagerError(operation["error"]["code"], operation["error"]["detail"], where=operation["target"], fault="operator")
        return operation
