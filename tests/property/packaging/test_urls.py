"""The URL grammar reads what it writes, and nothing makes it fail but a clear error."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypackager.model.errors import PackagerError
from pypackager.packaging import urls

ids = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-", min_size=1, max_size=12)
audios = st.just("") | ids
times = st.integers(0, 10**19 - 1)
flavours: Any = st.sampled_from(["cmaf", "ts", "ts3"])
targets: Any = st.one_of(
    st.just(urls.SmoothManifest()),
    st.just(urls.DashManifest()),
    st.just(urls.HdsManifest()),
    st.builds(urls.HlsMaster, flavours),
    st.builds(urls.HlsMedia, flavours, ids),
    st.builds(urls.SmoothMedia, times, ids, times),
    st.builds(urls.Init, ids, st.text("0123456789abcdef", min_size=12, max_size=12)),
    st.builds(urls.Media, ids, times, st.integers(1, 999)),
    st.builds(urls.TsMedia, ids, audios, times, st.integers(1, 999)),
    st.builds(urls.HdsBootstrap, ids, audios),
    st.builds(urls.HdsMedia, ids, audios, st.integers(1, 10**19 - 1)),
)


@given(targets)
def test_what_is_built_is_parsed(target: urls.Target) -> None:
    path = urls.build(target)
    assert urls.parse(path) == target
    assert urls.parse(quote(path)) == target
    assert urls.parse(quote(path, safe="")) == target


@given(st.text(max_size=60) | st.text("%2(8)=/manifesthlts3+-.4u0", max_size=40))
def test_any_text_is_a_target_or_a_clear_error(path: str) -> None:
    try:
        target = urls.parse(path)
    except PackagerError as error:
        answer = (error.code, error.status)
    else:
        answer = ("", 200)
        assert urls.parse(urls.build(target)) == target
    assert answer in {("", 200), ("NO_SUCH_URL", 404), ("FORMAT_UNKNOWN", 400)}


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("manifest", urls.SmoothManifest()),
        ("Manifest", urls.SmoothManifest()),
        ("manifest.mpd", urls.DashManifest()),
        ("manifest(format=mpd-time-csf)", urls.DashManifest()),
        ("manifest%28format%3Dmpd-time-cmaf%29", urls.DashManifest()),
        ("Manifest(format=m3u8-aapl,audio-only=false)", urls.HlsMaster("ts")),
        ("manifest(audio-only=false,format=m3u8-aapl-v3)", urls.HlsMaster("ts3")),
        ("master.m3u8", urls.HlsMaster("cmaf")),
        ("manifest.f4m", urls.HdsManifest()),
        ("qualitylevels(3000000)/fragments(video=0)", urls.SmoothMedia(3_000_000, "video", 0)),
        ("QualityLevels(128000,lang=en)/Fragments(audio-1=48000)", urls.SmoothMedia(128_000, "audio-1", 48_000)),
        ("hds/v-1+a-1Seg1-Frag12", urls.HdsMedia("v-1", "a-1", 12)),
        ("v-1/12-3.m4s", urls.Media("v-1", 12, 3)),
    ],
)
def test_names_that_players_use(path: str, target: urls.Target) -> None:
    assert urls.parse(path) == target


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/manifest",
        "manifest/",
        "time",
        "v/01.m4s",
        "v/1-1.m4s",
        "v/1-0.m4s",
        "v/-1.m4s",
        "V/1.m4s",
        "../v/1.m4s",
        "v/99999999999999999999.m4s",
        "v/1.ts",
        "v/ABCDEF012345/init.mp4",
        "hds/vSeg2-Frag1",
        "hds/vSeg1-Frag0",
        "QualityLevels(x)/Fragments(video=0)",
    ],
)
def test_what_is_not_in_the_grammar_is_404(path: str) -> None:
    with pytest.raises(PackagerError) as caught:
        urls.parse(path)
    assert (caught.value.code, caught.value.status) == ("NO_SUCH_URL", 404)


def test_an_unknown_format_is_400() -> None:
    with pytest.raises(PackagerError) as caught:
        urls.parse("manifest(format=mp4)")
    assert (caught.value.code, caught.value.status) == ("FORMAT_UNKNOWN", 400)
