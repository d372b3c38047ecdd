import { accessibility, expect, pause, shifts, test } from "./world.js";

const rows = (page) => page.locator("table.requests tbody tr");

test("the list shows the newest requests, and leads to the others", async ({ page, world }) => {
  await page.goto("/");
  await expect(page).toHaveTitle("Requests · Cachito");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Requests");
  await expect(rows(page)).toHaveCount(25);
  await expect(rows(page).first().getByRole("rowheader")).toHaveText(String(world.ids.running));
  await expect(page.getByRole("navigation", { name: "By state" }).getByRole("link", { name: /^All/ })).toHaveText(/\d+/);
  await page.getByRole("link", { name: "Next" }).click();
  await expect(page).toHaveURL(/\?page=2$/);
  await expect(page.getByText(/Page 2 of \d/)).toBeVisible();
  await page.goBack();
  await expect(rows(page)).toHaveCount(25);
  await page.getByRole("link", { name: String(world.ids.complete), exact: true }).click();
  await expect(page).toHaveURL(new RegExp(`/requests/${world.ids.complete}$`));
});

test("filters answer at once, can be linked to, and can be cleared", async ({ page, world }) => {
  await page.goto("/");
  await page.getByRole("link", { name: /^Failed/ }).click();
  await expect(page).toHaveURL(/\?state=failed$/);
  for (const row of await rows(page).all()) {
    await expect(row.locator(".state")).toHaveText("Failed");
  }
  await page.getByLabel("Package manager").selectOption("npm");
  await expect(page).toHaveURL(/state=failed/);
  await expect(page).toHaveURL(/pkg_manager=npm/);
  await expect(rows(page).filter({ hasText: "gomod" })).toHaveCount(0);
  await page.reload();
  await expect(page.getByLabel("Package manager")).toHaveValue("npm");

  await page.goto("/");
  await page.getByLabel("Repository").fill("https://github.com/nodejs/undici.git");
  await expect(rows(page)).toHaveCount(1);
  await expect(rows(page).getByRole("rowheader")).toHaveText(String(world.ids.failed));
  await expect(page.getByRole("status")).toHaveText("1 to 1 of 1");
  await page.getByLabel("Repository").fill("https://github.com/nobody/nothing.git");
  await expect(page.getByRole("heading", { name: "Nothing found" })).toBeVisible();
  await page.getByRole("link", { name: "Clear the filters" }).click();
  await expect(rows(page)).toHaveCount(25);

  // A commit that is not whole yet is not asked for.
  await page.getByLabel("Commit").pressSequentially("c50b93");
  await pause(400);
  expect(new URL(page.url()).search).toBe("");
  await page.getByText("More filters").click();
  await page.getByLabel("Error type").fill("InvalidChecksum");
  await page.getByLabel("Commit").fill("");
  await expect(page).toHaveURL(/error_type=InvalidChecksum/);
  await expect(rows(page).filter({ hasNot: page.locator(".state.failed") })).toHaveCount(0);
});

test("a running request moves by itself, without anything jumping", async ({ page, world }) => {
  const id = Number(await world.command("/run"));
  await page.goto("/");
  const row = page.locator(`#request-${id}`);
  await expect(row.getByRole("progressbar")).toHaveAttribute("value", "38");
  const before = await shifts(page);
  await row.getByRole("link").focus();
  await world.command("/change", { id, step: "resolve-gomod", done: 1552, of: 1552 });
  await expect(row.getByRole("progressbar")).toHaveAttribute("value", "50");
  await world.command("/change", { id, state: "in_progress", reason: "Assembling the bundle archive" });
  await expect(row).toContainText("Assembling the bundle archive");
  await expect(row.getByRole("link")).toBeFocused();
  await world.command("/change", { id, state: "failed", reason: "yarn.lock: it is gone" });
  await expect(row.locator(".state")).toHaveText("Failed");
  await expect(page.getByRole("status")).toHaveText(`Request ${id}: Failed`);
  expect(await shifts(page) - before).toBeLessThan(0.001);
});

test("looking for news never overtakes an answer that somebody waits for", async ({ page, world }) => {
  await page.goto("/"); // something runs, so news are looked for every second
  await page.route(/repo=/, async (route) => { await pause(2500); await route.continue(); }, { times: 1 });
  await page.getByLabel("Repository").fill("https://github.com/nodejs/undici.git");
  await expect(rows(page)).toHaveCount(1);
  await expect(page).toHaveURL(/repo=/);
  await expect(rows(page).getByRole("rowheader")).toHaveText(String(world.ids.failed));
});

test("a new request appears by itself", async ({ page, world }) => {
  await page.goto("/?state=in_progress");
  const id = Number(await world.command("/run"));
  await expect(page.locator(`#request-${id}`)).toBeVisible();
  await world.command("/change", { id, state: "failed", reason: "enough" });
  await expect(page.locator(`#request-${id}`)).toHaveCount(0);
});

test("a page that another version of the service made is loaded anew", async ({ page }) => {
  await page.goto("/");
  await page.route("**/", async (route, request) => {
    const answer = await route.fetch({ headers: { ...request.headers(), "if-none-match": "" } });
    await route.fulfill({ response: answer, body: (await answer.text()).replace(/assets\/[0-9a-f]{12}/g, "assets/000000000000") });
    await page.unroute("**/");
  }, { times: 1 });
  await page.waitForEvent("load");
  await expect(rows(page)).toHaveCount(25);
});

test("the keyboard is enough", async ({ page, world }) => {
  await page.goto("/");
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to content" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.locator("main")).toBeFocused();
  await page.keyboard.press("Tab"); // the first thing behind the frame
  await expect(page.getByRole("main").getByRole("link", { name: "New request" })).toBeFocused();
  await page.getByRole("link", { name: String(world.ids.complete), exact: true }).focus();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`/requests/${world.ids.complete}$`));
});

test("there is nothing wrong for a screen reader, and nothing jumps while it loads", async ({ page, allowed }) => {
  allowed.push(/status of 40[04]/);
  for (const path of ["/", "/?state=failed&error_type=x", "/?ref=no", "/requests/4711"]) {
    await page.goto(path);
    expect(await accessibility(page), path).toEqual([]);
    expect(await shifts(page), path).toBeLessThan(0.001);
  }
});

test.describe("without script", () => {
  test.use({ javaScriptEnabled: false });

  test("the list, its filters and every page of a request can be read", async ({ page, world }) => {
    await page.goto("/");
    await expect(page).toHaveTitle("Cachito API Documentation"); // as clients of the API know it
    await expect(rows(page)).toHaveCount(25);
    await page.getByLabel("Package manager").selectOption("rubygems");
    await page.getByRole("button", { name: "Filter" }).click();
    await expect(page).toHaveURL(/pkg_manager=rubygems/);
    await expect(rows(page)).toHaveCount(4);
    await page.goto(`/requests/${world.ids.large}`);
    await page.getByRole("link", { name: /^Dependencies/ }).click();
    await page.getByRole("searchbox").fill("bababaha");
    await page.getByRole("button", { name: "Search" }).click();
    await expect(page.locator("table.contents tbody tr").first()).toContainText("bababaha");
    for (const tab of ["Packages", "Environment", "Files", "Log", "Overview"]) {
      await page.getByRole("navigation", { name: `Request ${world.ids.large}` }).getByRole("link", { name: tab }).click();
      await expect(page.getByRole("heading", { level: 1 })).toHaveText(`Request ${world.ids.large}`);
    }
    await expect(page.getByRole("button", { name: "Copy" })).toHaveCount(0); // it would do nothing
  });
});
