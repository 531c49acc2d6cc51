import { defineConfig } from "vite";

/** The page that the stand-in serves for every address that Stash's own pages have. */
export default defineConfig({
  root: import.meta.dirname,
  // As Stash's own: below the page's <base>, which a proxy may move.
  base: "./",
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2020",
    chunkSizeWarningLimit: 8000,
    rolldownOptions: {
      output: {
        entryFileNames: "assets/page.js",
        assetFileNames: "assets/[name][extname]",
        codeSplitting: false,
      },
    },
  },
  css: {
    preprocessorOptions: {
      // Bootstrap 4 is written in the Sass of its day.
      scss: { quietDeps: true, silenceDeprecations: ["import"] },
    },
  },
});
