// Drawing only: from values to the page's elements.
const $ = (id) => document.getElementById(id);

export const seconds = (value) => `${value.toFixed(1)} s`;

export function span(value) {
  const whole = Math.max(0, Math.round(value));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

export function show(kind, label, message) {
  $("state").className = `badge ${kind}`;
  $("state").textContent = label;
  $("notice").hidden = !message;
  $("notice").firstElementChild.textContent = message;
}

export const element = (name, properties, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

// What is shown is rebuilt only when it changed: an open menu must not close under the viewer's finger.
export function changed(target, value) {
  const now = JSON.stringify(value);
  if (target.dataset.shown === now) return false;
  target.dataset.shown = now;
  return true;
}

export function renderSelect(select, entries, label, current, automatic) {
  if (changed(select, [entries, automatic])) {
    const options = entries.map((entry) => element("option", { value: String(entry.id), textContent: label(entry) }));
    if (automatic) options.unshift(element("option", { value: "", textContent: automatic }));
    select.replaceChildren(...options);
    select.parentElement.hidden = entries.length < 2;
  }
  const wanted = current === null || current === undefined ? "" : String(current);
  if (document.activeElement !== select && select.value !== wanted) select.value = wanted;
}

const bitrate = (value) => (value ? `${Math.round(value / 1000).toLocaleString("en")} kbit/s` : "");

export function renderTracks(layers, layer, audios, audio) {
  if (!changed($("tracks"), [layers, layer, audios, audio])) return;
  const row = (on, ...cells) => element("tr", { className: on ? "on" : "" }, ...cells.map((text, at) => element("td", { className: at === cells.length - 1 ? "n" : "", textContent: text })));
  const byRate = [...layers].sort((a, b) => b.bitrate - a.bitrate);
  $("tracks").replaceChildren(
    ...byRate.map((entry) => row(
      entry.id === layer, entry.height ? `Video ${entry.height}p` : "Layer",
      entry.height ? `${entry.width}×${entry.height}${entry.frameRate ? `, ${Number(entry.frameRate.toFixed(3))} fps` : ""}` : "", entry.codec, bitrate(entry.bitrate),
    )),
    ...audios.map((entry) => row(entry.id === audio, `Audio ${entry.name || ""}`, entry.language ?? "", entry.codec ?? "", bitrate(entry.bitrate))),
  );
}

export function renderErrors(errors) {
  $("errors").replaceChildren(...[...errors].reverse().map((message) => element("li", { textContent: message })));
}

export function renderUrls(formats, root) {
  const seen = new Map();
  for (const { name, path } of formats) if (!seen.has(path)) seen.set(path, name);
  $("urls").replaceChildren(...[...seen].map(([path, name]) => {
    const url = `${root}/${path}`;
    const copy = element("button", { textContent: "Copy", type: "button" });
    copy.addEventListener("click", async () => {
      await copyText(url);
      copy.textContent = "Copied";
      setTimeout(() => { copy.textContent = "Copy"; }, 1200);
    });
    return element("li", {}, element("b", { textContent: name }), element("code", { textContent: url }), copy);
  }));
}

// The clipboard API exists in secure contexts only, and an origin in a studio's network has no certificate.
async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = element("textarea", { value: text });
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
  return undefined;
}

export function drawChart(canvas, history) {
  const scale = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== width * scale) canvas.width = width * scale;
  if (canvas.height !== height * scale) canvas.height = height * scale;
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  const colours = getComputedStyle(document.documentElement);
  const top = Math.max(10, ...history.flatMap(({ buffer, latency }) => [buffer, latency ?? 0])) * 1.15;
  pen.lineWidth = 1.6;
  pen.lineJoin = "round";
  for (const [name, colour] of [["latency", "--warm"], ["buffer", "--accent"]]) {
    pen.strokeStyle = colours.getPropertyValue(colour);
    pen.beginPath();
    let drawing = false;
    history.forEach((point, at) => {
      if (point[name] === null) { drawing = false; return; }
      const [x, y] = [width - (history.length - 1 - at) * (width / 59), height - 4 - (point[name] / top) * (height - 12)];
      if (drawing) pen.lineTo(x, y);
      else pen.moveTo(x, y);
      drawing = true;
    });
    pen.stroke();
  }
  pen.fillStyle = colours.getPropertyValue("--faint");
  pen.font = "10px system-ui";
  pen.fillText(`${Math.round(top)} s`, 6, 13);
}
