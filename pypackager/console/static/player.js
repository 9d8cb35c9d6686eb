// The player page: opens a presentation in any of its formats and shows how it plays.
// window.__player is the state that tests and curious people read.
import { watchCondition } from "./condition.js";
import { formats } from "./engines.js";
import { drawChart, renderErrors, renderSelect, renderTracks, renderUrls, seconds, show, span } from "./view.js";

const meta = (name) => document.querySelector(`meta[name=${name}]`).content;
const $ = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search);
const site = new URL(meta("site") || ".", location.href).href;
const root = new URL(meta("presentation"), location.href).href;
const time = `${root}/time`;
const video = $("video");
const RETRY_MS = 3000;
const MAX_ERRORS = 50;
// This close to where the library plays live counts as live.
const EDGE_S = 12;
// A player that waits with less than this in its buffer has run dry.
const DRY_S = 0.5;

let engine = null;
let format = null;
let attempt = 0;
let skew = 0;
let seeking = false;
let started = false;
let wanted = false;
let chosenAudio = null;
const history = [];

const state = {
  get format() { return format?.key ?? null; },
  get currentTime() { return video.currentTime; },
  get playing() { return started && !video.paused && !video.seeking && video.readyState > 2; },
  get latency() { return started ? ask(() => engine.latency()) : null; },
  get live() { return ask(() => engine.live()) ?? false; },
  get buffered() { return ahead(); },
  get layer() { return ask(() => engine.layers().find((layer) => layer.id === engine.layer())) ?? null; },
  get layers() { return ask(() => engine.layers()) ?? []; },
  get audios() { return ask(() => engine.audios()) ?? []; },
  get audio() { return ask(() => engine.audio()); },
  get range() { return ask(() => engine.range()); },
  get dropped() { return video.getVideoPlaybackQuality?.().droppedVideoFrames ?? 0; },
  errors: [],
  stalls: 0,
  open: (key) => open(key),
};
window.__player = state;

const clock = () => Date.now() / 1000 + skew;

// A library that is still loading answers with an exception; the page then has nothing to show yet.
function ask(question) {
  try {
    return engine ? question() ?? null : null;
  } catch {
    return null;
  }
}

function ahead() {
  for (let i = 0; i < video.buffered.length; i++) {
    // Half a second of tolerance: libraries skip small holes.
    if (video.buffered.start(i) - 0.5 <= video.currentTime && video.currentTime <= video.buffered.end(i)) return video.buffered.end(i) - video.currentTime;
  }
  return 0;
}

function report(message, fatal) {
  state.errors.push(message);
  state.errors.splice(0, state.errors.length - MAX_ERRORS);
  renderErrors(state.errors);
  if (!fatal) return;
  show("error", "Error", `${message}. Trying again …`);
  const mine = attempt;
  setTimeout(() => mine === attempt && open(format.key), RETRY_MS);
}

async function setClock() {
  try {
    const before = Date.now();
    const answer = await (await fetch(time, { cache: "no-store" })).text();
    const now = Date.now();
    // The answer was written half a round trip ago.
    if (!Number.isNaN(Date.parse(answer))) skew = (Date.parse(answer) - (before + now) / 2) / 1000;
  } catch {
    skew = 0;
  }
}

// Why the manifest cannot be played yet, in words; null when it can.
async function obstacle(url) {
  try {
    const answer = await fetch(url, { cache: "no-store" });
    await answer.body?.cancel();
    if (answer.ok) return null;
    if (answer.status === 503) return "The streaming endpoint is stopped.";
    if (answer.status === 403) return "This preview is not open to your address.";
    return "Nothing to play yet: waiting for the encoder.";
  } catch {
    return "The origin does not answer. Trying again …";
  }
}

async function close() {
  const old = engine;
  engine = null;
  started = wanted = false;
  await old?.destroy();
  history.length = 0;
}

async function open(key) {
  const mine = ++attempt;
  if (key !== format?.key) state.stalls = 0;
  format = formats.find((candidate) => candidate.key === key) ?? formats[0];
  asked.set("format", format.key);
  window.history.replaceState(null, "", `?${asked}`);
  for (const tab of $("formats").children) tab.setAttribute("aria-selected", String(tab.dataset.key === format.key));
  show("", "Loading", "");
  await close();
  if (mine !== attempt) return;
  const url = `${root}/${format.path}`;
  if (!format.open) {
    show("", "No browser plays this", "HDS was Flash Player's format, and no browser plays it any more. Its manifest's URL is in the list below.");
    return;
  }
  const why = await obstacle(url);
  if (mine !== attempt) return;
  if (why) {
    show("waiting", "Waiting", why);
    setTimeout(() => mine === attempt && open(format.key), RETRY_MS);
    return;
  }
  try {
    const opened = await format.open({ site, url, video, report: (...what) => mine === attempt && report(...what), clock, time });
    if (mine !== attempt) {
      await opened.destroy();
      return;
    }
    engine = opened;
  } catch (error) {
    if (mine === attempt) report(error.message, true);
    return;
  }
  if (asked.get("autoplay") !== "0") play();
}

async function play() {
  // dash.js starts to refresh its manifest at the event "play" and misses one that comes before it is ready.
  wanted = video.readyState === 0 && !engine?.eager;
  if (wanted) return;
  try {
    await video.play();
  } catch (error) {
    // Browsers start a page with sound only after a click.
    if (error.name !== "NotAllowedError" || video.muted) return;
    video.muted = true;
    $("unmute").hidden = false;
    await video.play().catch(() => {});
  }
}

function toggle() {
  if (video.paused) play();
  else video.pause();
}

function goLive() {
  ask(() => engine.goLive());
  play();
}

function atEdge() {
  const edge = ask(() => engine.edge?.()) ?? state.range?.end;
  return edge === undefined || edge - video.currentTime < EDGE_S;
}

// --- what the viewer touches

function fromPointer(event) {
  const box = $("seek").getBoundingClientRect();
  const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  const range = state.range;
  return { share, at: range ? range.start + share * (range.end - range.start) : null, range };
}

function hint(event) {
  const { share, at, range } = fromPointer(event);
  $("hint").hidden = at === null;
  if (at === null) return;
  $("hint").style.left = `${share * 100}%`;
  $("hint").textContent = state.live ? `−${span(range.end - at)}` : span(at - range.start);
}

function wire() {
  const seek = $("seek");
  seek.addEventListener("pointerdown", (event) => {
    seeking = true;
    seek.setPointerCapture(event.pointerId);
    hint(event);
  });
  seek.addEventListener("pointermove", hint);
  seek.addEventListener("pointerup", (event) => {
    const { at } = fromPointer(event);
    seeking = false;
    if (at !== null) video.currentTime = at;
  });
  seek.addEventListener("pointerleave", () => { if (!seeking) $("hint").hidden = true; });
  seek.addEventListener("keydown", ({ key }) => {
    const range = state.range;
    if (!range) return;
    const target = { ArrowLeft: video.currentTime - 10, ArrowRight: video.currentTime + 10, Home: range.start, End: range.end - 1 }[key];
    if (target !== undefined) video.currentTime = Math.min(range.end, Math.max(range.start, target));
  });
  $("play").addEventListener("click", toggle);
  video.addEventListener("click", toggle);
  $("mute").addEventListener("click", () => { video.muted = !video.muted; });
  $("unmute").addEventListener("click", () => { video.muted = false; });
  $("live").addEventListener("click", goLive);
  $("full").addEventListener("click", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else if ($("stage").requestFullscreen) $("stage").requestFullscreen();
    else video.webkitEnterFullscreen?.();
  });
  $("layer").addEventListener("change", ({ target }) => {
    const layer = state.layers.find(({ id }) => String(id) === target.value);
    ask(() => engine.setLayer(layer ? layer.id : null));
  });
  $("audio").addEventListener("change", ({ target }) => {
    chosenAudio = state.audios.find(({ id }) => String(id) === target.value);
    if (chosenAudio) ask(() => engine.setAudio(chosenAudio.id));
  });
  document.addEventListener("keydown", (event) => {
    if (event.target !== document.body) return;
    if (event.key === " " || event.key === "k") { event.preventDefault(); toggle(); }
    if (event.key === "m") video.muted = !video.muted;
    if (event.key === "l") goLive();
  });
  video.addEventListener("loadedmetadata", () => wanted && play());
  video.addEventListener("playing", () => {
    started = true;
    show("playing", state.live ? "Live" : "Playing", "");
  });
  video.addEventListener("pause", () => started && show("", "Paused", ""));
  video.addEventListener("ended", () => show("", "Ended", ""));
  video.addEventListener("waiting", () => {
    if (!started || video.seeking || video.ended) return;
    // With media at hand it is the decoder that waits, and the machine is too slow: dropped frames tell of that.
    if (ahead() < DRY_S) state.stalls += 1;
    show("waiting", "Buffering", "");
  });
  video.addEventListener("volumechange", () => { if (!video.muted) $("unmute").hidden = true; });
}

function refresh() {
  const { range, live, latency, layer, layers, audios } = state;
  const buffer = state.buffered;
  $("play").firstElementChild.firstElementChild.setAttribute("href", video.paused ? "#i-play" : "#i-pause");
  $("mute").firstElementChild.firstElementChild.setAttribute("href", video.muted ? "#i-muted" : "#i-sound");
  $("live").hidden = !live;
  $("live").classList.toggle("at", live && atEdge());
  if (range && range.end > range.start) {
    const percent = (at) => `${Math.min(100, Math.max(0, ((at - range.start) / (range.end - range.start)) * 100))}%`;
    $("played").style.width = $("thumb").style.left = percent(video.currentTime);
    $("loaded").style.width = percent(video.currentTime + buffer);
    $("seek").setAttribute("aria-valuemax", Math.round(range.end - range.start));
    $("seek").setAttribute("aria-valuenow", Math.round(video.currentTime - range.start));
    const behind = range.end - video.currentTime;
    $("clock").textContent = live ? (atEdge() ? `${span(range.end - range.start)} window` : `−${span(behind)}`) : `${span(video.currentTime - range.start)} / ${span(range.end - range.start)}`;
  }
  $("v-latency").textContent = latency === null ? "–" : seconds(latency);
  $("v-buffer").textContent = engine ? seconds(buffer) : "–";
  $("v-buffer").classList.toggle("bad", started && !video.paused && buffer < 0.5);
  $("v-layer").textContent = layer?.height ? `${layer.width}×${layer.height}` : video.videoHeight ? `${video.videoWidth}×${video.videoHeight}` : "–";
  const bandwidth = ask(() => engine.bandwidth());
  $("v-bandwidth").textContent = bandwidth ? `${(bandwidth / 1e6).toFixed(1)} Mbit/s` : "–";
  $("v-stalls").textContent = state.stalls;
  $("v-stalls").classList.toggle("bad", state.stalls > 0);
  $("v-dropped").textContent = state.dropped;
  renderSelect($("layer"), layers, (entry) => (entry.height ? `${entry.height}p · ${(entry.bitrate / 1e6).toFixed(1)} M` : `${Math.round(entry.bitrate / 1000)} k`), ask(() => engine.auto()) ? null : layer?.id, "Automatic");
  renderSelect($("audio"), audios, (entry) => entry.name || entry.language || "Audio", state.audio);
  renderTracks(layers, layer?.id, audios, state.audio);
}

// A new format starts with the audio that the viewer chose in the last one.
video.addEventListener("playing", () => {
  const same = chosenAudio && state.audios.find(({ language, name }) => language === chosenAudio.language && name === chosenAudio.name);
  if (same && same.id !== state.audio) ask(() => engine.setAudio(same.id));
});

for (const { key, name, by } of formats) {
  const tab = document.createElement("button");
  tab.dataset.key = key;
  tab.setAttribute("role", "tab");
  tab.append(name, Object.assign(document.createElement("small"), { textContent: by }));
  tab.addEventListener("click", () => open(key));
  $("formats").append(tab);
}
video.muted = asked.get("muted") === "1";
renderUrls(formats, root);
// A preview is a channel's: what comes in is shown as well as what is played.
if (root.endsWith(".isml")) watchCondition(`${root}/health.json`);
wire();
setInterval(refresh, 250);
setInterval(() => {
  history.push({ buffer: state.buffered, latency: state.latency });
  if (history.length > 60) history.shift();
  drawChart($("chart"), history);
}, 1000);
await setClock();
open(asked.get("format"));
