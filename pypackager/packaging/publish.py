"""The one way in: a presentation and a request, out comes the answer.

In: a presentation, the path below its root, the query. Out: Published. Never: I/O, a clock.
"""

from __future__ import annotations

from http import HTTPStatus

from pypackager.model.errors import PackagerError
from pypackager.model.plan import Published
from pypackager.model.presentation import Presentation
from pypackager.packaging import dash, fragments, hds, hls, hls_master, smooth, urls
from pypackager.packaging.window import track_by_id

_SEGMENTS = (urls.Media, urls.TsMedia, urls.SmoothMedia, urls.HdsMedia)


def answer(presentation: Presentation, path: str, query: str) -> Published:  # noqa: ARG001 -- no parameter selects anything yet; unknown ones are ignored
    """Answers a request. A segment that left the window a moment ago is served still: a slow player has an older manifest.

    Args:
        presentation: the published state to answer from.
        path: what follows the presentation's root, `/{locator}/{asset}.ism/` or `/preview/{channel}.isml/`.
        query: the query string, without `?`.

    Raises:
        PackagerError: 404 for what is not there (never was, not yet, no longer), 412 for a Smooth fragment that is too early, 400 for a
            format that does not exist.
    """
    target = urls.parse(path)
    try:
        return _answer(presentation, target)
    except PackagerError as error:
        if presentation.lately is None or error.status != HTTPStatus.NOT_FOUND or not isinstance(target, _SEGMENTS):
            raise
        try:
            return _answer(presentation.lately(), target)
        except PackagerError:
            raise error from None


def _answer(presentation: Presentation, target: urls.Target) -> Published:
    match target:
        case urls.Media():
            return fragments.media(presentation, target)
        case urls.TsMedia():
            return fragments.ts_media(presentation, target)
        case urls.Init():
            return fragments.init(presentation, target)
        case urls.HlsMedia(flavour, track):
            return hls.media_playlist(presentation, track_by_id(presentation, track), flavour)
        case urls.HlsMaster(flavour):
            return hls_master.multivariant_playlist(presentation, flavour)
        case urls.DashManifest():
            return dash.mpd(presentation)
        case urls.SmoothMedia():
            return smooth.media(presentation, target)
        case urls.SmoothManifest():
            return smooth.manifest(presentation)
        case urls.HdsMedia():
            return hds.media(presentation, target)
        case urls.HdsBootstrap():
            return hds.bootstrap(presentation, target)
        case urls.HdsManifest():
            return hds.manifest(presentation)
