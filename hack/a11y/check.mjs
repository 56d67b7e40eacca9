// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Looks with axe-core at every page of a folder, as a headless Chromium shows
// it: check.mjs FOLDER. It ends with 1 if axe-core finds anything.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const folder = resolve(process.argv[2]);
const modules = createRequire(join(process.env.A11Y_MODULES, "x.js"));
const { chromium } = modules("playwright-core");
const axe = readFileSync(modules.resolve("axe-core/axe.min.js"), "utf8");
const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
let pages = 0, found = 0, passes = 0, unsure = 0;
for (const name of readdirSync(folder).filter((n) => n.endsWith(".html")).sort()) {
  for (const [width, height] of [[1280, 800], [320, 640]]) { // 1.4.10: 320 pixels wide
    const page = await browser.newPage({ viewport: { width, height } });
    await page.goto(pathToFileURL(join(folder, name)).href);
    await page.evaluate(axe);
    const result = await page.evaluate((tags) => window.axe.run(document, { runOnly: { type: "tag", values: tags } }), tags);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
    pages++;
    passes += result.passes.length;
    unsure += result.incomplete.length;
    for (const v of [...result.violations, ...result.incomplete]) {
      console.log(`${name} at ${width}: ${v.id}: ${v.help}: ${v.nodes.map((n) => n.html).join(" ")}`);
    }
    found += result.violations.length;
    if (wide) {
      console.log(`${name} at ${width}: wider than the window (1.4.10)`);
      found++;
    }
    if (process.env.A11Y_SHOTS) {
      await page.screenshot({ path: join(process.env.A11Y_SHOTS, `${name}-${width}.png`), fullPage: true });
    }
    await page.close();
  }
}
await browser.close();
console.log(`axe-core ${modules("axe-core/package.json").version}: ${pages} pages, ${passes} rules passed, ${found} violations, ${unsure} to look at`);
process.exit(pages > 0 && found + unsure === 0 ? 0 : 1);
