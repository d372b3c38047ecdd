import { accessibility, expect, shifts, test } from "./world.js";

const commit = "adbc8813901bba65827259daa8e22ff94ec1f30e";

test("the browser says what cannot be right before anything is sent", async ({ page }) => {
  await page.goto("/");
  await page.getByRole("link", { name: "New request" }).first().click();
  const sent = [];
  page.on("request", (request) => { if (request.method() === "POST") { sent.push(request.url()); } });
  const send = page.getByRole("button", { name: "Send the request" });
  await send.click();
  await expect(page.getByLabel("Repository")).toBeFocused();
  await page.getByLabel("Repository").fill("https://github.com/spf13/cobra.git");
  await page.getByLabel("Commit").fill("main");
  await send.click();
  await expect(page.getByLabel("Commit")).toBeFocused();
  expect(await page.getByLabel("Commit").evaluate((e) => e.validity.patternMismatch)).toBe(true);
  expect(sent).toEqual([]);
});

test("the API's sentence stands at the field that it names", async ({ page, allowed }) => {
  allowed.push(/status of 400/);
  await page.goto("/requests/new");
  await page.getByLabel("Repository").fill("https://github.com/spf13/cobra.git");
  await page.getByLabel("Commit").fill(commit);
  await page.locator("#field-manager-gomod summary").click();
  await page.locator("[name='gomod.0.path']").fill("../outside");
  await page.getByRole("button", { name: "Send the request" }).click();
  const sentence = 'The "path" values in the "packages.gomod" value must be to a relative path in the source repository';
  await expect(page.locator("#field-manager-gomod .wrong")).toHaveText(sentence);
  await expect(page.getByRole("alert")).toContainText(sentence);
  await expect(page.getByRole("alert")).toBeFocused();
  await expect(page.locator("[name='gomod.0.path']")).toHaveValue("../outside");
  await expect(page.locator("[name='gomod.0.path']")).toBeVisible();
  await expect(page.getByLabel("Commit")).toHaveValue(commit);
  expect(await accessibility(page)).toEqual([]);
  await page.getByRole("link", { name: sentence }).click();
  await expect(page).toHaveURL(/#field-manager-gomod$/);
});

test("only what the service has enabled is offered, and rows can be added", async ({ page, world }) => {
  await page.goto("/requests/new");
  const status = await (await fetch(`${world.url}/api/v1/status`)).json();
  const offered = await page.locator("[name=manager]").evaluateAll((all) => all.map((e) => e.value));
  expect([...offered].sort()).toEqual(Object.keys(status.can_process).sort());
  await page.locator("#field-manager-gomod summary").click();
  await page.locator("[name='gomod.0.path']").fill("tools");
  await page.getByRole("button", { name: "One more place for gomod" }).click();
  await expect(page.locator("[name='gomod.0.path']")).toHaveValue("tools");
  await expect(page.locator("[name='gomod.1.path']")).toBeVisible();
  await page.getByText("Flags, replacements, user").click();
  await page.getByRole("button", { name: "Replace a dependency" }).click();
  await expect(page.locator("[name='replacement.0.name']")).toBeVisible();
  expect(await accessibility(page)).toEqual([]);
});

test("a request is sent, fetched and ready to be taken, all in sight", async ({ page, world }) => {
  await world.command("/hold");
  await page.goto("/requests/new");
  await page.getByLabel("Repository").fill(world.git);
  await page.getByLabel("Commit").fill(world.ref);
  for (const box of await page.locator("[name=manager]:checked").all()) {
    await box.uncheck();
  }
  await page.keyboard.press("Tab");
  await page.getByLabel("Commit").press("Enter"); // sends, as the button does
  await expect(page).toHaveURL(/\/requests\/\d+$/);
  await expect(page.locator(".title .state")).toHaveText("In progress");
  await expect(page.locator("#progress")).toContainText("Fetching the application source");
  await world.command("/release");
  await expect(page.locator(".title .state")).toHaveText("Complete");
  await expect(page.getByRole("status")).toHaveText(/^Request \d+: Complete$/);
  const sum = await page.locator("#sha256").textContent();
  const id = page.url().match(/\d+$/)[0];
  const digest = (await fetch(`${world.url}/api/v1/requests/${id}/download`, { method: "HEAD" })).headers.get("Digest");
  expect(digest).toBe(`sha-256=${Buffer.from(sum, "hex").toString("base64")}`);
  await page.getByRole("link", { name: "Change it and send it again" }).click();
  await expect(page.getByLabel("Repository")).toHaveValue(world.git);
  await expect(page.getByLabel("Commit")).toHaveValue(world.ref);
});

test("another site cannot send requests with its visitors' rights", async ({ page, world, allowed }) => {
  allowed.push(new RegExp(`^request: ${world.control}`), /status of (403|404|415)/);
  const count = async () => (await (await fetch(`${world.url}/api/v1/requests`)).json()).meta.total;
  const before = await count();
  for (const button of ["Win", "Win more"]) {
    // localhost is another site than 127.0.0.1, and its browser sends no Origin that we could take for ours.
    for (const site of [world.control, world.control.replace("127.0.0.1", "localhost")]) {
      allowed.push(new RegExp(`^request: ${site}`));
      await page.goto(`${site}/foreign?target=${encodeURIComponent(world.url)}`);
      const answer = page.waitForResponse((response) => response.request().method() === "POST");
      await page.getByRole("button", { name: button, exact: true }).click();
      expect((await answer).status(), `${site} ${button}`).toBe(403);
    }
  }
  expect(await count()).toBe(before);
});

for (const scheme of ["light", "dark"]) {
  test.describe(scheme, () => {
    test.use({ colorScheme: scheme });

    test("the form is right for a screen reader and does not jump", async ({ page }) => {
      await page.goto("/requests/new");
      for (const fold of await page.locator("summary").all()) {
        await fold.click();
      }
      expect(await accessibility(page)).toEqual([]);
      expect(await shifts(page)).toBeLessThan(0.001);
    });
  });
}
