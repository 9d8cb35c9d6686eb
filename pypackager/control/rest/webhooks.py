"""`/v1/webhooks`."""

from __future__ import annotations

from datetime import datetime

from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec.structs import asdict

from pypackager.control.resources import Webhook
from pypackager.control.rest.bodies import NewWebhook
from pypackager.control.rest.channels import After, Changes, IfMatch, Limit, TheDesk
from pypackager.control.rest.replies import made, tagged
from pypackager.control.rest.views import Page, page
from pypackager.control.settings import WebhookSettings
from pypackager.control.webhooks import Attempt, Webhooks, shown

TheWebhooks = NamedDependency[Webhooks]


class WebhookView(WebhookSettings, frozen=True, kw_only=True):
    """A webhook."""

    name: str
    last: Attempt | None
    """The last request; null: none was sent since the daemon started."""
    waiting: int
    """Events that are still to be sent."""
    created: datetime
    modified: datetime
    etag: str


class NewWebhookView(WebhookView, frozen=True, kw_only=True):
    """A webhook with a secret that was made."""

    secret: str
    """With which its receiver checks signatures; it is not shown again."""


class WebhooksApi(Controller):
    """Webhooks."""

    path = "/v1/webhooks"
    tags = ("Webhooks",)

    @get(summary="Webhooks")
    async def list(self, desk: TheDesk, webhooks: TheWebhooks, after: After = "", limit: Limit = 100) -> Page[WebhookView]:
        """All webhooks, without their secrets."""
        known = desk.resources.webhooks
        here, following = page(list(known), after, limit)
        return Page([await _view(webhooks, known[name]) for name in here], following)

    @post(summary="Make a webhook")
    async def create(self, webhooks: TheWebhooks, data: JSONBody[NewWebhook]) -> Response[NewWebhookView]:
        """What happens from now on is sent to it."""
        webhook = await webhooks.create(data.name, WebhookSettings(url=data.url, kinds=data.kinds))
        return made(await _new(webhooks, webhook), f"/v1/webhooks/{webhook.name}")

    @get("/{webhook:str}", summary="A webhook")
    async def show(self, desk: TheDesk, webhooks: TheWebhooks, webhook: FromPath[str]) -> Response[WebhookView]:
        """Without its secret; with what became of the last request."""
        return tagged(await _view(webhooks, desk.resources.webhook(webhook)))

    @patch("/{webhook:str}", summary="Change settings")
    async def change(self, webhooks: TheWebhooks, webhook: FromPath[str], data: Changes, if_match: IfMatch = None) -> Response[WebhookView]:
        """JSON merge patch (RFC 7396), at any time; what waits is sent to the new URL."""
        return tagged(await _view(webhooks, await webhooks.change(webhook, data, if_match)))

    @post("/{webhook:str}/rotate", summary="Make a new secret", status_code=200)
    async def rotate(self, webhooks: TheWebhooks, webhook: FromPath[str], if_match: IfMatch = None) -> Response[NewWebhookView]:
        """It is shown once. For a day requests are signed with the one before as well."""
        return tagged(await _new(webhooks, await webhooks.rotate(webhook, if_match)))

    @delete("/{webhook:str}", summary="Delete a webhook", status_code=204)
    async def delete(self, webhooks: TheWebhooks, webhook: FromPath[str], if_match: IfMatch = None) -> None:
        """Nothing is sent to it any more."""
        await webhooks.delete(webhook, if_match)


async def _view(webhooks: Webhooks, webhook: Webhook) -> WebhookView:
    return WebhookView(
        **asdict(webhook.settings),
        name=webhook.name,
        last=webhooks.last.get(webhook.name),
        waiting=await webhooks.waiting(webhook),
        created=webhook.created,
        modified=webhook.modified,
        etag=webhook.etag,
    )


async def _new(webhooks: Webhooks, webhook: Webhook) -> NewWebhookView:
    return NewWebhookView(**asdict(await _view(webhooks, webhook)), secret=shown(webhook.secret))
