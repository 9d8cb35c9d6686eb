// How what comes into a channel is: each track's newest fragments, its holes, and what was raised. Asked for every two seconds.
import { changed, element, seconds, span } from "./view.js";

const $ = (id) => document.getElementById(id);
const EVERY_MS = 2000;
// A fragment may wait for the others of its time; more key frame intervals than this are a gap in the making.
const LATE = 3;
const RECENT_ALERT_S = 60;
const KINDS = { Streaming: "playing", Ready: "playing", Starting: "waiting", Stopping: "waiting" };

export function watchCondition(url) {
  $("condition").hidden = false;
  const look = async () => {
    try {
      const answer = await fetch(url, { cache: "no-store" });
      if (answer.ok) render(await answer.json());
      else silent(answer.status === 403 ? "Not open to your address." : "There is no such channel.");
    } catch {
      silent("The origin does not answer.");
    }
    setTimeout(look, EVERY_MS);
  };
  look();
}

function silent(why) {
  badge("error", "Unknown");
  $("c-facts").textContent = why;
}

function badge(kind, text) {
  $("c-state").className = `badge ${kind}`;
  $("c-state").textContent = text;
}

function render({ status, state, gap_s: gap, depth_s: depth, interval_s: interval, tracks, alerts }) {
  const late = state === "Running" && gap !== null && gap > LATE * (interval ?? 2);
  badge(late ? "error" : KINDS[status] ?? "", late ? `No data for ${span(gap)}` : status);
  const facts = [`${tracks.length} tracks`, `${(tracks.reduce((sum, track) => sum + track.bitrate_bps, 0) / 1e6).toFixed(2)} Mbit/s`, `${span(depth)} in the window`];
  if (interval) facts.push(`key frames every ${seconds(interval)}`);
  $("c-facts").textContent = tracks.length ? facts.join(" · ") : "Nothing has come in yet: waiting for the encoder.";
  if (changed($("c-tracks"), tracks)) $("c-tracks").replaceChildren(...tracks.map(row));
  $("c-alerts").replaceChildren(...alerts.map(({ code, count, ago_s: ago }) => element("li", {
    className: ago > RECENT_ALERT_S ? "old" : "", textContent: `${code}${count > 1 ? ` × ${count}` : ""} · ${span(ago)} ago`,
  })));
}

function row(track) {
  const { id, kind, codec, language, bitrate_bps: rate, peak_bps: peak, key_frame_interval_s: interval, gaps, gap_s: missing, behind_s: behind } = track;
  const name = element("b", {}, id, element("small", { textContent: [kind, codec, language].filter(Boolean).join(" · ") }));
  name.append(...track.alerts.map((code) => element("em", { textContent: code })));
  const made = element("li", { className: gaps ? "holes" : "" }, name, strip(track.recent),
    figure("rate", bits(rate), `peak ${bits(peak)}`),
    figure("keys", interval === null ? "–" : seconds(interval), behind > 0.05 ? `${seconds(behind)} behind` : "key frames"),
    figure(gaps ? "gaps bad" : "gaps", String(gaps), gaps ? `gaps, ${seconds(missing)}` : "gaps"));
  made.dataset.track = id;
  return made;
}

const bits = (rate) => (rate >= 1e6 ? `${(rate / 1e6).toFixed(2)} M` : `${Math.round(rate / 1000)} k`);

const figure = (name, text, about) => element("span", { className: `figure ${name}` }, text, element("small", { textContent: about }));

// One bar for each fragment, as high as its bit rate; what is missing is a bar of its own.
function strip(recent) {
  const top = Math.max(1, ...recent.map(([, , rate]) => rate ?? 0));
  const bars = recent.map(([start, long, rate]) => {
    const bar = element("i", { className: rate === null ? "gap" : "", title: rate === null ? `missing: ${seconds(long)} at ${start}` : `${seconds(long)}, ${Math.round(rate / 1000)} kbit/s at ${start}` });
    bar.style.height = rate === null ? "100%" : `${Math.max(8, (rate / top) * 100)}%`;
    bar.style.flexGrow = String(long);
    return bar;
  });
  const made = element("div", { className: "strip" }, ...bars);
  made.setAttribute("role", "img");
  made.setAttribute("aria-label", `The last ${recent.length} fragments, ${recent.filter(([, , rate]) => rate === null).length} of them missing`);
  return made;
}
