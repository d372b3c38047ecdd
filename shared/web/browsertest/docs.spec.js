import { accessibility, expect, test } from "./world.js";

test("the API's documentation is whole, and asks nobody else", async ({ page, world, context }) => {
  await context.route((url) => !url.href.startsWith(`${world.url}/`), (route) => route.abort()); // there is no network
  await page.goto("/docs");
  const description = await (await fetch(`${world.url}/api/v1/openapi.json`)).json();
  const operations = Object.entries(description.paths).flatMap(([path, item]) => Object.keys(item).filter((key) => key !== "parameters").map((method) => `${method.toUpperCase()} ${path}`));
  await expect(page.locator(".opblock")).toHaveCount(operations.length);
  const shown = await page.locator(".opblock").evaluateAll((all) => all.map((e) => `${e.querySelector(".opblock-summary-method").textContent} ${e.querySelector(".opblock-summary-path").dataset.path}`));
  expect(shown.sort()).toEqual(operations.sort());
  expect(operations.length).toBeGreaterThan(15);
});

test("what only reads can be tried out", async ({ page }) => {
  await page.goto("/docs");
  const status = page.locator(".opblock", { has: page.locator("[data-path='/status/short']") });
  await status.locator(".opblock-summary-control").click();
  await status.getByRole("button", { name: "Try it out" }).click();
  await status.getByRole("button", { name: "Execute" }).click();
  await expect(status.locator(".live-responses-table .response-col_status").last()).toContainText("200");
  const post = page.locator(".opblock-post").first();
  await post.locator(".opblock-summary-control").click();
  await expect(post.locator(".opblock-body")).toBeVisible();
  await expect(post.getByRole("button", { name: "Try it out" })).toHaveCount(0);
});

test("an operation can be linked to", async ({ page }) => {
  await page.goto("/docs");
  const wanted = page.locator(".opblock", { has: page.locator("[data-path='/requests/latest']") });
  await wanted.locator(".opblock-summary-control").click();
  await expect(wanted.locator(".opblock-body")).toBeVisible();
  const link = page.url();
  expect(link).toMatch(/#operations-/);
  await page.goto("/");
  await page.goto(link);
  await expect(wanted.locator(".opblock-body")).toBeVisible();
  await expect(wanted).toBeInViewport();
});

for (const scheme of ["light", "dark"]) {
  test.describe(scheme, () => {
    test.use({ colorScheme: scheme });

    test("it is right for a screen reader, and follows the colours", async ({ page }) => {
      await page.goto("/docs");
      await expect(page.locator(".opblock").first()).toBeVisible();
      await expect(page.locator("[role=group][aria-label=Operations]")).toBeVisible();
      const wrong = await accessibility(page);
      // The viewer's own main part has to be something else here, whatever its element is made for.
      expect(wrong.filter((text) => !text.startsWith("minor aria-allowed-role"))).toEqual([]);
      expect(await page.locator("html.dark-mode").count()).toBe(scheme === "dark" ? 1 : 0);
    });
  });
}
