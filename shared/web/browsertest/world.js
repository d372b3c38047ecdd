// The service under test, with a world full of requests, and a page that reports whatever must not happen.
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test as base, expect } from "@playwright/test";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** A program of the repository; the Makefile builds them and says where they are. */
function program(variable) {
  const path = process.env[variable];
  if (!path) {
    throw new Error(`${variable} names no program: run make test-web`);
  }
  return path;
}

/** Ends a child by its signal and waits for it. */
async function end(child) {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await ended;
  }
}

async function startWorld(folder) {
  const child = spawn(program("CACHITO_WORLD"), [folder], { stdio: ["pipe", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout })) {
    return { child, world: JSON.parse(line) };
  }
  throw new Error("the world ended before it began");
}

async function startService(folder) {
  const portFile = join(folder, "port");
  const log = [];
  const child = spawn(program("CACHITO"), ["serve", "--listen", "127.0.0.1:0", "--data-dir", folder, "--port-file", portFile], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { PATH: process.env.PATH, HOME: folder, LOGIN_DISABLED: "true", CACHITO_ALLOW_HOSTS: "127.0.0.1", CACHITO_REQUEST_LIFETIME: "365d", CACHITO_REQUEST_LIFETIME_FAILED: "365d" },
  });
  child.stderr.on("data", (data) => log.push(data));
  const until = Date.now() + 20_000;
  while (Date.now() < until && child.exitCode === null) {
    const port = await readFile(portFile, "utf8").catch(() => "");
    if (port && (await fetch(`http://127.0.0.1:${port.trim()}/healthcheck`).catch(() => ({}))).ok) {
      return { child, url: `http://127.0.0.1:${port.trim()}` };
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the service does not answer: ${Buffer.concat(log)}`);
}

export const test = base.extend({
  // eslint-disable-next-line no-empty-pattern
  world: [async ({}, use) => {
    const folder = await mkdtemp(join(tmpdir(), "cachito-web-"));
    const { child, world } = await startWorld(folder);
    const service = await startService(folder);
    const command = async (path, body) => {
      const answer = await fetch(world.control + path, { method: "POST", body: body && JSON.stringify(body) });
      const text = await answer.text();
      if (!answer.ok) {
        throw new Error(`${path}: ${text}`);
      }
      return text;
    };
    world.ids.running = Number(await command("/run"));
    await use({ ...world, url: service.url, command });
    await end(service.child);
    await end(child);
    await rm(folder, { recursive: true, force: true });
  }, { scope: "worker" }],

  baseURL: async ({ world }, use) => use(world.url),

  // What a page does that it must not: tests that expect something of it say so with allowed.push(pattern).
  allowed: async ({}, use) => use([]),

  page: async ({ page, world, allowed, javaScriptEnabled }, use) => {
    const found = [];
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") {
        found.push(`console: ${message.text()}`);
      }
    });
    page.on("pageerror", (error) => found.push(`script: ${error.message}`));
    page.on("dialog", (dialog) => { found.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
    page.on("request", (request) => {
      if (!request.url().startsWith(`${world.url}/`) && !request.url().startsWith("data:")) {
        found.push(`request: ${request.url()}`);
      }
    });
    await page.exposeFunction("reportViolation", (text) => found.push(`policy: ${text}`));
    if (javaScriptEnabled !== false) {
      await page.addInitScript(() => {
        addEventListener("securitypolicyviolation", (event) => window.reportViolation(`${event.violatedDirective} ${event.blockedURI}`));
        window.shifts = 0;
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) {
            window.shifts += entry.hadRecentInput ? 0 : entry.value;
          }
        }).observe({ type: "layout-shift", buffered: true });
      });
    }
    await use(page);
    expect(found.filter((text) => !allowed.some((pattern) => pattern.test(text)))).toEqual([]);
  },
});

/** What is wrong with a page for people who cannot see it, or use no mouse. */
export async function accessibility(page, ...without) {
  await page.evaluate(axe); // by the debugger: the page's own policy would forbid it, and should
  const result = await page.evaluate((exclude) => window.axe.run(exclude.length ? { exclude } : document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  }), without.map((selector) => [selector]));
  return result.violations.map((v) => `${v.impact} ${v.id}: ${v.help}: ${v.nodes.slice(0, 4).map((n) => n.html.slice(0, 150)).join(" | ")}`);
}

/** How far things on the page jumped since it was loaded, as browsers count it. */
export const shifts = (page) => page.evaluate(() => window.shifts);

/** Waits until something that is counted stands still. */
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export { expect };
