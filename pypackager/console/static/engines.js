// One adapter per player library. Each opens a manifest on a video element and answers the same questions:
//   layers() -> [{id, width, height, bitrate, codec, frameRate}]   layer() -> id   setLayer(id | null: automatic)   auto() -> boolean
//   audios() -> [{id, language, name, codec, bitrate}]             audio() -> id   setAudio(id)
//   range() -> {start, end} | null    live() -> boolean    latency() -> seconds | null    bandwidth() -> bit/s | null
//   goLive()    edge(): where it plays live, in media time, when that is not the end of the range
//   destroy()    eager: play() may be called before there are metadata (some browsers load nothing until then)
// `report(message, fatal)` takes what goes wrong; `clock()` is UTC in seconds by the origin's clock, not the viewer's.

const loaded = new Map();

function script(site, name) {
  if (!loaded.has(name)) {
    loaded.set(name, new Promise((resolve, reject) => {
      const tag = document.createElement("script");
      tag.src = `${site}static/vendor/${name}`;
      tag.onload = resolve;
      tag.onerror = () => {
        loaded.delete(name);
        reject(new Error(`${name} is missing: the player scripts were not built (npm run build in web/)`));
      };
      document.head.append(tag);
    }));
  }
  return loaded.get(name);
}

const seekable = (video) => (video.seekable.length ? { start: video.seekable.start(0), end: video.seekable.end(video.seekable.length - 1) } : null);
const ratio = (text) => {
  const [frames, seconds] = String(text ?? "").split("/").map(Number);
  return seconds ? frames / seconds : frames || 0;
};
// Out of a MIME type: video/mp4;codecs="avc1.42C01F".
const codecs = (type) => /codecs="([^"]*)"/.exec(type ?? "")?.[1] ?? type;

async function hls({ site, url, video, report, clock }) {
  await script(site, "hls.min.js");
  const { Hls } = window;
  const player = new Hls({ lowLatencyMode: true, backBufferLength: 60 });
  let recovered = -Infinity;
  player.on(Hls.Events.ERROR, (_, data) => {
    if (!data.fatal) return;
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR && performance.now() - recovered > 5000) {
      recovered = performance.now();
      report(`hls.js: ${data.details}, recovering`, false);
      player.recoverMediaError();
    } else {
      report(`hls.js: ${data.details}${data.response ? ` (${data.response.code})` : ""}`, true);
    }
  });
  player.loadSource(url);
  player.attachMedia(video);
  const details = () => player.levels?.[player.currentLevel]?.details ?? player.latestLevelDetails;
  return {
    layers: () => player.levels.map((level, id) => ({
      id, width: level.width, height: level.height, bitrate: level.bitrate, frameRate: level.frameRate,
      codec: [level.videoCodec, level.audioCodec].filter(Boolean).join(", "),
    })),
    layer: () => player.currentLevel,
    auto: () => player.autoLevelEnabled,
    setLayer: (id) => { player.nextLevel = id ?? -1; },
    audios: () => player.audioTracks.map((track) => ({ id: track.id, language: track.lang, name: track.name, codec: track.audioCodec })),
    audio: () => player.audioTrack,
    setAudio: (id) => { player.audioTrack = id; },
    range: () => seekable(video),
    live: () => details()?.live ?? false,
    latency: () => {
      if (player.playingDate) return clock() - player.playingDate / 1000;
      return details()?.live ? player.latency : null;
    },
    bandwidth: () => player.bandwidthEstimate || null,
    goLive: () => { video.currentTime = player.liveSyncPosition ?? seekable(video)?.end ?? video.currentTime; },
    edge: () => player.liveSyncPosition,
    destroy: () => player.destroy(),
  };
}

// Four fragments, or half of the window, behind the end is where a chunk begins, and its first picture is shown 200 ms later (the shift, in
// docs/design/publication.md). dash.js then moves to that picture, may be moved back by its own audio, and waits for ever where the window
// is so short that one chunk is all it wants. Half a chunk before that it begins where picture and sound are.
function beginInsideAChunk(player, { Period: [{ AdaptationSet: [{ SegmentTemplate: { timescale, SegmentTimeline } }] }] }) {
  const { delay, buffer } = player.getSettings().streaming;
  const chunk = SegmentTimeline.S[0].d / timescale;
  const over = delay.liveDelay % chunk;
  if (!(Math.min(over, chunk - over) < 0.25 * chunk)) return;
  const goal = buffer.bufferTimeDefault + chunk / 2;
  player.updateSettings({ streaming: {
    delay: { liveDelay: delay.liveDelay + chunk / 2 },
    buffer: { bufferTimeDefault: goal, bufferTimeAtTopQuality: goal, bufferTimeAtTopQualityLongForm: goal },
  } });
}

async function dash({ site, url, video, report, clock, time }) {
  await script(site, "dash.mediaplayer.min.js");
  await script(site, "dash.mss.min.js");
  const { dashjs } = window;
  const player = dashjs.MediaPlayer().create();
  player.updateSettings({
    debug: { logLevel: dashjs.Debug.LOG_LEVEL_NONE },
    streaming: {
      // The default source of dash.js is an outside host; ours answers for Smooth, whose manifests name none.
      utcSynchronization: { defaultTimingSource: { scheme: "urn:mpeg:dash:utc:http-xsdate:2014", value: time } },
      buffer: { bufferToKeep: 60 },
    },
  });
  player.on(dashjs.MediaPlayer.events.ERROR, ({ error }) => {
    const gone = error?.code === dashjs.MediaPlayer.errors.DOWNLOAD_ERROR_ID_CONTENT_CODE;
    report(`dash.js: ${error?.code ?? ""} ${error?.message ?? error}`, !gone);
  });
  player.on(dashjs.MediaPlayer.events.MANIFEST_LOADED, ({ data }) => {
    if (data.protocol === "MSS" && data.type === "dynamic") beginInsideAChunk(player, data);
    // MssParser takes its buffer's goal from the first video fragment; without video it is NaN, and nothing is ever asked for.
    if (!Number.isNaN(player.getSettings().streaming.buffer.bufferTimeDefault)) return;
    const { timescale, SegmentTimeline } = data.Period[0].AdaptationSet[0].SegmentTemplate;
    // What MssParser leaves of its live delay, four fragments, for the buffer.
    const goal = (2.5 * SegmentTimeline.S[0].d) / timescale;
    player.updateSettings({ streaming: { buffer: { bufferTimeDefault: goal, bufferTimeAtTopQuality: goal, bufferTimeAtTopQualityLongForm: goal } } });
  });
  player.initialize(video, url, false);
  const tracks = (type) => player.getTracksFor(type) ?? [];
  // Smooth has no labels: where the language does not tell two streams apart, their names do.
  const called = (track, _, all) => track.labels?.[0]?.text || (all.filter(({ lang }) => lang === track.lang).length > 1 ? track.id : track.lang);
  const layers = () => (player.isReady() ? player.getRepresentationsByType("video") ?? [] : []);
  return {
    layers: () => layers().map((layer) => ({
      id: layer.id, width: layer.width, height: layer.height, bitrate: layer.bitrateInKbit * 1000, frameRate: ratio(layer.frameRate), codec: layer.codecs ?? "",
    })),
    layer: () => player.getCurrentRepresentationForType("video")?.id ?? null,
    auto: () => player.getSettings().streaming.abr.autoSwitchBitrate.video !== false,
    setLayer: (id) => {
      player.updateSettings({ streaming: { abr: { autoSwitchBitrate: { video: id === null } } } });
      if (id !== null) player.setRepresentationForTypeById("video", id);
    },
    audios: () => tracks("audio").map((track, ...rest) => ({
      id: track.index, language: track.lang, name: called(track, ...rest), codec: codecs(track.codec), bitrate: track.bitrateList?.[0]?.bandwidth,
    })),
    audio: () => player.getCurrentTrackFor("audio")?.index ?? null,
    setAudio: (id) => player.setCurrentTrack(tracks("audio").find((track) => track.index === id)),
    range: () => seekable(video),
    live: () => player.isReady() && player.isDynamic(),
    latency: () => {
      if (!player.isReady() || !player.isDynamic()) return null;
      const behind = clock() - player.timeAsUTC();
      if (Math.abs(behind) < 90_000) return behind;
      // Smooth names no wall clock: where media time is not UTC, the distance to the live edge is all that can be said.
      const range = seekable(video);
      return range ? Math.max(0, range.end - video.currentTime) : null;
    },
    bandwidth: () => player.getAverageThroughput("video") * 1000 || null,
    goLive: () => player.seekToOriginalLive(),
    destroy: () => player.destroy(),
  };
}

async function shaka({ site, url, video, report, clock }) {
  await script(site, "shaka-player.js");
  const { shaka: library } = window;
  library.polyfill.installAll();
  const player = new library.Player();
  await player.attach(video);
  const tell = (error) => report(`shaka: ${error.code ?? ""} ${error.message ?? error}`, error.severity !== library.util.Error.Severity.RECOVERABLE);
  player.addEventListener("error", (event) => tell(event.detail));
  // Shaka would ban a layer for half a minute when the machine drops its frames, and list it no more; the other libraries do neither.
  player.configure({ streaming: { bufferBehind: 60 }, abr: { droppedFrames: false } });
  player.load(url).catch((error) => {
    if (error.code !== library.util.Error.Code.LOAD_INTERRUPTED) tell(error);
  });
  const variants = () => player.getVariantTracks();
  const active = () => variants().find((track) => track.active);
  const key = (track) => `${track.videoId ?? track.originalVideoId}`;
  const spoken = () => player.getAudioTracks();
  return {
    layers: () => {
      const seen = new Map(variants().filter((track) => track.height).map((track) => [key(track), track]));
      return [...seen.values()].map((track) => ({
        id: key(track), width: track.width, height: track.height, bitrate: track.videoBandwidth || track.bandwidth, frameRate: track.frameRate, codec: track.videoCodec ?? track.codecs,
      }));
    },
    layer: () => (active() ? key(active()) : null),
    auto: () => player.getConfiguration().abr.enabled,
    setLayer: (id) => {
      player.configure({ abr: { enabled: id === null } });
      const wanted = variants().find((track) => key(track) === id && track.language === active()?.language);
      if (wanted) player.selectVariantTrack(wanted, true);
    },
    audios: () => spoken().map((track, id) => ({ id, language: track.language, name: track.label || track.language, codec: track.codecs })),
    audio: () => spoken().findIndex((track) => track.active),
    setAudio: (id) => player.selectAudioTrack(spoken()[id]),
    range: () => {
      const range = player.seekRange();
      return range.end > range.start ? range : null;
    },
    live: () => player.isLive(),
    latency: () => {
      const date = player.isLive() ? player.getPlayheadTimeAsDate() : null;
      return date ? clock() - date / 1000 : null;
    },
    bandwidth: () => player.getStats().estimatedBandwidth || null,
    goLive: () => player.goToLive(),
    destroy: () => player.destroy(),
  };
}

async function native({ url, video, report, clock }) {
  const failed = () => report(`browser: ${video.error?.message || `media error ${video.error?.code}`}`, true);
  video.addEventListener("error", failed);
  video.src = url;
  const spoken = () => [...(video.audioTracks ?? [])];
  return {
    eager: true,
    layers: () => (video.videoWidth ? [{ id: 0, width: video.videoWidth, height: video.videoHeight, bitrate: 0, frameRate: 0, codec: "" }] : []),
    layer: () => 0,
    auto: () => true,
    setLayer: () => {},
    audios: () => spoken().map((track, id) => ({ id, language: track.language, name: track.label || track.language })),
    audio: () => spoken().findIndex((track) => track.enabled),
    setAudio: (id) => spoken().forEach((track, at) => { track.enabled = at === id; }),
    range: () => seekable(video),
    live: () => video.duration === Infinity,
    latency: () => {
      const start = video.getStartDate?.().getTime();
      return start ? clock() - start / 1000 - video.currentTime : null;
    },
    bandwidth: () => null,
    goLive: () => { video.currentTime = seekable(video)?.end ?? video.currentTime; },
    destroy: () => {
      video.removeEventListener("error", failed);
      video.removeAttribute("src");
      video.load();
    },
  };
}

const canNative = document.createElement("video").canPlayType("application/vnd.apple.mpegurl") !== "";

// What the page offers: key in ?format=, name, by whom it is played, manifest, adapter (none: no browser can).
export const formats = [
  { key: "hls", name: "HLS CMAF", by: "hls.js", path: "manifest(format=m3u8-cmaf)", open: hls },
  { key: "ts", name: "HLS TS v4", by: "hls.js", path: "manifest(format=m3u8-aapl)", open: hls },
  { key: "ts3", name: "HLS TS v3", by: "hls.js", path: "manifest(format=m3u8-aapl-v3)", open: hls },
  { key: "dash", name: "DASH", by: "dash.js", path: "manifest(format=mpd-time-cmaf)", open: dash },
  { key: "shaka-dash", name: "DASH", by: "Shaka", path: "manifest(format=mpd-time-cmaf)", open: shaka },
  { key: "shaka-hls", name: "HLS CMAF", by: "Shaka", path: "manifest(format=m3u8-cmaf)", open: shaka },
  { key: "smooth", name: "Smooth", by: "dash.js", path: "manifest", open: dash },
  ...(canNative ? [{ key: "native", name: "HLS CMAF", by: "this browser", path: "manifest(format=m3u8-cmaf)", open: native }] : []),
  { key: "hds", name: "HDS", by: "URL only", path: "manifest(format=f4m-f4f)", open: null },
];
