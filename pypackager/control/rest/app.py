"""The API as an ASGI application."""

from __future__ import annotations

from typing import Any

from litestar import Litestar, Request, Response
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from pypackager import __version__
from pypackager.control.archive import Archive
from pypackager.control.desk import Desk
from pypackager.control.drains import Drains
from pypackager.control.endpoints import Endpoints
from pypackager.control.events import Events
from pypackager.control.publications import Publications
from pypackager.control.rest.assets import Assets, show_operation
from pypackager.control.rest.channels import Channels, Programs
from pypackager.control.rest.drains import begin_drain
from pypackager.control.rest.endpoints import StreamingEndpoints
from pypackager.control.rest.events import follow_events
from pypackager.control.rest.locators import Locators
from pypackager.control.rest.replies import misunderstood, refused
from pypackager.control.rest.signing import SigningKeys
from pypackager.control.rest.tokens import ApiTokens
from pypackager.control.rest.usage import show_usage
from pypackager.control.rest.webhooks import WebhooksApi
from pypackager.control.signing import Signing
from pypackager.control.tokens import Tokens
from pypackager.control.webhooks import Webhooks
from pypackager.model.errors import PackagerError


def make_rest(desk: Desk, endpoints: Endpoints, archive: Archive, drains: Drains, events: Events, webhooks: Webhooks, log: Any) -> Litestar:
    """The application.

    Args:
        desk: takes commands.
        endpoints: takes those on streaming endpoints.
        archive: takes those on assets.
        drains: takes those that disconnect encoders.
        events: what happens.
        webhooks: to whom it is sent.
        log: a structured logger, for faults of ours.
    """
    publications = Publications(desk.runner)
    signing = Signing(desk.runner)
    tokens = Tokens(desk.runner)

    def failed(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
        log.error("request failed", path=request.url.path, code="INTERNAL", detail=repr(error), exc_info=error)
        return refused(request, PackagerError("INTERNAL", "the control plane failed on this request", status=500, fault="us"))

    return Litestar(
        [
            Channels,
            Programs,
            StreamingEndpoints,
            Locators,
            Assets,
            SigningKeys,
            ApiTokens,
            WebhooksApi,
            show_operation,
            show_usage,
            begin_drain,
            follow_events,
        ],
        dependencies={
            "desk": Provide(lambda: desk, sync_to_thread=False),
            "signing": Provide(lambda: signing, sync_to_thread=False),
            "events": Provide(lambda: events, sync_to_thread=False),
            "webhooks": Provide(lambda: webhooks, sync_to_thread=False),
            "tokens": Provide(lambda: tokens, sync_to_thread=False),
            "endpoints": Provide(lambda: endpoints, sync_to_thread=False),
            "drains": Provide(lambda: drains, sync_to_thread=False),
            "archive": Provide(lambda: archive, sync_to_thread=False),
            "publications": Provide(lambda: publications, sync_to_thread=False),
        },
        exception_handlers={PackagerError: refused, HTTPException: misunderstood, Exception: failed},
        openapi_config=OpenAPIConfig("pypackager", __version__, path="/schema", render_plugins=[JsonRenderPlugin()]),
        request_max_body_size=2**16,
        logging_config=None,
    )
