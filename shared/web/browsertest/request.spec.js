import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { accessibility, expect, pause, shifts, test } from "./world.js";

const tabs = ["", "/dependencies", "/packages", "/environment", "/files", "/log"];

test("a complete request: what it is, what happened, and a bundle to take", async ({ page, world, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.goto(`/requests/${world.ids.complete}`);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(`Request ${world.ids.complete}`);
  await expect(page.locator("#history li").first()).toContainText("Completed successfully");
  await expect(page.locator("#history li").last()).toContainText("The request was initiated");
  const sum = await page.locator("#sha256").textContent();
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: /^Download/ }).click();
  const bundle = await (await download).path();
  const content = await readFile(bundle);
  expect(createHash("sha256").update(content).digest("hex")).toBe(sum);
  await expect(page.locator("#bundle")).toContainText(`${content.length.toLocaleString("en")} bytes`);

  await page.locator("#bundle .heading").getByRole("button", { name: "Copy" }).click();
  await expect(page.getByRole("status")).toHaveText("Copied");
  const steps = await page.evaluate(() => navigator.clipboard.readText());
  expect(steps).toContain(`curl -fL -o cachito-${world.ids.complete}.tar.gz ${world.url}/api/v1/requests/${world.ids.complete}/download\n`);
  expect(steps).toContain(sum);
  expect(steps).toContain("\n. ./cachito.env\n");
});

test("every line for a shell asks what it says", async ({ page, world }) => {
  await page.goto(`/requests/${world.ids.complete}`);
  for (const line of await page.locator("#ask pre").allTextContents()) {
    const [, url] = line.match(/^curl -s '?(http[^']+)'?$/);
    expect((await fetch(url)).status, line).toBe(200);
  }
  for (const link of await page.locator("#ask a").all()) {
    expect((await page.request.get(await link.evaluate((a) => a.href))).status()).toBe(200);
  }
});

test("50,000 dependencies are searched while one types, and the page stays small", async ({ page, world }) => {
  await page.goto(`/requests/${world.ids.large}/dependencies`);
  await expect(page.locator(".pager p").first()).toHaveText("1 to 100 of 50,000");
  const size = () => page.evaluate(() => document.querySelectorAll("*").length);
  expect(await size()).toBeLessThan(1500);
  await page.keyboard.press("/");
  const search = page.getByRole("searchbox");
  await expect(search).toBeFocused();
  for (const [typed, found] of [["xive-", 17], ["-12345 yarn", 1]]) {
    const started = Date.now();
    await search.fill(typed);
    await expect(page.locator(".pager p").first()).toHaveText(new RegExp(`of ${found}$`), { timeout: 5000 });
    const took = Date.now() - started;
    expect(took, `answer to ${typed}`).toBeLessThan(1500);
    console.log(`      "${typed}": ${found} of 50,000 after ${took} ms`);
  }
  await expect(page).toHaveURL(/\?q=-12345\+yarn$/);
  await expect(search).toBeFocused();
  await expect(page.getByRole("status")).toHaveText("1 to 1 of 1");
  await search.fill("no such thing");
  await expect(page.getByText("Nothing found").first()).toBeVisible();
  await search.fill("");
  await expect(page.locator(".pager p").first()).toHaveText("1 to 100 of 50,000");
  await page.getByRole("link", { name: "Last" }).first().click();
  await expect(page.locator(".pager p").first()).toHaveText("49,901 to 50,000 of 50,000");
  expect(await size()).toBeLessThan(1500);
});

test("typing fast asks for the last word only to be shown", async ({ page, world }) => {
  await page.goto(`/requests/${world.ids.large}/dependencies`);
  await page.route(/q=x$/, async (route) => { await pause(700); await route.continue(); }); // an answer that comes late
  const search = page.getByRole("searchbox");
  await search.fill("x");
  await pause(200);
  await search.fill("-12345 yarn");
  await expect(page.locator(".pager p").first()).toHaveText("1 to 1 of 1");
  await pause(900);
  await expect(page.locator(".pager p").first()).toHaveText("1 to 1 of 1");
});

test("packages lead to what they need", async ({ page, world }) => {
  await page.goto(`/requests/${world.ids.complete}/packages`);
  await page.getByRole("link", { name: /dependencies of example.org\/storefront\/tools/ }).click();
  await expect(page.locator(".of")).toContainText("example.org/storefront/tools");
  await expect(page.locator("table.contents tbody tr")).toHaveCount(4);
  await page.getByRole("searchbox").fill("mod");
  await expect(page).toHaveURL(/package=2&q=mod$/);
  await page.getByRole("link", { name: "All of the request" }).click();
  await expect(page.locator("table.contents tbody tr")).toHaveCount(19);
});

test("variables and files are there to be read", async ({ page, world }) => {
  await page.goto(`/requests/${world.ids.complete}/environment`);
  await expect(page.getByRole("row", { name: /GOPROXY/ })).toContainText("off");
  await page.getByRole("link", { name: "Files" }).click();
  await page.getByText("app/web/.npmrc").click();
  await expect(page.getByText("offline=true")).toBeVisible();
  const download = page.waitForEvent("download");
  await page.locator("#file-1").getByRole("link", { name: "Download the file" }).click();
  expect(await readFile(await (await download).path(), "utf8")).toBe("offline=true\n");
});

test("progress and log are live, the end of the log stays in sight", async ({ page, world }) => {
  const id = Number(await world.command("/run"));
  await page.goto(`/requests/${id}`);
  const gomod = page.getByRole("progressbar", { name: "gomod" });
  await expect(gomod).toHaveAttribute("value", "52");
  const before = await shifts(page);
  await world.command("/change", { id, step: "resolve-gomod", done: 1200, of: 1552 });
  await expect(gomod).toHaveAttribute("value", "77");
  await expect(page.locator("#step-gomod")).toContainText("1,200 of 1,552");
  expect(await shifts(page) - before).toBeLessThan(0.001);

  await page.getByRole("link", { name: "Log" }).click();
  await world.command("/change", { id, log: Array.from({ length: 200 }, (_, i) => `module ${i}`).join("\n") });
  const log = page.locator("#lines");
  await expect(log).toContainText("module 199");
  const atEnd = () => log.evaluate((e) => e.scrollHeight - e.scrollTop - e.clientHeight < 8);
  await expect.poll(atEnd).toBe(true);
  await log.evaluate((e) => { e.scrollTop = 100; }); // somebody reads further up: leave it there
  await world.command("/change", { id, log: "one more" });
  await expect(log).toContainText("one more");
  expect(await log.evaluate((e) => e.scrollTop)).toBe(100);
  await world.command("/change", { id, state: "failed", reason: "go.sum: it is gone" });
  await expect(page.locator(".title .state")).toHaveText("Failed");
  await expect(page.getByRole("status")).toHaveText(`Request ${id}: Failed`);
  await page.getByRole("link", { name: "Overview" }).click();
  await expect(page.locator("#failure")).toContainText("go.sum: it is gone");
});

test("an open file stays open while the page is kept current", async ({ page, world }) => {
  const id = Number(await world.command("/run"));
  await page.goto("/");
  await page.getByText("More filters").click();
  await page.getByLabel("Error type").focus();
  await world.command("/change", { id, state: "failed", reason: "enough" });
  await expect(page.locator(`#request-${id} .state`)).toHaveText("Failed");
  await expect(page.getByLabel("Error type")).toBeFocused();
  await expect(page.locator("details.more")).toHaveAttribute("open", "");
});

test("hostile names are texts", async ({ page, world }) => {
  await page.goto("/");
  await expect(page.locator(`#request-${world.ids.hostile}`)).toContainText("<script>alert(1)</script>⟨U+202E⟩gpj.exe");
  for (const tab of [...tabs, "/dependencies?package=1", "/dependencies?q=%3Cscript%3E"]) {
    await page.goto(`/requests/${world.ids.hostile}${tab}`);
    await expect(page.locator(".repo-name")).toContainText("<script>alert(1)</script>");
    await expect(page.locator("main")).toBeVisible();
    expect(await page.locator("main script, main img, main style, main b > b").count()).toBe(0);
  }
  await page.goto(`/requests/${world.ids.hostile}/files`);
  await page.locator("summary").click();
  await expect(page.locator("#file-1 pre")).toHaveText("</pre><script>alert(1)</script>⟨U+001B⟩[2Jcleared⟨U+202E⟩");
  await page.goto(`/requests/${world.ids.hostile}/log`);
  await expect(page.locator("#lines")).toContainText("⟨U+001B⟩[31mred⟨U+001B⟩[0m and ⟨U+202E⟩turned");
  await page.goto(`/requests/new?from=${world.ids.hostile}`);
  await expect(page.getByLabel("Repository")).toHaveValue(/<script>/);
});

for (const scheme of ["light", "dark"]) {
  test.describe(scheme, () => {
    test.use({ colorScheme: scheme });

    test("there is nothing wrong for a screen reader, and nothing jumps while it loads", async ({ page, world }) => {
      const { complete, running, failed, stale } = world.ids;
      for (const path of [...tabs.map((tab) => complete + tab), ...tabs.map((tab) => running + tab), failed, stale]) {
        await page.goto(`/requests/${path}`);
        expect(await accessibility(page), `${path}`).toEqual([]);
        expect(await shifts(page), `${path}`).toBeLessThan(0.001);
      }
      const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
      expect(Math.max(...ground) < 64).toBe(scheme === "dark");
    });
  });
}

test.describe("on a phone", () => {
  test.use({ viewport: { width: 360, height: 640 }, hasTouch: true });

  test("every page fits, and nothing is lost for a screen reader", async ({ page, world }) => {
    for (const path of ["/", "/requests/new", "/docs", ...[world.ids.complete, world.ids.large, world.ids.hostile, world.ids.running, world.ids.failed].flatMap((id) => tabs.map((tab) => `/requests/${id}${tab}`))]) {
      await page.goto(path);
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), path).toBeLessThanOrEqual(0);
    }
    await page.goto("/");
    await expect(page.getByRole("row")).toHaveCount(26);
    await expect(page.getByRole("columnheader", { name: "Repository" })).toHaveCount(1);
    expect(await accessibility(page)).toEqual([]);
  });
});
