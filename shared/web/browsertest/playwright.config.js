import { defineConfig } from "@playwright/test";

// One browser after the other, against one service: what a test sees does not depend on another one's speed.
export default defineConfig({
  testDir: ".",
  testMatch: process.env.SCREENSHOTS ? "screenshots.js" : "*.spec.js",
  workers: 1,
  retries: 0,
  forbidOnly: true,
  timeout: 120_000, // a busy machine is no failure
  expect: { timeout: 15_000 },
  reporter: [["list"]],
  use: {
    launchOptions: {
      // Debian's browser; nothing is downloaded. Containers have no user namespaces for its sandbox.
      executablePath: process.env.PLAYWRIGHT_CHROMIUM_EXECUTABLE_PATH ?? "/usr/bin/chromium",
      args: ["--no-sandbox"],
    },
    viewport: { width: 1280, height: 800 },
    locale: "en-GB",
    timezoneId: "UTC",
    trace: "off",
  },
});
