"""`/v1/webhooks`."""

from __future__ import annotations

from datetime import datetime

from litestar import Controller, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec.structs import asdict

from pypackager.control.resources import Webhook
from pypackager.control.rest.bodies import NewWebhook
from pypackager.control.rest.channels import After, IfMatch, Limit, TheDesk
from pypackager.control.rest.replies import made, tagged
from pypackager.control.rest.views import Page, page
from pypackager.control.settings import WebhookSettings
from pypackager.control.webhooks import Webhooks, shown

TheWebhooks = NamedDependency[Webhooks]


class WebhookView(WebhookSettings, frozen=True, kw_only=True):
    """A webhook."""

    name: str
    created: datetime
    etag: str


class NewWebhookView(WebhookView, frozen=True, kw_only=True):
    """A webhook that was made."""

    secret: str
    """With which its receiver checks signatures; it is not shown again."""


class WebhooksApi(Controller):
    """Webhooks."""

    path = "/v1/webhooks"
    tags = ("Webhooks",)

    @get(summary="Webhooks")
    async def list(self, desk: TheDesk, after: After = "", limit: Limit = 100) -> Page[WebhookView]:
        """All webhooks, without their secrets."""
        webhooks = desk.resources.webhooks
        here, following = page(list(webhooks), after, limit)
        return Page([_view(webhooks[name]) for name in here], following)

    @post(summary="Make a webhook")
    async def create(self, webhooks: TheWebhooks, data: JSONBody[NewWebhook]) -> Response[NewWebhookView]:
        """What happens from now on is sent to it."""
        webhook = await webhooks.create(data.name, WebhookSettings(url=data.url, kinds=data.kinds))
        return made(NewWebhookView(**asdict(_view(webhook)), secret=shown(webhook.secret)), f"/v1/webhooks/{webhook.name}")

    @get("/{webhook:str}", summary="A webhook")
    async def show(self, desk: TheDesk, webhook: FromPath[str]) -> Response[WebhookView]:
        """Without its secret."""
        return tagged(_view(desk.resources.webhook(webhook)))

    @delete("/{webhook:str}", summary="Delete a webhook", status_code=204)
    async def delete(self, webhooks: TheWebhooks, webhook: FromPath[str], if_match: IfMatch = None) -> None:
        """Nothing is sent to it any more."""
        await webhooks.delete(webhook, if_match)


def _view(webhook: Webhook) -> WebhookView:
    return WebhookView(**asdict(webhook.settings), name=webhook.name, created=webhook.created, etag=webhook.etag)
