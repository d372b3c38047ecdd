// Not a test: draws the pictures that the documentation shows (make screenshots).
import { fileURLToPath } from "node:url";
import { expect, test } from "./world.js";

const folder = fileURLToPath(new URL("../../../docs/screenshots/", import.meta.url));

const pictures = [
  ["list-light", "light", "/"],
  ["list-dark", "dark", "/"],
  ["request-light", "light", ({ ids }) => `/requests/${ids.complete}`],
  ["progress-dark", "dark", ({ ids }) => `/requests/${ids.running}`],
  ["dependencies-light", "light", ({ ids }) => `/requests/${ids.large}/dependencies?q=xive`],
  ["documentation-dark", "dark", "/docs"],
];

for (const [name, scheme, path] of pictures) {
  test.describe(name, () => {
    test.use({ colorScheme: scheme, viewport: { width: 1180, height: 720 } });

    test("is drawn", async ({ page, world }) => {
      await page.goto(typeof path === "string" ? path : path(world));
      await expect(page.locator("main .opblock, main table, main .panel").first()).toBeVisible();
      await page.screenshot({ path: `${folder}${name}.png`, animations: "disabled" });
    });
  });
}

test.describe("phone", () => {
  test.use({ viewport: { width: 390, height: 720 }, deviceScaleFactor: 1 });

  test("is drawn", async ({ page }) => {
    await page.goto("/");
    await expect(page.locator("table.requests")).toBeVisible();
    await page.screenshot({ path: `${folder}phone-light.png`, animations: "disabled" });
  });
});
