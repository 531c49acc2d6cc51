import { defineConfig } from "vitest/config";

/** What Stash hands out, by the package that it stands for. */
const PROVIDED: Record<string, string> = {
  react: "PluginApi.React",
  "react-dom": "PluginApi.ReactDOM",
  "react-bootstrap": "PluginApi.libraries.Bootstrap",
  "react-router-dom": "PluginApi.libraries.ReactRouterDOM",
  "@apollo/client": "PluginApi.libraries.Apollo",
  "@fortawesome/react-fontawesome": "PluginApi.libraries.ReactFontAwesome",
  "@fortawesome/free-solid-svg-icons": "PluginApi.libraries.FontAwesomeSolid",
};

export default defineConfig(({ command }) => ({
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2020",
    copyPublicDir: false,
    lib: {
      entry: "src/main.tsx",
      name: "StashSense",
      formats: ["iife"],
      fileName: () => "stash-sense.js",
      cssFileName: "stash-sense",
    },
    rolldownOptions: {
      external: Object.keys(PROVIDED),
      output: { globals: PROVIDED, extend: true },
    },
  },
  define: command === "build" ? { "process.env.NODE_ENV": '"production"' } : {},
  test: {
    environment: "jsdom",
    include: ["test/**/*.test.{ts,tsx}"],
    setupFiles: ["test/setup.ts"],
    testTimeout: 300_000,
    restoreMocks: true,
  },
}));
