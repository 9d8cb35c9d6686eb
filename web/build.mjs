// Copies the players' scripts from node_modules to where the console serves them, each with its licence.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const web = dirname(fileURLToPath(import.meta.url));
const vendor = join(web, "..", "pypackager", "console", "static", "vendor");

const scripts = {
  "hls.min.js": "hls.js/dist/hls.min.js",
  "dash.mediaplayer.min.js": "dashjs/dist/modern/umd/dash.mediaplayer.min.js",
  "dash.mss.min.js": "dashjs/dist/modern/umd/dash.mss.min.js",
  "shaka-player.js": "shaka-player/dist/shaka-player.compiled-es2021.js",
  "hls.LICENSE.txt": "hls.js/LICENSE",
  "dash.LICENSE.txt": "dashjs/LICENSE.md",
  "shaka-player.LICENSE.txt": "shaka-player/LICENSE",
};

rmSync(vendor, { recursive: true, force: true });
mkdirSync(vendor, { recursive: true });
const versions = {};
for (const [name, source] of Object.entries(scripts)) {
  const path = join(web, "node_modules", source);
  if (name.endsWith(".js")) {
    // The maps are not served: a browser's inspector would ask for them in vain.
    writeFileSync(join(vendor, name), readFileSync(path, "utf8").replace(/\n?\/\/# sourceMappingURL=.*\s*$/, "\n"));
    const owner = source.split("/")[0];
    versions[owner] = JSON.parse(readFileSync(join(web, "node_modules", owner, "package.json"), "utf8")).version;
  } else {
    cpSync(path, join(vendor, name));
  }
}
writeFileSync(join(vendor, "versions.json"), JSON.stringify(versions, null, 2) + "\n");
console.log(Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", "));
