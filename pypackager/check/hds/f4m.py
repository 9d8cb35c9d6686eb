"""Reads a Flash Media Manifest (Adobe F4M 1.0 to 3.0): stream-level, with media and bootstraps, or set-level, with links.

In: the body. Out: media, each with its bootstrap, and findings of the rules on elements. Never: a bootstrap's bytes, or another copy.
"""

from __future__ import annotations

import base64
from collections import Counter
from fractions import Fraction

import msgspec
from lxml import etree

from pypackager.check.finding import Scope
from pypackager.check.media.amf import read_amf
from pypackager.check.numerals import decimal, whole
from pypackager.check.references import resolve_reference
from pypackager.check.rules import Rule, rule

XML = rule(
    "HDS-XML", "error", "F4M 2.0 2", "a manifest is well-formed XML whose root is manifest in a namespace of F4M",
    example='<manifest xmlns="http://ns.adobe.com/f4m">',
)  # fmt: skip
VALUE = rule(
    "HDS-VALUE", "error", "F4M 2.0 4", "elements and attributes have the values that their definitions demand",
    example="<streamType>vod</streamType>",
)  # fmt: skip
MEDIA = rule(
    "HDS-MEDIA", "error", "F4M 2.0 4.7", "each media has a url and names a bootstrapInfo that is there; one has at least to be",
    example='bootstrapInfoId="b2" without a bootstrapInfo of that id',
)  # fmt: skip
BOOTSTRAP_INFO = rule(
    "HDS-BOOTSTRAP-INFO", "error", "F4M 2.0 4.4", "a bootstrapInfo has profile named, an id of its own, and either a url or Base64",
    example="a bootstrapInfo that is empty and has no url",
)  # fmt: skip
METADATA = rule(
    "HDS-METADATA", "error", "F4M 2.0 4.8", "metadata is Base64 of onMetaData in AMF0, and says what the attributes of its media say",
    example='width 640 in onMetaData under width="1280"',
)  # fmt: skip
BITRATES = rule(
    "HDS-BITRATES", "warning", "F4M 2.0 4.7", "of several media for a player to choose from each has a bitrate of its own",
    example="two media without bitrate",
)  # fmt: skip

_NAMESPACES = tuple(f"http://ns.adobe.com/f4m/{version}" for version in ("1.0", "2.0", "3.0"))
_STREAM_TYPES = ("live", "recorded", "liveOrRecorded", "any")


class BootstrapInfo(msgspec.Struct, frozen=True):
    """Where a bootstrap is: at a URL, or here."""

    ident: str
    url: str
    data: bytes
    line: int


class Media(msgspec.Struct, frozen=True):
    """A media element."""

    url: str
    href: str
    bitrate: int | None
    """kbit/s."""
    width: int | None
    height: int | None
    alternate: bool
    kind: str
    language: str
    label: str
    bootstrap: BootstrapInfo | None
    line: int


class F4m(msgspec.Struct, frozen=True):
    """A manifest."""

    url: str
    stream_type: str
    duration: Fraction | None
    media: tuple[Media, ...]

    @property
    def live(self) -> bool | None:
        """Whether it says that it goes on; None: it does not say."""
        return {"live": True, "recorded": False}.get(self.stream_type)


def read_f4m(body: bytes, url: str, scope: Scope) -> F4m | None:
    """Reads a manifest; None, and a finding, when it is none."""
    try:
        root = etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as fault:
        scope.breach(XML, fault.msg or "nothing", "well-formed XML", line=fault.lineno)
        return None
    name = etree.QName(root)
    if name.localname != "manifest" or name.namespace not in _NAMESPACES:
        scope.breach(XML, f"the root is {root.tag}", f"manifest of {_NAMESPACES[0]} or later", line=root.sourceline)
        if name.localname != "manifest":
            return None
    reader = _Reader(root, name.namespace or "", url, scope)
    return reader.read()


class _Reader:
    def __init__(self, root: etree._Element, namespace: str, url: str, scope: Scope) -> None:
        self.root = root
        self.prefix = f"{{{namespace}}}" if namespace else ""
        base = root.findtext(f"{self.prefix}baseURL")
        self.url = url
        self.base = resolve_reference(url, base.strip()) if base else url
        self.scope = scope

    def read(self) -> F4m:
        stream_type = (self.root.findtext(f"{self.prefix}streamType") or "liveOrRecorded").strip()
        if stream_type not in _STREAM_TYPES:
            self.scope.breach(VALUE, f"streamType {stream_type}", " or ".join(_STREAM_TYPES), line=self.root.sourceline)
        infos = self._infos()
        media = tuple(self._media(element, infos) for element in self.root.iterfind(f"{self.prefix}media"))
        if not media:
            self.scope.breach(MEDIA, "no media", "one at least", line=self.root.sourceline)
        choices = [each for each in media if not each.alternate]
        for bitrate, count in Counter(each.bitrate for each in choices).items():
            if count > 1:
                self.scope.breach(BITRATES, f"{count} media of bitrate {bitrate}", "bitrates of their own", line=choices[0].line)
        return F4m(self.url, stream_type, self._duration(), media)

    def _duration(self) -> Fraction | None:
        text = self.root.findtext(f"{self.prefix}duration")
        if text is None:
            return None
        seconds = decimal(text.strip())
        if seconds is None:
            self.scope.breach(VALUE, f"duration {text[:40]}", "seconds", line=self.root.sourceline)
        return seconds

    def _infos(self) -> dict[str, BootstrapInfo]:
        out: dict[str, BootstrapInfo] = {}
        for element in self.root.iterfind(f"{self.prefix}bootstrapInfo"):
            line, ident, url = element.sourceline or 0, element.get("id", ""), element.get("url", "")
            text = "".join((element.text or "").split())
            if element.get("profile") != "named" or ident in out or bool(url) == bool(text):
                found = f'profile="{element.get("profile")}" id="{ident}", {"a url" if url else "no url"}, {len(text)} characters'
                self.scope.breach(BOOTSTRAP_INFO, found, "profile named, an id of its own, a url or Base64", line=line)
            data = self._decode(text, BOOTSTRAP_INFO, line) if text else b""
            out[ident] = BootstrapInfo(ident, resolve_reference(self.base, url) if url else "", data, line)
        return out

    def _decode(self, text: str, broken: Rule, line: int) -> bytes:
        try:
            return base64.b64decode(text, validate=True)
        except ValueError as fault:
            self.scope.breach(broken, str(fault), "Base64", line=line)
            return b""

    def _media(self, element: etree._Element, infos: dict[str, BootstrapInfo]) -> Media:
        line = element.sourceline or 0
        url, href = element.get("url", ""), element.get("href", "")
        ident = element.get("bootstrapInfoId")
        info = infos.get(ident) if ident is not None else next(iter(infos.values()), None)
        if not href and (not url or info is None):
            self.scope.breach(MEDIA, f'url="{url}" bootstrapInfoId="{ident}"', "a url, and a bootstrapInfo that is there", line=line)
        width, height = (self._number(element, name) for name in ("width", "height"))
        media = Media(
            url=resolve_reference(self.base, url) if url else "", href=resolve_reference(self.base, href) if href else "",
            bitrate=self._number(element, "bitrate"), width=width, height=height, alternate=element.get("alternate") is not None,
            kind=element.get("type", ""), language=element.get("lang", ""), label=element.get("label", ""), bootstrap=info, line=line,
        )  # fmt: skip
        return self._with_metadata(element, media)

    def _number(self, element: etree._Element, name: str) -> int | None:
        text = element.get(name)
        if text is None:
            return None
        number = whole(text)
        if number is None:
            self.scope.breach(VALUE, f'{name}="{text[:40]}"', "a number", line=element.sourceline)
        return number

    def _with_metadata(self, element: etree._Element, media: Media) -> Media:
        """Width and height may be told by onMetaData alone."""
        text = "".join((element.findtext(f"{self.prefix}metadata") or "").split())
        if not text:
            return media
        try:
            values = read_amf(self._decode(text, METADATA, media.line))
        except ValueError as fault:
            self.scope.breach(METADATA, str(fault), "onMetaData in AMF0", line=media.line)
            return media
        if len(values) < 2 or values[0] != "onMetaData" or not isinstance(values[1], dict):
            self.scope.breach(METADATA, f"{len(values)} values, the first {values[:1]!r}", "onMetaData and its properties", line=media.line)
            return media
        told = [values[1].get(name) for name in ("width", "height")]
        width, height = (int(value) if isinstance(value, float) and value >= 1 else None for value in told)
        for name, said, meta in (("width", media.width, width), ("height", media.height, height)):
            if said is not None and meta is not None and said != meta:
                self.scope.breach(METADATA, f"{name} {meta} in onMetaData", f'{said}, as {name}="{said}"', line=media.line)
        return msgspec.structs.replace(media, width=media.width or width, height=media.height or height)
